"""Answers scrapes over HTTP, with bounds on what a client can take up.

One thread, whatever connects: a few connections, each with a few seconds and a few kilobytes.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry

from tipstaff.access_files import Credentials, Watched
from tipstaff.access_files.tls import FollowingContext
from tipstaff.host_ports import split_host_port, with_port
from tipstaff_server.addresses import bind_problem
from tipstaff_server.errors import ListenError

# Connections at a time. One more, and the oldest is dropped: a scrape is over in milliseconds.
_CONNECTIONS = 32
# For reading a request, and again for sending its reply.
_SECONDS = 5.0
_HEAD_BYTES = 16384


class MetricsServer:
    """Answers scrapes on a thread of its own, so that they neither wait for calls nor delay them.

    Attributes:
        url: The URL to scrape, with the actual port.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        address: str,
        credentials: Watched[Credentials] | None = None,
    ) -> None:
        """Starts to listen, over TLS if there are credentials.

        Raises:
            ListenError: The address can't be listened on.
        """
        self._app = prometheus_client.make_wsgi_app(registry)
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        try:
            listener = _listen(address)
        except (OSError, UnicodeError) as error:
            raise ListenError(
                bind_problem(address),
                field="metrics_listen",
                value=address,
                remedy="choose another, 0 for any free port, or off",
            ) from error
        scheme, tls = "http", None
        if credentials is not None:
            scheme, tls = "https", FollowingContext.of(credentials)
        self.url = f"{scheme}://{with_port(address, listener.getsockname()[1])}/metrics"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="metrics", daemon=True)
        self._thread.start()
        serving = asyncio.start_server(
            self._connected,
            sock=listener,
            limit=_HEAD_BYTES,
            ssl=tls,
            ssl_handshake_timeout=_SECONDS if tls else None,
        )
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result()

    def stop(self) -> None:
        """Stops listening."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= _CONNECTIONS:
            oldest = next(iter(self._connections))
            oldest.cancel()
            self._drop(oldest)
        task = asyncio.create_task(self._answer(reader, writer))
        self._connections[task] = writer
        task.add_done_callback(self._drop)

    def _drop(self, task: asyncio.Task[None]) -> None:
        """Ends a task's connection, with what the client has not taken yet."""
        if writer := self._connections.pop(task, None):
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that leaves, is too slow or sends too much gets no answer.
        with suppress(OSError, EOFError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(respond(self._app, head))
            async with asyncio.timeout(_SECONDS):
                await writer.drain()
                writer.close()
                await writer.wait_closed()


def _listen(address: str) -> socket.socket:
    host, port = split_host_port(address)
    # Not left to asyncio, whose socket for [::] would answer no IPv4.
    family, *_, socket_address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    dual = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    return socket.create_server(socket_address[:2], family=family, backlog=128, dualstack_ipv6=dual)


def respond(app: Callable[..., Iterable[bytes]], head: bytes) -> bytes:
    """The reply to one request, after which the connection ends.

    Args:
        app: Prometheus' WSGI application.
        head: The request's line and headers.
    """
    line, *fields = head.decode("latin-1").split("\r\n")
    method, _, target = line.partition(" ")
    path, _, query = target.partition(" ")[0].partition("?")
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query}
    for name, _, value in (field.partition(":") for field in fields):
        environ[f"HTTP_{name.strip().upper().replace('-', '_')}"] = value.strip()
    lines: list[str] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        lines.append(f"HTTP/1.1 {status}")
        lines.extend(f"{name}: {value}" for name, value in headers)

    try:
        body = b"".join(app(environ, start_response))
    except Exception as error:  # as for an Accept with `version=abc`; the client may see why
        lines[:] = ["HTTP/1.1 500 Internal Server Error", "Content-Type: text/plain"]
        body = f"{type(error).__name__}: {error}\n".encode()
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + (b"" if method == "HEAD" else body)
