"""Criteria: what is judged, in words, and how it looks to a judge."""

from __future__ import annotations

from typing import get_args

from starlette.responses import Response
from starlette.routing import Route

from tipstaff.errors import TipstaffError
from tipstaff_server.evaluator.cases import Case, Expectation
from tipstaff_trainer.data.cases import make_case, parse_cases
from tipstaff_trainer.data.columns import listed
from tipstaff_trainer.desk.context import Asked, upload_of
from tipstaff_trainer.desk.routing import get, post
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import StoredCriterion
from tipstaff_trainer.workspace.labels.criteria import lacking, preview

# Of a file of named cases, which is read as a whole: thousands of cases.
_MOST_BYTES = 2**20
_EMPTY_PROMPT = """Decide whether …

What the user asked:
{input}

The answer to judge:
{output}
"""


def routes() -> list[Route]:
    """The addresses of criteria."""
    return [
        get("/criteria", show_all),
        get("/criteria/{name:str}", show),
        post("/criteria/{name:str}", save),
        get("/criteria/{name:str}/cases", show_cases),
        post("/criteria/{name:str}/cases", change_cases),
    ]


def show_all(asked: Asked) -> Response:
    """Every criterion."""
    return asked.page("criteria.html", criteria=asked.workspace.criteria.all())


def show(asked: Asked) -> Response:
    """One criterion, to change or to copy; `new` is a blank one."""
    name = asked.request.path_params["name"]
    if name == "new":
        blank = StoredCriterion(name="", version=0, criterion="", prompt=_EMPTY_PROMPT, author="")
        return _editor(asked, blank)
    return _editor(asked, asked.workspace.criteria.get(name))


def save(asked: Asked) -> Response:
    """Previews, or writes the next version."""
    draft = StoredCriterion(
        name=asked.text("name"),
        version=asked.whole("version", 0) or 0,
        criterion=asked.text("criterion"),
        prompt=asked.text("prompt"),
        author="",
    )
    if asked.text("action") == "preview":
        return _editor(asked, draft)
    try:
        saved = asked.workspace.criteria.save(
            draft.name, criterion=draft.criterion, prompt=draft.prompt, who=asked.who
        )
    except TipstaffError as error:
        return _editor(asked, draft, str(error))
    return asked.go(f"/criteria/{saved.name}", f"Saved as version {saved.version}.")


def show_cases(asked: Asked) -> Response:
    """What evaluators for a criterion must and must not let through."""
    return _cases_page(asked)


def change_cases(asked: Asked) -> Response:
    """Adds a case that was typed or a file of them, or takes one away."""
    criterion = asked.workspace.criteria.get(asked.request.path_params["name"]).name
    here = f"/criteria/{criterion}/cases"
    try:
        match asked.text("action"):
            case "remove":
                asked.workspace.cases.remove(criterion, asked.text("case"))
                return asked.go(here, "The case is gone; versions that have it keep it.", "note")
            case "upload":
                file = upload_of(asked, "file")
                if file is None:
                    raise WorkspaceError("no file was chosen")
                content = file.file.read(_MOST_BYTES + 1)
                if len(content) > _MOST_BYTES:
                    raise WorkspaceError("the file is larger than 1 MB: are these named cases?")
                cases = parse_cases(content, shown=(file.filename or "the file")[:200])
            case _:
                given = {name: text for name in Case.model_fields if (text := asked.text(name))}
                cases = (make_case(given, place="the case"),)
        replaced = asked.workspace.cases.add(criterion, cases, who=asked.who)
    except TipstaffError as error:
        return _cases_page(asked, str(error))
    said = f"{len(cases)} named case{'s' if len(cases) > 1 else ''} kept"
    return asked.go(here, f"{said}, {replaced} in place of another." if replaced else f"{said}.")


def _cases_page(asked: Asked, error: str = "") -> Response:
    criterion = asked.workspace.criteria.get(asked.request.path_params["name"])
    return asked.page(
        "cases.html",
        status=400 if error else 200,
        criterion=criterion,
        cases=asked.workspace.cases.of(criterion.name),
        values={name: asked.text(name) for name in Case.model_fields},
        expectations=get_args(Expectation),
        error=error,
    )


def _editor(asked: Asked, criterion: StoredCriterion, error: str = "") -> Response:
    datasets = asked.workspace.datasets.all()
    chosen = asked.whole("dataset") or (datasets[0].id if datasets else None)
    number = max(1, asked.whole("row", 1) or 1)
    question, missing, there = "", [], ""
    if chosen is not None:
        dataset = asked.workspace.datasets.get(chosen)
        rows = asked.workspace.datasets.page(dataset.label_sets[0], after=number - 2, size=1).rows
        there = listed((*dataset.fields, *dataset.extra))
        try:
            missing = lacking(criterion, dataset)
            question = preview(criterion, rows[0]) if rows else ""
        except TipstaffError as reason:
            error = error or (str(reason) if asked.form else "")
    return asked.page(
        "criterion.html",
        status=400 if error else 200,
        criterion=criterion,
        datasets=datasets,
        chosen=chosen,
        number=number,
        question=question,
        missing=missing,
        there=there,
        cases=len(asked.workspace.cases.of(criterion.name)) if criterion.name else 0,
        error=error,
    )
