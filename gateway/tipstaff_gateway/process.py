"""The process of a gateway: starts its parts, and stops them."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from typing import Any, Never

import grpc
import grpc.aio
import uvicorn

from tipstaff.access_files import Credentials, Watched, watch_credentials
from tipstaff.access_files.tls import FollowingContext, server_credentials
from tipstaff.errors import TipstaffError, UsageError
from tipstaff.host_ports import split_host_port, with_port
from tipstaff.polling import keep_polling
from tipstaff_gateway.app import build
from tipstaff_gateway.doors.ext_proc import ExternalProcessor
from tipstaff_gateway.doors.openinference_rpc import InferenceServicer
from tipstaff_gateway.doors.services import Services
from tipstaff_gateway.joins import JoinMemory
from tipstaff_gateway.local_server import local_server
from tipstaff_gateway.mapping import ProtocolMapping, load_mapping
from tipstaff_gateway.metrics import Metrics
from tipstaff_gateway.named_evaluators import check_named
from tipstaff_gateway.settings import OFF, Settings
from tipstaff_gateway.stubs import ext_proc_pb2_grpc, open_inference_pb2_grpc
from tipstaff_gateway.upstream import Upstream, connect

log = logging.getLogger("tipstaff_gateway")

_GRACE_SECONDS = 5
# Room in a message beside the body. A body that is a bit too large then gets the gateway's own
# error, and not gRPC's.
_ENVELOPE_BYTES = 65536


def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        TipstaffError: The gateway can't start, or what it can't do without ended.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    mappings = load_mapping(settings.mapping)
    # A signal that comes before the gateway serves cancels its start.
    with _listen(settings) as listener, suppress(asyncio.CancelledError):
        asyncio.run(_run(settings, mappings, listener))


class _WebServer(uvicorn.Server):
    """Leaves signals to this module: uvicorn would raise them again, and exit with their status."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        self.should_exit = True


async def _run(
    settings: Settings,
    mappings: Mapping[str, ProtocolMapping],
    listener: socket.socket,
) -> None:
    starting = asyncio.current_task()
    assert starting is not None
    _on_signals(starting.cancel)
    async with AsyncExitStack() as stack:
        target = settings.target
        # What the gateway can't do without, and why it ends then.
        needed: dict[asyncio.Task[Any], str] = {}
        if settings.bundles is not None:
            target, process = await stack.enter_async_context(local_server(settings.bundles))
            needed[process] = "the gateway's own server ended"
        credentials = watch_credentials(
            settings.tls_certificate, settings.tls_key, settings.tls_client_ca
        )
        upstream = Upstream(connect(settings, target), settings.evaluator)
        stack.push_async_callback(upstream.aclose)
        services = Services(
            settings,
            upstream,
            mappings,
            Metrics(),
            JoinMemory(settings.max_joins, settings.join_seconds),
        )
        services.metrics.follow_files("target_tls", lambda: upstream.tls_stale)
        if credentials is not None:
            stack.callback(_follow(credentials, services).cancel)
        if settings.grpc_listen != OFF:
            rpc = await _start_rpc(services, credentials)
            stack.push_async_callback(rpc.stop, _GRACE_SECONDS)
            needed[asyncio.create_task(rpc.wait_for_termination())] = "the gRPC server ended"
        web = _WebServer(_web_config(services, credentials))
        _on_signals(web.stop)
        _log_address(settings, listener, target)
        checking = asyncio.create_task(check_named(settings, mappings, target))
        stack.callback(checking.cancel)
        serving = asyncio.create_task(web.serve(sockets=[listener]))
        await asyncio.wait([serving, *needed], return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            web.stop()
            await serving
            raise TipstaffError(next(why for task, why in needed.items() if task.done()))
        await serving


def _on_signals(stop: Callable[[], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


def _follow(credentials: Watched[Credentials], services: Services) -> asyncio.Task[Never]:
    """Follows the TLS files of the gateway's ports, and shows their state in the metrics."""
    services.metrics.follow_files("tls", lambda: credentials.stale)
    services.metrics.follow_certificate(lambda: credentials.current.expires)

    polling = keep_polling(
        "tls",
        partial(asyncio.to_thread, credentials.poll),
        services.settings.poll_seconds,
        on_failure=services.metrics.poll_failures("tls"),
    )
    return asyncio.get_running_loop().create_task(polling)


async def _start_rpc(
    services: Services, credentials: Watched[Credentials] | None
) -> grpc.aio.Server:
    settings = services.settings
    options = [
        ("grpc.max_receive_message_length", settings.max_body_bytes + _ENVELOPE_BYTES),
        ("grpc.so_reuseport", 0),
    ]
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=settings.max_calls)
    ext_proc_pb2_grpc.add_ExternalProcessorServicer_to_server(  # type: ignore[no-untyped-call]
        ExternalProcessor(services), server
    )
    open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(  # type: ignore[no-untyped-call]
        InferenceServicer(services), server
    )
    address = settings.grpc_listen
    try:
        port = (
            server.add_secure_port(address, server_credentials(credentials))
            if credentials
            else server.add_insecure_port(address)
        )
    except RuntimeError as error:
        raise UsageError(
            "can't be listened on", field="grpc_listen", value=address, remedy="choose another"
        ) from error
    await server.start()
    log.info("gRPC on %s", with_port(address, port))
    return server


def _web_config(services: Services, credentials: Watched[Credentials] | None) -> uvicorn.Config:
    config = uvicorn.Config(
        build(services),
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        # The gateway doesn't use callers' addresses.
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    config.load()
    # With uvicorn's own settings, the files would be read only once.
    config.ssl = FollowingContext.of(credentials) if credentials is not None else None
    return config


def _log_address(settings: Settings, listener: socket.socket, target: str) -> None:
    scheme = "https" if settings.tls_certificate else "http"
    address = with_port(settings.listen, listener.getsockname()[1])
    log.info("%s on %s://%s, in front of %s", scheme.upper(), scheme, address, target)


def _listen(settings: Settings) -> socket.socket:
    host, port = split_host_port(settings.listen)
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        dual = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
        listener = socket.create_server(
            address[:2], family=family, backlog=256, dualstack_ipv6=dual
        )
    except OSError as error:
        raise UsageError(
            f"can't be listened on: {error.strerror}",
            field="listen",
            value=settings.listen,
            remedy="choose another, or port 0 for any free one",
        ) from None
    # Connections inherit this. asyncio sets it only for sockets that name their protocol, and
    # without it replies wait 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
