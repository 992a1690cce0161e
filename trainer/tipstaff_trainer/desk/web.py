"""One request to the desk: who asks, what their form says, and the page or the way on they get."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from tipstaff.errors import TipstaffError
from tipstaff_trainer.desk import views
from tipstaff_trainer.desk.attempts import Attempts
from tipstaff_trainer.desk.guard import TooLargeError
from tipstaff_trainer.desk.sessions import (
    Session,
    Signer,
    new_session,
    read_session,
    write_session,
)
from tipstaff_trainer.desk.settings import DeskSettings
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace import Workspace

_TEMPLATES = Path(__file__).parent / "templates"
FORM_MARK = "form_mark"
# What databases count up to.
_NUMBERS = 2**63
Tone = Literal["good", "bad", "note"]


@dataclass(frozen=True, slots=True)
class Desk:
    """What all requests share."""

    workspace: Workspace
    settings: DeskSettings
    signer: Signer
    attempts: Attempts
    templates: Environment


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        desk: What all requests share.
        request: As Starlette has it.
        session: Whose it is.
        form: The fields that were sent; empty for a GET.
    """

    desk: Desk
    request: Request
    session: Session
    form: Mapping[str, Any]

    @property
    def workspace(self) -> Workspace:
        """The workspace that the desk is a face of."""
        return self.desk.workspace

    @property
    def who(self) -> str:
        """The person's name."""
        return self.session.name

    def number(self, name: str) -> int:
        """A number of the path.

        Raises:
            WorkspaceError: It is larger than any that there is.
        """
        number = int(self.request.path_params[name])
        if number >= _NUMBERS:
            raise WorkspaceError(f"there is no {name} {number}")
        return number

    def text(self, name: str, default: str = "") -> str:
        """A field of the form, else of the query."""
        value = self.form.get(name, self.request.query_params.get(name, default))
        return value.strip() if isinstance(value, str) else default

    def whole(self, name: str, default: int | None = None) -> int | None:
        """A field that is a whole number; the default where it is empty.

        Raises:
            WorkspaceError: It is something else.
        """
        text = self.text(name)
        if not text:
            return default
        if not text.removeprefix("-").isdecimal() or len(text) > 15:
            raise WorkspaceError(f"{name.replace('_', ' ')}: {text[:40]!r} is no whole number")
        return int(text)

    def texts(self, name: str) -> list[str]:
        """All values of a field that may be given several times."""
        form = self.form
        values = form.getlist(name) if isinstance(form, FormData) else []
        return [value for value in values if isinstance(value, str)]

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page."""
        signer = self.desk.signer
        notice = signer.read("notice", self.request.cookies.get(signer.notice_cookie, ""))
        html = self.desk.templates.get_template(template).render(
            asked=self,
            session=self.session,
            form_mark=signer.form_mark(self.session),
            mark_name=FORM_MARK,
            path=self.request.url.path,
            notice=notice if isinstance(notice, list) else None,
            running=[job for job in self.workspace.jobs.active() if job.kind != "serve"],
            max_upload_bytes=self.desk.settings.max_upload_bytes,
            **{"error": "", **values},
        )
        response = HTMLResponse(html, status_code=status)
        if signer.notice_cookie in self.request.cookies:
            response.delete_cookie(signer.notice_cookie)
        return response

    def part(self, template: str, **values: Any) -> Response:
        """A part of a page, for one that is open to renew."""
        return HTMLResponse(self.desk.templates.get_template(template).render(**values))

    def go(self, to: str, notice: str = "", tone: Tone = "good") -> Response:
        """On to another page, with something to say there."""
        response = RedirectResponse(to, status_code=303)
        if notice:
            response.set_cookie(
                self.desk.signer.notice_cookie,
                self.desk.signer.sign("notice", [tone, notice[:1500]]),
                max_age=60,
                httponly=True,
                samesite="lax",
            )
        return response


Handler = Callable[[Asked], Response]


def templates() -> Environment:
    """The desk's pages; everything put into them is escaped."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(views.GLOBALS)
    environment.filters.update(views.FILTERS)
    return environment


def get(path: str, handler: Handler, *, open_to_all: bool = False) -> Route:
    """A page."""
    return Route(path, _endpoint(handler, open_to_all), methods=["GET"])


def post(path: str, handler: Handler, *, open_to_all: bool = False) -> Route:
    """What a form does."""
    return Route(path, _endpoint(handler, open_to_all), methods=["POST"])


