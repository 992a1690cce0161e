"""Labelling with an LLM: the model, the criterion and the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from tipstaff.errors import TipstaffError
from tipstaff_trainer.desk.context import RequestContext
from tipstaff_trainer.desk.forms import RequestForm
from tipstaff_trainer.desk.routing import Routes
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.judge.examples import MOST_EXAMPLES
from tipstaff_trainer.operations.label import LabelRequest, missing_key
from tipstaff_trainer.workspace.labels.criteria import check_columns, missing_columns
from tipstaff_trainer.workspace.review.queue import PILOT_ROWS

routes = Routes()
# The choices of rows, as arguments of `label_dataset`.
_ROWS: Mapping[str, Mapping[str, Any]] = {
    "pilot": {"pilot": True},
    "rest": {"only": "unlabelled"},
    "all": {},
}
_OWN = {"criterion": "Criterion", "key_variable": "Key variable"}
_KEY_VARIABLE = LabelRequest.model_fields["key_variable"].default


def _form() -> RequestForm:
    return RequestForm(LabelRequest, own=_OWN | dict.fromkeys(("pilot", "only"), "Rows to label"))


@routes.get("/datasets/{dataset:int}/label")
def label_page(ctx: RequestContext, error: TipstaffError | str = "") -> Response:
    """The form to label a data set with an LLM."""
    form = _form()
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
    if ctx.form:
        values, key_variable = form.entered(ctx.texts), ctx.text("key_variable")
    else:
        # People mostly use the same model again.
        latest = ctx.stores.jobs.recent(kind="label", limit=1)
        request = latest[0].parameters.get("request", {}) if latest else {}
        values = form.stored(request)
        key_variable = request.get("key_variable", _KEY_VARIABLE)
    # The default depends on the criterion, which may just have been changed.
    starting = ctx.text("action") == "start"
    return ctx.page(
        "label.html",
        dataset=dataset,
        labels=labels,
        criteria=criteria,
        criterion=criterion,
        missing=missing,
        column_error=column_error,
        labelled=labelled,
        unreviewed=dataset.rows - human,
        waiting=0 if is_new or human else ctx.stores.reviews.progress(labels).waiting,
        rows=ctx.text("rows") if starting else _default_rows(dataset.rows, labelled, human),
        pilot_rows=PILOT_ROWS,
        form=form,
        values={"shots": MOST_EXAMPLES, **values},
        key_variable=key_variable,
        key_missing=missing_key(key_variable),
        error=error,
    )


@routes.post("/datasets/{dataset:int}/label", again=label_page)
def label(ctx: RequestContext) -> Response:
    """Starts a labelling job, or shows the form for another criterion."""
    if ctx.text("action") == "choose":
        return label_page(ctx)
    rows = ctx.text("rows")
    if rows not in _ROWS:
        raise WorkspaceError("choose the rows to label")
    job = ctx.workspace.label_dataset(
        ctx.path_number("dataset"),
        criterion=ctx.text("criterion"),
        key_variable=ctx.text("key_variable"),
        **_ROWS[rows],
        **_form().entered(ctx.texts),
        who=ctx.who,
    )
    return ctx.redirect(f"/jobs/{job.id}")


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
