"""Labelling with an LLM: the model, the criterion and the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from tipstaff.errors import TipstaffError
from tipstaff_server.request_fields import RequestField, field_titles
from tipstaff_trainer.desk.context import RequestContext
from tipstaff_trainer.desk.forms import form_fields
from tipstaff_trainer.desk.routing import get, post
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.judge.examples import MOST_EXAMPLES
from tipstaff_trainer.operations.label import LabelRequest
from tipstaff_trainer.workspace.labels.criteria import check_columns, missing_columns
from tipstaff_trainer.workspace.review.queue import PILOT_ROWS

# The choices of rows, as arguments of `label_dataset`.
_ROWS: Mapping[str, Mapping[str, Any]] = {
    "pilot": {"pilot": True},
    "rest": {"only": "unlabelled"},
    "all": {},
}


def routes() -> list[Route]:
    """The routes for labelling."""
    return [
        get("/datasets/{dataset:int}/label", show),
        post("/datasets/{dataset:int}/label", label),
    ]


def show(ctx: RequestContext) -> Response:
    """The form to label a data set with an LLM."""
    return _label_page(ctx)


def label(ctx: RequestContext) -> Response:
    """Starts a labelling job, or shows the form for another criterion."""
    if ctx.text("action") == "choose":
        return _label_page(ctx)
    dataset = ctx.stores.datasets.get(ctx.path_number("dataset"))
    try:
        rows = ctx.text("rows")
        if rows not in _ROWS:
            raise WorkspaceError("choose the rows to label")
        job = ctx.workspace.label_dataset(
            dataset,
            criterion=ctx.text("criterion"),
            **_ROWS[rows],
            **ctx.entered(_fields()),
            who=ctx.who,
        )
    except TipstaffError as error:
        return _label_page(ctx, error.describe(field_titles(LabelRequest)))
    return ctx.redirect(f"/jobs/{job.id}")


def _label_page(ctx: RequestContext, error: str = "") -> Response:
    dataset = ctx.stores.datasets.get(ctx.path_number("dataset"))
    by_criterion = {each.criterion: each for each in dataset.label_sets}
    labels = by_criterion.get(ctx.text("criterion"), dataset.label_sets[0])
    criteria = ctx.stores.criteria.all()
    missing = {each.name: missing_columns(each, dataset) for each in criteria}
    criterion = ctx.text("criterion") or labels.criterion or _first_usable(missing)
    # The data set has no labels yet by a criterion that is new to it.
    is_new = bool(labels.criterion) and criterion != labels.criterion
    labelled, human = (0, 0) if is_new else (labels.labelled, labels.human)
    column_error = ""
    try:
        check_columns(ctx.stores.criteria.get(criterion), dataset)
    except WorkspaceError as reason:
        column_error = str(reason)
    # People mostly ask the judge that they asked last.
    latest = ctx.stores.jobs.recent(kind="label", limit=1)
    request = latest[0].parameters["request"] if latest else {}
    fields = _fields()
    values = {
        # As many examples as there are reviewed rows for.
        "shots": MOST_EXAMPLES,
        **{each.name: request[each.name] for each in fields if request.get(each.name) is not None},
        **{name: ctx.text(name) for name in ctx.form},
        "criterion": criterion,
    }
    # The default depends on the criterion, which may just have been changed.
    if ctx.text("action") != "start":
        values["rows"] = _default_rows(dataset.rows, labelled, human)
    return ctx.page(
        "label.html",
        status=400 if error else 200,
        dataset=dataset,
        labels=labels,
        criteria=criteria,
        missing=missing,
        column_error=column_error,
        labelled=labelled,
        unreviewed=dataset.rows - human,
        waiting=0 if is_new or human else ctx.stores.reviews.progress(labels).waiting,
        fields=fields,
        values=values,
        pilot_rows=PILOT_ROWS,
        error=error,
    )


def _fields() -> list[RequestField]:
    # The page asks for criterion and rows in its own way.
    return form_fields(LabelRequest, without=("criterion", "pilot", "only"))


def _first_usable(missing: Mapping[str, Sequence[str]]) -> str:
    names = ["faithfulness", *missing]
    return next((name for name in names if not missing[name]), names[0])


def _default_rows(rows: int, labelled: int, human: int) -> str:
    """The choice of rows to offer first; never one that pays for labelled rows again.

    Empty if people have labelled every row.
    """
    if human and labelled < rows:
        return "rest"
    return "pilot" if human < rows else ""
