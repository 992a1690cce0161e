"""A port for probes, such as Kubernetes', which speak neither TLS nor tokens: health alone."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2_grpc

from tipstaff.host_ports import with_port
from tipstaff_server.addresses import bind_problem
from tipstaff_server.errors import ListenError
from tipstaff_server.rpc.health import HealthServicer

# Probes are few; whoever reaches the port may not take more.
_CALLS = 64
_MESSAGE_BYTES = 4096


class HealthPort:
    """Answers the health service over plain gRPC. Belongs to one event loop."""

    def __init__(self, health: HealthServicer) -> None:
        self._server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", _MESSAGE_BYTES),
            ],
            maximum_concurrent_rpcs=_CALLS,
        )
        health_pb2_grpc.add_HealthServicer_to_server(health, self._server)

    async def start(self, address: str) -> str:
        """Starts to listen.

        Args:
            address: HOST:PORT; port 0 is any free one.

        Returns:
            The address, with the port that it got.

        Raises:
            ListenError: It can't be listened on.
        """
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError:
            port = 0
        if not port:
            raise ListenError(bind_problem(address), field="health_listen", value=address)
        await self._server.start()
        return with_port(address, port)

    async def stop(self) -> None:
        """Stops listening."""
        await self._server.stop(None)
