"""The desk as an ASGI application."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
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
    live,
    playground,
    review,
    uploads,
)
from tipstaff_trainer.desk.problems import bare_page, show_fault, show_http_error
from tipstaff_trainer.desk.sessions import Sessions, cookie_name, load_secret
from tipstaff_trainer.desk.settings import DeskSettings
from tipstaff_trainer.workspace import Workspace

_STATIC = Path(__file__).parent / "static"
_PAGES = (
    *(entrance, datasets, uploads, labelling, review, criteria, evaluators, live, playground),
    jobs,
)
# The routes of all pages.
ROUTES = tuple(route for page in _PAGES for route in page.routes)


def build(workspace: Workspace, settings: DeskSettings) -> ASGIApp:
    """Builds the desk of a workspace.

    Raises:
        WorkspaceError: The sessions' secret can't be read or written.
    """
    app = Starlette(
        routes=[
            *ROUTES,
            Mount("/static", StaticFiles(directory=_STATIC), name="static"),
        ],
        exception_handlers={HTTPException: show_http_error, 500: show_fault},
    )
    secret = load_secret(workspace.folder)
    environment = templates()
    app.state.desk = Desk(workspace, settings, cookie_name(secret), Attempts(), environment)
    with_sessions = Sessions(app, secret=secret, seconds=settings.session_seconds)
    return Guard(
        with_sessions,
        max_upload_bytes=settings.max_upload_bytes,
        local=settings.local,
        refusal=partial(bare_page, environment, status=403, title="Refused"),
    )
