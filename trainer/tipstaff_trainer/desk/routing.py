"""Routes: reading the form, checking the session, calling the handler, showing its errors."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tipstaff.errors import TipstaffError
from tipstaff_trainer.desk.context import Desk, RequestContext, local_address
from tipstaff_trainer.desk.forms import describe
from tipstaff_trainer.desk.guard import TooLargeError
from tipstaff_trainer.desk.sessions import keep_alive

Handler = Callable[[RequestContext], Response]
# A page that shows a form again, with what was entered and what is wrong with it.
FormPage = Callable[[RequestContext, TipstaffError], Response]
AnyHandler = TypeVar("AnyHandler", bound=Handler)


class Routes(list[Route]):
    """The routes of a module of pages; decorators add its handlers. A public one needs no token."""

    def get(self, path: str, *, public: bool = False) -> Callable[[AnyHandler], AnyHandler]:
        """Adds the handler of a page."""
        return self.post(path, public=public, method="GET")

    def post(
        self,
        path: str,
        *,
        public: bool = False,
        again: FormPage | None = None,
        method: str = "POST",
    ) -> Callable[[AnyHandler], AnyHandler]:
        """Adds the handler of a form.

        Args:
            path: Its path.
            public: Whether it needs no token.
            again: The page that shows the form again with the handler's error.
            method: The HTTP method.
        """

        def add(handler: AnyHandler) -> AnyHandler:
            self.append(Route(path, _endpoint(handler, public, again), methods=[method]))
            return handler

        return add


def _endpoint(
    handler: Handler, public: bool, again: FormPage | None
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        desk: Desk = request.app.state.desk
        ctx = RequestContext(desk, request, {})
        keep_alive(request.session, desk.settings.session_seconds)
        try:
            form = await _form(request, files=ctx.admitted)
        except TooLargeError:
            return ctx.problem(_too_large(desk, request), status=413, title="Too large")
        except OSError as error:
            # Uploads are written to a temporary file first.
            return ctx.problem(_disk_full(error), status=507, title="The upload failed")
        try:
            ctx = RequestContext(desk, request, form)
            return await run_in_threadpool(_answer, ctx, handler, public, again)
        finally:
            if isinstance(form, FormData):
                await form.close()

    return endpoint


def _answer(
    ctx: RequestContext, handler: Handler, public: bool, again: FormPage | None
) -> Response:
    if not public and not ctx.admitted:
        has_cookie = ctx.desk.session_cookie in ctx.request.cookies
        expired = not ctx.session and (has_cookie or ctx.request.method == "POST")
        return ctx.page(
            "sign_in.html",
            status=401,
            error="You were signed out: the session has expired." if expired else "",
            to=ctx.url,
            kept=_text_fields(ctx.form),
        )
    try:
        try:
            return handler(ctx)
        except TipstaffError as error:
            if again is None:
                raise
            return again(ctx, error)
    except TipstaffError as error:
        if ctx.request.method != "POST":
            return ctx.problem(describe(error, {}), status=404)
        if back := local_address(ctx.text("back")):
            return ctx.redirect(back, describe(error, {}), "bad")
        return ctx.problem(describe(error, {}), status=400)


async def _form(request: Request, *, files: bool) -> Mapping[str, Any]:
    if request.method != "POST":
        return {}
    if request.scope.get("tipstaff.too_large"):
        raise TooLargeError
    if _has_files(request) and not files:
        # Without a session no file is stored; the body is read, or the browser shows no answer.
        async for _ in request.stream():
            pass
        return {}
    return await request.form(max_files=1, max_fields=300, max_part_size=4 * 2**20)


def _text_fields(form: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A form's texts, to be sent again after signing in; files can't be kept."""
    items = form.multi_items() if isinstance(form, FormData) else []
    return [(name, value) for name, value in items if isinstance(value, str)]


def _has_files(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/form-data")


def _disk_full(error: OSError) -> str:
    return (
        f"The upload can't be stored in {tempfile.gettempdir()} on the desk's machine: "
        f"{error.strerror}. Make room there and upload the file again. Nothing was stored."
    )


def _too_large(desk: Desk, request: Request) -> str:
    if not _has_files(request):
        return "The form's text is too long. Nothing was stored."
    most = desk.settings.max_upload_bytes / 2**20
    return (
        f"The file is larger than {most:,.0f} MB, the largest upload that this desk accepts. Split "
        "the file, or start the desk with a larger max_upload_bytes. Nothing was stored."
    )
