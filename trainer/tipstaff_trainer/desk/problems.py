"""Error pages: in the desk's frame, each with a way on."""

from __future__ import annotations

from pathlib import PurePosixPath

from jinja2 import Environment
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tipstaff_trainer.desk.context import Desk, RequestContext, section_of

_TITLES = {
    400: "The form can’t be read",
    404: "There is no such page",
    405: "This address takes no such request",
}


def bare_page(
    templates: Environment, path: str, *, status: int, title: str, problem: str, open_at: str = ""
) -> Response:
    """An error page that needs neither a session nor the database.

    Args:
        templates: The templates' environment.
        path: The request's path.
        status: The page's status.
        title: Its heading.
        problem: What is wrong.
        open_at: Where the desk can be opened, if not here.
    """
    html = templates.get_template("problem.html").render(
        ctx=None,
        path=path,
        notice=None,
        error="",
        title=title,
        problem=problem,
        ways=[(open_at, open_at)] if open_at else [section_of(path)],
    )
    return HTMLResponse(html, status_code=status)


async def show_http_error(request: Request, error: Exception) -> Response:
    """The page for an address or a request that the desk doesn't serve.

    An address that only takes forms leads back to the page that has the form: browsers open it when
    somebody reloads or enters an address that a form was sent to.
    """
    assert isinstance(error, HTTPException)
    path, status = request.url.path, error.status_code
    if status == 405 and request.method in ("GET", "HEAD"):
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{PurePosixPath(path).parent}{query}", status_code=303)
    problem = error.detail
    if status == 404:
        problem = f"There is nothing at {path[:200]}: it may be deleted or mistyped."
    elif status == 405:
        problem = f"{path[:200]} takes no {request.method} request."
    desk: Desk = request.app.state.desk
    title = _TITLES.get(status, "Not possible")
    page = RequestContext(desk, request, {}).problem(problem, status=status, title=title)
    page.headers.update(error.headers or {})
    return page


async def show_fault(request: Request, error: Exception) -> Response:
    """The page for a fault of the desk; asks neither the session nor the database for anything."""
    desk: Desk = request.app.state.desk
    problem = (
        f"The desk failed on this request ({type(error).__name__}). The terminal that it runs in "
        "has details. Nothing that was stored is lost."
    )
    return bare_page(
        desk.templates, request.url.path, status=500, title="Internal error", problem=problem
    )
