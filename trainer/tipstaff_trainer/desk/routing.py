"""From an address to whoever answers: the session, the token, and the mark that forms carry."""

from __future__ import annotations

import hmac
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tipstaff.errors import TipstaffError
from tipstaff_trainer.desk.context import FORM_MARK, Asked, Desk, inside
from tipstaff_trainer.desk.guard import TooLargeError
from tipstaff_trainer.desk.sessions import Session, new_session, read_session, write_session

Handler = Callable[[Asked], Response]


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
        except OSError as error:
            # Files come into a temporary one first.
            asked = Asked(desk, request, session, {})
            return _signed(asked, asked.page("problem.html", status=507, problem=_no_room(error)))
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
            to=asked.here,
            kept=_kept(asked),
        )
    if asked.request.method == "POST" and not (open_to_all and wants_token):
        mark = asked.form.get(FORM_MARK, "")
        right = asked.desk.signer.form_mark(asked.session)
        if not isinstance(mark, str) or not hmac.compare_digest(mark.encode(), right.encode()):
            return asked.page("send_again.html", status=403, to=asked.here, kept=_kept(asked))
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
        return with_session(asked, response, asked.session)
    longer = replace(asked.session, until=new_session(seconds).until)
    return with_session(asked, response, longer)


def with_session(asked: Asked, response: Response, session: Session) -> Response:
    """The response, with another session from here on."""
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


def _holds_files(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/form-data")


def _no_room(error: OSError) -> str:
    return (
        f"What was sent can't be kept in {tempfile.gettempdir()}, where the desk runs: "
        f"{error.strerror}. Make room there and send it again. Nothing was stored."
    )


def _too_large(desk: Desk, request: Request) -> str:
    if not _holds_files(request):
        return "What was sent is longer than the text of a form may be. Nothing was stored."
    most = desk.settings.max_upload_bytes / 2**20
    return (
        f"The file is larger than {most:,.0f} MB, which is what this desk takes. Split it, or "
        "start the desk with a larger --max-upload-bytes. Nothing was stored."
    )
