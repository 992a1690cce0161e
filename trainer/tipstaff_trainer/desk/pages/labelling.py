"""Asking a judge: which one, by which criterion, about which rows."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from tipstaff.errors import TipstaffError
from tipstaff_trainer.desk.asked import Asked
from tipstaff_trainer.desk.routing import get, post
from tipstaff_trainer.workspace.reviews import PILOT_ROWS


def routes() -> list[Route]:
    """The addresses of labelling."""
    return [
        get("/datasets/{dataset:int}/label", ask_judge),
        post("/datasets/{dataset:int}/label", label),
    ]


def ask_judge(asked: Asked) -> Response:
    """Where the judge and the criterion are chosen."""
    return _judge_page(asked)


def label(asked: Asked) -> Response:
    """Starts a pilot, or the labelling of all rows."""
    dataset = asked.workspace.datasets.get(asked.number("dataset"))
    judge: dict[str, Any] = {
        name: value
        for name in (
            "model",
            "base_url",
            "soft",
            "max_cost",
            "price_input",
            "price_output",
            "concurrency",
            "samples",
        )
        if (value := asked.text(name))
    }
    try:
        job = asked.workspace.label_dataset(
            dataset,
            criterion=asked.text("criterion"),
            judge=judge,
            pilot=asked.text("rows") != "all",
            examples=asked.whole("examples"),
            key_variable=asked.text("key_variable"),
            who=asked.who,
        )
    except TipstaffError as error:
        return _judge_page(asked, str(error))
    return asked.go(f"/jobs/{job.id}")


def _judge_page(asked: Asked, error: str = "") -> Response:
    dataset = asked.workspace.datasets.get(asked.number("dataset"))
    named = {each.criterion: each for each in dataset.label_sets}
    labels = named.get(asked.text("criterion"), dataset.label_sets[0])
    last = next((job.parameters for job in asked.workspace.jobs.recent(kind="label", limit=1)), {})
    # A field that nobody has filled yet is empty.
    values: defaultdict[str, str] = defaultdict(str)
    values |= {
        **{name: str(value) for name, value in last.get("judge", {}).items() if value is not None},
        "key_variable": last.get("key_variable", "OPENAI_API_KEY"),
        "criterion": labels.criterion or "faithfulness",
        "rows": "pilot" if labels.human == 0 else "all",
        **{name: asked.text(name) for name in asked.form},
    }
    return asked.page(
        "label.html",
        status=400 if error else 200,
        dataset=dataset,
        labels=labels,
        criteria=asked.workspace.criteria.all(),
        values=values,
        pilot_rows=PILOT_ROWS,
        error=error,
    )
