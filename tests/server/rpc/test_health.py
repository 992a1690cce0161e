from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tipstaff_server.rpc.health import HealthServicer

UNKNOWN, SERVING, NOT_SERVING, SERVICE_UNKNOWN = range(4)


@asynccontextmanager
async def served() -> AsyncIterator[tuple[HealthServicer, health_pb2_grpc.HealthStub]]:
    health, server = HealthServicer(), grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield health, health_pb2_grpc.HealthStub(channel)
        await server.stop(5)


async def check(stub: health_pb2_grpc.HealthStub, service: str = "") -> int:
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


def test_the_empty_name_serves_when_all_do():
    async def main() -> None:
        async with served() as (health, stub):
            assert await check(stub) == NOT_SERVING
            for evaluators, all_serve in [
                ({}, NOT_SERVING),
                ({"a": True, "b": False}, NOT_SERVING),
                ({"a": True, "b": True}, SERVING),
                # All were ready once: a new evaluator that isn't ready must not stop the others.
                ({"a": True, "b": True, "c": False}, SERVING),
                # The workers are dead.
                ({"a": False, "b": False, "c": False}, NOT_SERVING),
                ({"a": True, "b": False, "c": False}, NOT_SERVING),
            ]:
                health.show(evaluators)
                assert await check(stub) == all_serve
            assert await check(stub, "a") == SERVING
            assert await check(stub, "b") == NOT_SERVING

    asyncio.run(main())


def test_every_watcher_is_told_of_changes_and_let_go_at_the_end():
    async def main() -> None:
        async with served() as (health, stub):

            def watch(service: str) -> grpc.aio.UnaryStreamCall:
                return stub.Watch(health_pb2.HealthCheckRequest(service=service))

            leaving, staying, early = watch("a"), watch("a"), watch("later")
            assert (await leaving.read()).status == SERVICE_UNKNOWN
            assert (await staying.read()).status == SERVICE_UNKNOWN
            assert (await early.read()).status == SERVICE_UNKNOWN
            leaving.cancel()
            health.show({"a": True})
            assert (await staying.read()).status == SERVING
            health.show({"a": True, "later": True})
            assert (await early.read()).status == SERVING
            health.close()
            for call in (staying, early):
                assert (await call.read()).status == NOT_SERVING
                assert await call.read() is grpc.aio.EOF
            health.show({"a": True})
            assert await check(stub, "a") == NOT_SERVING

    asyncio.run(asyncio.wait_for(main(), 20))
