"""Asking a judge: which one, by which criterion, about which rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from tipstaff.errors import TipstaffError
from tipstaff_trainer.desk.context import Asked
from tipstaff_trainer.desk.routing import get, post
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.labels.criteria import check_columns, missing_columns
from tipstaff_trainer.workspace.review.queue import PILOT_ROWS

# What can be asked about, as `label_dataset` has it.
_ROWS: Mapping[str, Mapping[str, Any]] = {
    "pilot": {"pilot": True},
    "rest": {"only": "unlabelled"},
    "all": {},
}


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
    """Starts a pilot, or the labelling of the other rows or all; or shows another criterion."""
    if asked.text("action") == "choose":
        return _judge_page(asked)
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
        which = asked.text("rows")
        if which not in _ROWS:
            raise WorkspaceError("which rows is it to label? Choose some")
        job = asked.workspace.label_dataset(
            dataset,
            criterion=asked.text("criterion"),
            judge=judge,
            **_ROWS[which],
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
    criteria = asked.workspace.criteria.all()
    missing = {each.name: missing_columns(each, dataset) for each in criteria}
    chosen = asked.text("criterion") or labels.criterion or _first_that_can_be_asked(missing)
    # By a criterion that is new to it, a data set has no label yet.
    fresh = bool(labels.criterion) and chosen != labels.criterion
    labelled, human = (0, 0) if fresh else (labels.labelled, labels.human)
    unfit = ""
    try:
        check_columns(asked.workspace.criteria.get(chosen), dataset)
    except WorkspaceError as reason:
        unfit = str(reason)
    last = next((job.parameters for job in asked.workspace.jobs.recent(kind="label", limit=1)), {})
    # A field that nobody has filled yet is empty.
    values: defaultdict[str, str] = defaultdict(str)
    values |= {
        **{name: str(value) for name, value in last.get("judge", {}).items() if value is not None},
        "key_variable": last.get("key_variable", "OPENAI_API_KEY"),
        **{name: asked.text(name) for name in asked.form},
        "criterion": chosen,
    }
    # By another criterion other rows have a label.
    if asked.text("action") != "start":
        values["rows"] = _sensible(dataset.rows, labelled, human)
    return asked.page(
        "label.html",
        status=400 if error else 200,
        dataset=dataset,
        labels=labels,
        criteria=criteria,
        missing=missing,
        unfit=unfit,
        labelled=labelled,
        unseen=dataset.rows - human,
        waiting=0 if fresh or human else asked.workspace.reviews.progress(labels).waiting,
        values=values,
        pilot_rows=PILOT_ROWS,
        error=error,
    )


def _first_that_can_be_asked(missing: Mapping[str, Sequence[str]]) -> str:
    names = ["faithfulness", *missing]
    return next((name for name in names if not missing[name]), names[0])


def _sensible(rows: int, labelled: int, human: int) -> str:
    """Which rows to ask about, until somebody says it; never those that it would pay for again.

    A person looks at a few first; where people have labelled every row, there is nothing to guess.
    """
    if human and labelled < rows:
        return "rest"
    return "pilot" if human < rows else ""
