"""The desk as an ASGI application."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from tipstaff_trainer.desk.attempts import Attempts
from tipstaff_trainer.desk.context import Desk, templates
from tipstaff_trainer.desk.guard import Guard
from tipstaff_trainer.desk.pages import (
    criteria,
    datasets,
    entrance,
    evaluators,
    jobs,
    labelling,
    playground,
    review,
    uploads,
)
from tipstaff_trainer.desk.sessions import Sessions, cookie_name, load_secret
from tipstaff_trainer.desk.settings import DeskSettings
from tipstaff_trainer.workspace import Workspace

_STATIC = Path(__file__).parent / "static"


def build(workspace: Workspace, settings: DeskSettings) -> ASGIApp:
    """Builds the desk of a workspace.

    Raises:
        WorkspaceError: The sessions' secret can't be read or written.
    """
    pages = (entrance, datasets, uploads, labelling, review, criteria, evaluators, playground, jobs)
    app = Starlette(
        routes=[
            *(route for page in pages for route in page.routes),
            Mount("/static", StaticFiles(directory=_STATIC), name="static"),
        ],
        exception_handlers={404: _problem, 500: _problem},
    )
    secret = load_secret(workspace.folder)
    app.state.desk = Desk(workspace, settings, cookie_name(secret), Attempts(), templates())
    with_sessions = Sessions(app, secret=secret, seconds=settings.session_seconds)
    return Guard(with_sessions, max_upload_bytes=settings.max_upload_bytes, local=settings.local)


async def _problem(request: Request, error: Exception) -> Response:
    """The page for an address that doesn't exist, or for a fault of the desk."""
    status, title = 500, "Internal error"
    problem = (
        f"The desk failed on this request ({type(error).__name__}). The terminal that it runs in "
        "has details. Nothing that was stored is lost."
    )
    if isinstance(error, HTTPException):
        status, title = 404, "There is no such page"
        path = request.url.path[:200]
        problem = f"There is nothing at {path}: it may be deleted or mistyped."
    desk: Desk = request.app.state.desk
    html = desk.templates.get_template("bare_problem.html").render(title=title, problem=problem)
    return HTMLResponse(html, status_code=status)
