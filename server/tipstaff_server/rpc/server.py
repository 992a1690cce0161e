"""The gRPC server: services, limits and addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from tipstaff.v1 import scoring_pb2, scoring_pb2_grpc
from tipstaff_server.errors import ListenError
from tipstaff_server.rpc.health import HealthServicer
from tipstaff_server.rpc.servicer import ScoringServicer
from tipstaff_server.settings import split_address

# Room in a message for all that isn't text.
_ENVELOPE_BYTES = 65536
# gRPC counts message sizes in 32 bits.
_MOST_BYTES = 2**31 - 1


class RpcServer:
    """Answers gRPC on one or several addresses. Belongs to one event loop."""

    def __init__(
        self, scoring: ScoringServicer, health: HealthServicer, *, max_message_bytes: int
    ) -> None:
        self._server = grpc.aio.server(
            options=[
                # Otherwise two servers may share a port, and each gets some of the requests.
                ("grpc.so_reuseport", 0),
                (
                    "grpc.max_receive_message_length",
                    min(max_message_bytes + _ENVELOPE_BYTES, _MOST_BYTES),
                ),
                ("grpc.max_send_message_length", -1),
            ]
        )
        scoring_pb2_grpc.add_ScoringServiceServicer_to_server(  # type: ignore[no-untyped-call]
            scoring, self._server
        )
        health_pb2_grpc.add_HealthServicer_to_server(health, self._server)
        services = (
            scoring_pb2.DESCRIPTOR.services_by_name["ScoringService"].full_name,
            health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
            reflection.SERVICE_NAME,
        )
        reflection.enable_server_reflection(services, self._server)

    async def start(self, addresses: Sequence[str]) -> tuple[str, ...]:
        """Starts to listen.

        Args:
            addresses: `HOST:PORT`, where port 0 is any free one, or `unix:PATH`.

        Returns:
            The addresses, with the ports that they got.

        Raises:
            ListenError: One is taken already, or isn't this machine's.
        """
        bound = tuple([await self._bind(address) for address in addresses])
        await self._server.start()
        return bound

    async def stop(self, grace: float) -> None:
        """Takes no more calls, waits `grace` seconds for those under way, then cancels them."""
        await self._server.stop(grace)

    async def _bind(self, address: str) -> str:
        if address.startswith("unix:"):
            await _refuse_if_answered(address)
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError:
            port = 0
        if not port:
            raise _listen_error(
                address, "taken already, not of this host, or a name it doesn't know"
            )
        if address.startswith("unix:"):
            # Clients need to write to it: let the group do so, as in a pod with an fsGroup.
            _socket_path(address).chmod(0o660)
            return address
        host, _ = split_address(address)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _refuse_if_answered(address: str) -> None:
    """Raises if another server answers there: gRPC would silently take its socket away."""
    path = _socket_path(address)
    if not path.parent.is_dir():
        raise _listen_error(address, f"there is no folder {path.parent}")
    if not path.exists():
        return
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return  # a leftover of a server that is gone; gRPC replaces it
    writer.close()
    raise _listen_error(address, "another server answers there")


def _listen_error(address: str, why: str) -> ListenError:
    return ListenError(why, field="listen", value=address)


def _socket_path(address: str) -> Path:
    return Path(address.removeprefix("unix:").removeprefix("//"))
