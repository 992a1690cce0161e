"""Criteria: editing them, a preview of the judge's question, and named cases."""

from __future__ import annotations

from typing import get_args

from starlette.responses import Response

from tipstaff.errors import TipstaffError
from tipstaff_server.evaluator.cases import Case, Expectation
from tipstaff_trainer.data.cases import make_case, parse_cases
from tipstaff_trainer.data.columns import listed
from tipstaff_trainer.desk.context import RequestContext
from tipstaff_trainer.desk.routing import Routes
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import StoredCriterion
from tipstaff_trainer.workspace.labels.criteria import missing_columns, preview

routes = Routes()

# A file of named cases is read into memory; this is enough for thousands.
_MOST_BYTES = 2**20
_EMPTY_PROMPT = """Decide whether …

What the user asked:
{input}

The answer to judge:
{output}
"""


@routes.get("/criteria")
def show_all(ctx: RequestContext) -> Response:
    """The list of criteria."""
    return ctx.page("criteria.html", criteria=ctx.stores.criteria.all())


@routes.get("/criteria/{name:str}")
def editor_page(ctx: RequestContext, error: TipstaffError | str = "") -> Response:
    """The editor of a criterion, with a preview of its question; `new` opens an empty one."""
    name = ctx.request.path_params["name"]
    if ctx.form or name == "new":
        criterion = StoredCriterion(
            name=ctx.text("name"),
            version=ctx.integer("version", 0),
            criterion=ctx.text("criterion"),
            prompt=ctx.text("prompt", "" if ctx.form else _EMPTY_PROMPT),
            author="",
        )
    else:
        criterion = ctx.stores.criteria.get(name)
    datasets = ctx.stores.datasets.all()
    dataset_id = ctx.integer("dataset", None) or (datasets[0].id if datasets else None)
    number = max(1, ctx.integer("row", 1))
    question, missing, columns = "", [], ""
    if dataset_id is not None:
        dataset = ctx.stores.datasets.get(dataset_id)
        rows = ctx.stores.datasets.page(dataset.label_sets[0], after=number - 2, size=1).rows
        columns = listed((*dataset.fields, *dataset.extra))
        try:
            missing = missing_columns(criterion, dataset)
            question = preview(criterion, rows[0]) if rows else ""
        except TipstaffError as reason:
            error = error or (reason if ctx.form else "")
    return ctx.page(
        "criterion.html",
        criterion=criterion,
        datasets=datasets,
        dataset_id=dataset_id,
        number=number,
        question=question,
        missing=missing,
        columns=columns,
        cases=len(ctx.stores.cases.of(criterion.name)) if criterion.name else 0,
        error=error,
    )


@routes.post("/criteria/{name:str}", again=editor_page)
def save(ctx: RequestContext) -> Response:
    """Saves a criterion's next version, or shows a preview."""
    if ctx.text("action") == "preview":
        return editor_page(ctx)
    criterion, prompt = ctx.text("criterion"), ctx.text("prompt")
    stored = ctx.stores.criteria.save(
        ctx.text("name"), criterion=criterion, prompt=prompt, who=ctx.who
    )
    return ctx.redirect(f"/criteria/{stored.name}", f"Saved as version {stored.version}.")


@routes.get("/criteria/{name:str}/cases")
def cases_page(ctx: RequestContext, error: TipstaffError | str = "") -> Response:
    """A criterion's named cases."""
    criterion = ctx.stores.criteria.get(ctx.request.path_params["name"])
    return ctx.page(
        "cases.html",
        criterion=criterion,
        cases=ctx.stores.cases.of(criterion.name),
        values={name: ctx.text(name) for name in Case.model_fields},
        expectations=get_args(Expectation),
        error=error,
    )


@routes.post("/criteria/{name:str}/cases", again=cases_page)
def change_cases(ctx: RequestContext) -> Response:
    """Adds a case or a file of cases, or removes a case."""
    criterion = ctx.stores.criteria.get(ctx.request.path_params["name"]).name
    here = f"/criteria/{criterion}/cases"
    match ctx.text("action"):
        case "remove":
            ctx.stores.cases.remove(criterion, ctx.text("case"))
            notice = "The case is removed. Versions that were trained with it keep it."
            return ctx.redirect(here, notice, "note")
        case "upload":
            file = ctx.file("file")
            if file is None:
                raise WorkspaceError("no file was chosen")
            content = file.file.read(_MOST_BYTES + 1)
            if len(content) > _MOST_BYTES:
                raise WorkspaceError("the file is larger than 1 MB: are these named cases?")
            cases = parse_cases(content, name=(file.filename or "the file")[:200])
        case _:
            values = {name: text for name in Case.model_fields if (text := ctx.text(name))}
            cases = (make_case(values, place="the case"),)
    replaced = ctx.stores.cases.add(criterion, cases, who=ctx.who)
    notice = f"{len(cases)} named case{'s' if len(cases) > 1 else ''} added"
    return ctx.redirect(here, f"{notice}, {replaced} replaced." if replaced else f"{notice}.")
