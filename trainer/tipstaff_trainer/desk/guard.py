"""Protection around every page: upload limits, cross-site requests and security headers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tipstaff_trainer.desk.settings import is_loopback

# Room for a form's other fields beside a file.
_OTHER_FIELDS = 2 * 2**20
# A form without a file is read into memory.
_FORM_BYTES = 8 * 2**20
_SAFE = ("GET", "HEAD", "OPTIONS")
_HEADERS = {
    # Pages load only the desk's own files, and have no inline scripts or styles.
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
}


class TooLargeError(Exception):
    """A request's body is larger than the desk reads."""


class Guard:
    """The outermost middleware.

    A form's request is refused if another site's page sent it. Browsers tell by `Sec-Fetch-Site`,
    or, over plain HTTP, by `Origin`. Together with `SameSite` cookies this replaces form tokens.

    Args:
        app: The application.
        max_upload_bytes: The largest file to accept.
        local: Whether only this machine is served. Then other host names are refused, so that no
            site can send requests to the desk under its own name (DNS rebinding).
        refusal: Makes the page that refuses a request, from its path and the keywords `problem` and
            `open_at`, an address to use instead.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_upload_bytes: int,
        local: bool,
        refusal: Callable[..., Response],
    ) -> None:
        self._app = app
        self._refusal_page = refusal
        self._most = max_upload_bytes + _OTHER_FIELDS
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        file = headers.get("content-type", "").startswith("multipart/form-data")
        most = self._most if file else _FORM_BYTES
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise TooLargeError
            return message

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    out.setdefault(name, value)
                # Browsers revalidate styles and scripts, which change with the desk's version.
                static = scope["path"].startswith("/static/")
                out["cache-control"] = "no-cache" if static else "no-store"
            await send(message)

        if refusal := self._refusal(scope, headers):
            await refusal(scope, receive, with_headers)
            return
        length = headers.get("content-length", "0")
        scope["tipstaff.too_large"] = length.isdigit() and int(length) > most
        await self._app(scope, counted, with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host, method, path = headers.get("host", ""), scope["method"], scope["path"]
        # The refusing page's own styles are for everybody.
        if self._local and not _is_local(host) and not path.startswith("/static/"):
            _, port = scope.get("server") or ("", None)
            return self._refusal_page(
                path,
                problem=f"{host[:200]!r} is not this desk's host name: open the desk as localhost "
                "or 127.0.0.1",
                open_at=f"http://127.0.0.1:{port}/" if port else "",
            )
        if method not in _SAFE and _is_cross_site(headers, host):
            problem = "this request came from another site's page: open the desk itself"
            return self._refusal_page(path, problem=problem)
        return None


def _is_cross_site(headers: Headers, host: str) -> bool:
    """Whether another site's page sent a request."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site not in ("same-origin", "none")
    # `null` is the origin of a sandboxed page and of others that hide theirs.
    return origin is not None and origin.partition("://")[2] != host


def _is_local(host: str) -> bool:
    """Whether a Host header names the loopback interface."""
    with suppress(ValueError):
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    return False
