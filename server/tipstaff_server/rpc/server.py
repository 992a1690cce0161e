"""The gRPC server: services, limits and addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tipstaff.access_files import Credentials, Watched
from tipstaff.access_files.tls import server_credentials
from tipstaff.host_ports import with_port
from tipstaff.v1 import scoring_pb2, scoring_pb2_grpc
from tipstaff_server.addresses import (
    UNIX,
    bind_problem,
    socket_owner_problem,
    socket_path,
)
from tipstaff_server.errors import ListenError
from tipstaff_server.rpc.doors import Doors
from tipstaff_server.rpc.health import HealthServicer
from tipstaff_server.rpc.malformed import MalformedMessages
from tipstaff_server.rpc.methods import Methods
from tipstaff_server.rpc.reflection import add_reflection
from tipstaff_server.rpc.servicer import ScoringServicer
from tipstaff_server.settings import Settings

# Room in a message for all that isn't text.
_ENVELOPE_BYTES = 65536
# gRPC counts message sizes in 32 bits.
_MOST_BYTES = 2**31 - 1
# The least pause between two pings of a client. Half of what clients are told: after three early
# ones gRPC ends the connection, and a network doesn't keep pauses exact.
_PING_SECONDS = 5.0
# Once no call is at work, how long a draining server waits for callers to take their replies.
_REPLY_SECONDS = 2.0


class RpcServer:
    """Answers gRPC on one or several addresses. Belongs to one event loop."""

    def __init__(
        self,
        scoring: ScoringServicer,
        health: HealthServicer,
        malformed: MalformedMessages,
        settings: Settings,
        doors: Doors,
        credentials: Watched[Credentials] | None = None,
    ) -> None:
        self._server = grpc.aio.server(options=_options(settings))
        self._credentials = credentials
        self._methods = Methods(self._server, malformed, doors)
        scoring_pb2_grpc.add_ScoringServiceServicer_to_server(  # type: ignore[no-untyped-call]
            scoring, self._methods
        )
        health_pb2_grpc.add_HealthServicer_to_server(health, self._methods)
        add_reflection((scoring_pb2.DESCRIPTOR, health_pb2.DESCRIPTOR), self._methods)

    async def start(self, addresses: Sequence[str]) -> tuple[str, ...]:
        """Starts to listen.

        Args:
            addresses: `HOST:PORT`, where port 0 is any free one, or `unix:PATH`.

        Returns:
            The addresses, with the ports that they got.

        Raises:
            ListenError: One can't be listened on.
        """
        bound = tuple(self._bind(address) for address in addresses)
        await self._server.start()
        return bound

    async def wait_for_end(self) -> None:
        """Waits until the server takes no calls any more. Don't cancel it: gRPC waits for the same.

        Raises:
            Exception: What gRPC failed with.
        """
        await self._server.wait_for_termination()

    async def stop(self, grace: float) -> None:
        """Takes no more calls, and answers those under way.

        Args:
            grace: Seconds after which they are cancelled. Once none is at work, replies that no
                caller takes are dropped, and so are calls whose message doesn't arrive.
        """
        stopping = asyncio.create_task(self._server.stop(grace))
        while not stopping.done():
            await self._methods.idle.wait()
            await asyncio.wait({stopping}, timeout=_REPLY_SECONDS)
            if self._methods.idle.is_set():
                break
        await self._server.stop(None)
        await stopping

    def _bind(self, address: str) -> str:
        unix = address.startswith(UNIX)
        target = address
        if unix:
            # gRPC would silently take another server's socket away.
            if problem := socket_owner_problem(socket_path(address)):
                raise _listen_error(address, problem)
            # gRPC reads it as a URI.
            target = UNIX + str(socket_path(address)).replace("%", "%25")
        try:
            # A socket's file says who may connect.
            if unix or self._credentials is None:
                port = self._server.add_insecure_port(target)
            else:
                port = self._server.add_secure_port(target, server_credentials(self._credentials))
        except RuntimeError:
            port = 0
        if not port:
            raise _listen_error(address, bind_problem(address))
        if unix:
            # Clients need to write to it: let the group do so, as in a pod with an fsGroup.
            socket_path(address).chmod(0o660)
            return address
        return with_port(address, port)


def _options(settings: Settings) -> list[tuple[str, int]]:
    """The options of the gRPC server."""
    most_bytes = settings.max_request_bytes * settings.max_batch_items + _ENVELOPE_BYTES
    options = [
        # Otherwise two servers may share a port, and each gets some of the requests.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", min(most_bytes, _MOST_BYTES)),
        ("grpc.max_send_message_length", -1),
        ("grpc.http2.min_ping_interval_without_data_ms", round(1000 * _PING_SECONDS)),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    if settings.connection_age_seconds:
        # gRPC spreads the ages, so that connections of one moment don't end in one moment.
        options += [
            ("grpc.max_connection_age_ms", round(1000 * settings.connection_age_seconds)),
            ("grpc.max_connection_age_grace_ms", round(1000 * settings.connection_grace_seconds)),
        ]
    return options


def _listen_error(address: str, why: str) -> ListenError:
    return ListenError(why, field="listen", value=address)