def _endpoint(handler: Handler, open_to_all: bool) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        desk: Desk = request.app.state.desk
        session = read_session(desk.signer, request.cookies.get(desk.signer.session_cookie, ""))
        known = session is not None
        session = session or new_session(desk.settings.session_seconds)
        may_send_files = session.signed_in or not desk.settings.token
        try:
            form = await _form(request, files=may_send_files)
        except TooLargeError:
            asked = Asked(desk, request, session, {})
            return _signed(
                asked, asked.page("problem.html", status=413, problem=_too_large(desk, request))
            )
        asked = Asked(desk, request, session, form)
        try:
            return _signed(
                asked, await run_in_threadpool(_answer, asked, handler, known, open_to_all)
            )
        finally:
            if isinstance(form, FormData):
                await form.close()

    return endpoint


def _answer(asked: Asked, handler: Handler, known: bool, open_to_all: bool) -> Response:
    wants_token = bool(asked.desk.settings.token)
    if wants_token and not asked.session.signed_in and not open_to_all:
        expired = (
            asked.request.method == "POST"
            or asked.desk.signer.session_cookie in asked.request.cookies
        )
        return asked.page(
            "sign_in.html",
            status=401,
            error="You were signed out, as some time has passed." if expired and not known else "",
            to=_here(asked),
            kept=_kept(asked),
        )
    if asked.request.method == "POST" and not (open_to_all and wants_token):
        mark = asked.form.get(FORM_MARK, "")
        right = asked.desk.signer.form_mark(asked.session)
        if not isinstance(mark, str) or not hmac.compare_digest(mark.encode(), right.encode()):
            return asked.page(
                "send_again.html", status=403, to=asked.request.url.path, kept=_kept(asked)
            )
    try:
        return handler(asked)
    except TipstaffError as error:
        if asked.request.method == "POST" and (back := inside(asked.text("back"))):
            return asked.go(back, str(error), "bad")
        return asked.page("problem.html", status=404, problem=str(error))


async def _form(request: Request, *, files: bool) -> Mapping[str, Any]:
    if request.method != "POST":
        return {}
    if request.scope.get("tipstaff.too_large"):
        raise TooLargeError
    if _holds_files(request) and not files:
        # Whoever isn't let in fills no disk; it is heard to its end, so that an answer is read.
        async for _ in request.stream():
            pass
        return {}
    return await request.form(max_files=1, max_fields=300, max_part_size=4 * 2**20)


def _signed(asked: Asked, response: Response) -> Response:
    """Keeps a session alive while it is used; the handler may have set one of its own."""
    if any(
        name == b"set-cookie" and value.startswith(asked.desk.signer.session_cookie.encode())
        for name, value in response.raw_headers
    ):
        return response
    seconds = asked.desk.settings.session_seconds
    if asked.desk.settings.token and not asked.session.signed_in:
        return _with_session(asked, response, asked.session)
    longer = replace(asked.session, until=new_session(seconds).until)
    return _with_session(asked, response, longer)


def with_session(asked: Asked, response: Response, session: Session) -> Response:
    """The response, with another session from here on."""
    return _with_session(asked, response, session)


def _with_session(asked: Asked, response: Response, session: Session) -> Response:
    response.set_cookie(
        asked.desk.signer.session_cookie,
        write_session(asked.desk.signer, session),
        max_age=30 * 24 * 3600,
        httponly=True,
        samesite="lax",
        secure=asked.request.url.scheme == "https",
    )
    return response


def _kept(asked: Asked) -> list[tuple[str, str]]:
    """What a form said, to be sent again; files can't be kept."""
    form = asked.form
    items = form.multi_items() if isinstance(form, FormData) else []
    return [(name, value) for name, value in items if isinstance(value, str) and name != FORM_MARK]


def _here(asked: Asked) -> str:
    url = asked.request.url
    if asked.request.method == "POST":
        return url.path
    return url.path + (f"?{url.query}" if url.query else "")


def inside(to: str, default: str = "") -> str:
    """An address, if it is one of this desk's; the default for any other."""
    return to if to.startswith("/") and not to.startswith(("//", "/\\")) else default


def _holds_files(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/form-data")


def _too_large(desk: Desk, request: Request) -> str:
    if not _holds_files(request):
        return "What was sent is longer than the text of a form may be. Nothing was stored."
    most = desk.settings.max_upload_bytes / 2**20
    return (
        f"The file is larger than {most:,.0f} MB, which is what this desk takes. Split it, or "
        "start the desk with a larger --max-upload-bytes. Nothing was stored."
    )


def upload_of(asked: Asked, name: str) -> UploadFile | None:
    """A file that was sent; None when none was chosen."""
    file = asked.form.get(name)
    return file if isinstance(file, UploadFile) and file.filename else None
