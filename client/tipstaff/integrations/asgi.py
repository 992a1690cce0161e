"""Any ASGI app: Starlette, FastAPI, Quart, Django.

    app = TipstaffMiddleware(app, Guard(client), paths=("/chat",), read=read, write=write)

Answers of these paths are held back until they were checked, streams too.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any, TypeAlias

from tipstaff.errors import NoAnswerError, ScoringError
from tipstaff.integrations.guard import BlockedError, Guard, log_held_back
from tipstaff.types import Interaction

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]
# From the bodies of a request and its answer; None for an answer that needs no check.
Read: TypeAlias = Callable[[bytes, bytes], Interaction | None]
# From an answer's body and the text to answer in place.
Write: TypeAlias = Callable[[bytes, str], bytes]


class TipstaffMiddleware:
    """Checks the answers of an app.

    A blocked answer becomes 403; one without a score 503, or 502 if the guard is set up wrongly;
    all as `application/problem+json`. For `retry` the app is called again with the same request.

    Args:
        app: The app.
        guard: Decides what to do with answers that fail.
        paths: The paths whose answers are checked.
        read: Gives the interaction in the bodies of a request and its answer. What it raises ends
            the request: an answer that can't be read does not pass.
        write: Puts the text of `replace` into an answer's body; by default it is the whole body.
        max_bytes: Largest body, of a request or an answer; larger ones become 413 and 502.
    """

    def __init__(
        self,
        app: App,
        guard: Guard,
        *,
        paths: Collection[str],
        read: Read,
        write: Write = lambda body, text: text.encode(),
        max_bytes: int = 2**20,
    ) -> None:
        self._app = app
        self._guard = guard
        self._paths = frozenset(paths)
        self._read = read
        self._write = write
        self._max_bytes = max_bytes

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http" or scope["path"] not in self._paths:
            await self._app(scope, receive, send)
            return
        try:
            request = await _read_request(receive, self._max_bytes)
        except _CallerLeftError:
            return
        if request is None:
            await _send_problem(send, 413, f"the body is larger than {self._max_bytes} bytes")
            return
        attempt = 0
        while True:
            answer = _Answer(self._max_bytes)
            await self._app(scope, _Replayed(request, receive), answer.take)
            if answer.too_large:
                await _send_problem(send, 502, f"the answer is larger than {self._max_bytes} bytes")
                return
            if not 200 <= answer.status < 300:
                await answer.send(send)
                return
            interaction = self._read(request, answer.body)
            if interaction is None:
                await answer.send(send)
                return
            try:
                outcome = await self._guard.acheck(interaction, attempt)
            except BlockedError as error:
                log_held_back(error.checked, "blocked")
                await _send_problem(send, 403, str(error))
                return
            except ScoringError as error:
                status = 503 if isinstance(error, NoAnswerError) else 502
                await _send_problem(send, status, str(error))
                return
            if outcome.kind == "replace":
                answer.replace(self._write(answer.body, outcome.text))
            if outcome.kind != "retry":
                await answer.send(send)
                return
            attempt += 1


class _CallerLeftError(Exception):
    """The caller left before the request was here."""


class _Replayed:
    """Gives an app the body of a request that was read already."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class _Answer:
    """Takes an app's answer whole."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._start: Message = {}
        self.body = b""
        self.too_large = False

    @property
    def status(self) -> int:
        return int(self._start.get("status", 500))

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body" and not self.too_large:
            self.body += message.get("body", b"")
            self.too_large = len(self.body) > self._max_bytes
            if self.too_large:
                self.body = b""

    def replace(self, body: bytes) -> None:
        kept = [
            (name, value)
            for name, value in self._start.get("headers", ())
            if name.lower() not in (b"content-length", b"etag")
        ]
        length = (b"content-length", str(len(body)).encode())
        self._start = {**self._start, "headers": [*kept, length]}
        self.body = body

    async def send(self, send: Send) -> None:
        await send(self._start)
        await send({"type": "http.response.body", "body": self.body})


async def _read_request(receive: Receive, max_bytes: int) -> bytes | None:
    """The body of a request; None if it is too large."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _CallerLeftError
        body += bytes(message.get("body", b""))
        if len(body) > max_bytes:
            return None
        if not message.get("more_body"):
            return body


async def _send_problem(send: Send, status: int, detail: str) -> None:
    members = {"type": "about:blank", "title": "Not answered", "status": status, "detail": detail}
    body = json.dumps(members).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
