"""Criteria: what is judged, in words, and how it looks to a judge."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from tipstaff.errors import TipstaffError
from tipstaff_trainer.desk.web import Asked, get, post
from tipstaff_trainer.workspace.criteria import preview
from tipstaff_trainer.workspace.tables import Criterion

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
    ]


def show_all(asked: Asked) -> Response:
    """Every criterion."""
    return asked.page("criteria.html", criteria=asked.workspace.criteria.all())


def show(asked: Asked) -> Response:
    """One criterion, to change or to copy; `new` is a blank one."""
    name = asked.request.path_params["name"]
    if name == "new":
        blank = Criterion(name="", version=0, criterion="", prompt=_EMPTY_PROMPT, author="")
        return _editor(asked, blank)
    return _editor(asked, asked.workspace.criteria.get(name))


def save(asked: Asked) -> Response:
    """Previews, or writes the next version."""
    draft = Criterion(
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


def _editor(asked: Asked, criterion: Criterion, error: str = "") -> Response:
    datasets = asked.workspace.datasets.all()
    chosen = asked.whole("dataset") or (datasets[0].id if datasets else None)
    number = max(1, asked.whole("row", 1) or 1)
    row, question = None, ""
    if chosen is not None:
        rows = asked.workspace.datasets.page(chosen, after=number - 2, size=1).rows
        row = rows[0] if rows else None
    if row is not None:
        try:
            question = preview(criterion, row)
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
        error=error,
    )
