"""The desk as an ASGI application, and the process that serves it."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
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
from tipstaff_trainer.desk.sessions import Signer
from tipstaff_trainer.desk.settings import DeskSettings
from tipstaff_trainer.workspace import Workspace

_STATIC = Path(__file__).parent / "static"


def build(workspace: Workspace, settings: DeskSettings) -> ASGIApp:
    """The desk of a workspace.

    Raises:
        WorkspaceError: Its secret can't be read or written.
    """
    rooms = (entrance, datasets, uploads, labelling, review, criteria, evaluators, playground, jobs)
    app = Starlette(
        routes=[
            *(route for room in rooms for route in room.routes()),
            Mount("/static", StaticFiles(directory=_STATIC), name="static"),
        ],
        exception_handlers={404: _not_found, 500: _fault},
    )
    app.state.desk = Desk(workspace, settings, Signer(workspace.folder), Attempts(), templates())
    return Guard(app, max_upload_bytes=settings.max_upload_bytes, local=settings.local)


async def _not_found(request: Request, _: Exception) -> Response:
    return _problem(
        request,
        404,
        "There is no such page",
        f"Nothing is at {request.url.path[:200]}. What was there may have been deleted, or the "
        "address is mistyped.",
    )


async def _fault(request: Request, error: Exception) -> Response:
    return _problem(
        request,
        500,
        "That didn’t work",
        f"The desk stumbled over a fault of its own ({type(error).__name__}); the terminal that it "
        "runs in says more. What was stored before is not lost.",
    )


def _problem(request: Request, status: int, title: str, problem: str) -> Response:
    desk: Desk = request.app.state.desk
    template = desk.templates.get_template("bare_problem.html")
    html = template.render(title=title, problem=problem)
    return Response(html, status_code=status, media_type="text/html")
