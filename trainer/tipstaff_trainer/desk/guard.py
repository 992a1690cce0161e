"""What stands before every page: limits, foreign sites, and headers that browsers obey."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Room for a form's other fields beside a file.
_BESIDE_A_FILE = 2 * 2**20
# A form without a file is read into memory.
_FORM_BYTES = 8 * 2**20
_SAFE = ("GET", "HEAD", "OPTIONS")
_HEADERS = {
    # Everything a page loads is ours and in a file; nothing runs that stands in a page.
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
}


class TooLargeError(Exception):
    """More was sent than is read."""


class Guard:
    """The outermost layer.

    Args:
        app: What it guards.
        max_upload_bytes: Of a file.
        local: Whether only this machine is served; then other host names are refused, so that a
            foreign site can't pass for this machine by its name (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, *, max_upload_bytes: int, local: bool) -> None:
        self._app = app
        self._most = max_upload_bytes + _BESIDE_A_FILE
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if refusal := self._refusal(scope["method"], headers):
            await PlainTextResponse(refusal + "\n", status_code=403)(scope, receive, send)
            return
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
                # Styles and scripts are asked after each time: they change with the desk's version.
                static = scope["path"].startswith("/static/")
                out["cache-control"] = "no-cache" if static else "no-store"
            await send(message)

        length = headers.get("content-length", "0")
        scope["tipstaff.too_large"] = length.isdigit() and int(length) > most
        await self._app(scope, counted, with_headers)

    def _refusal(self, method: str, headers: Headers) -> str:
        host = headers.get("host", "")
        if self._local and not _is_local(host):
            return f"{host!r} is not this desk's name: open it as localhost or 127.0.0.1"
        if method in _SAFE:
            return ""
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        foreign = site not in (None, "same-origin", "none") or (
            origin not in (None, "null") and origin.partition("://")[2] != host
        )
        return "this was sent by another site's page: open the desk itself" if foreign else ""


def _is_local(host: str) -> bool:
    """Whether a Host header names this machine as itself."""
    with suppress(ValueError):
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    return False
