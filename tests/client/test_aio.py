"""What only the asyncio client has: event loops, tasks."""

from __future__ import annotations

import asyncio

import pytest

from tipstaff import AsyncClient


def test_calls_run_concurrently(server):
    server.service.delay = 0.2

    async def main() -> float:
        async with AsyncClient(server.target, timeout=5) as client:
            loop = asyncio.get_running_loop()
            start = loop.time()
            scores = await asyncio.gather(
                *(client.score(output="A", request_id=f"r-{number}") for number in range(8))
            )
            assert [score.request_id for score in scores] == [f"r-{n}" for n in range(8)]
            return loop.time() - start

    assert asyncio.run(main()) < 1.4


def test_a_cancelled_task_takes_its_call_with_it(server):
    server.service.delay = 30

    async def main() -> None:
        async with AsyncClient(server.target, timeout=30, on_failure="open") as client:
            task = asyncio.create_task(client.score(output="A"))
            await asyncio.to_thread(server.service.arrived.wait, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert server.service.cancelled.wait(5)


def test_a_cancelled_task_takes_all_attempts_of_its_call_with_it(start_server):
    two = start_server("127.0.0.1:0"), start_server("127.0.0.2:0")
    for server in two:
        server.service.delay = 30

    async def main() -> None:
        target = "ipv4:" + ",".join(server.target for server in two)
        async with AsyncClient(target, timeout=30) as client:
            task = asyncio.create_task(client.score(output="A"))
            for server in two:
                assert await asyncio.to_thread(server.service.arrived.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    for server in two:
        assert server.service.cancelled.wait(5)


@pytest.mark.parametrize("addresses", [1, 2])
def test_closing_ends_the_calls_of_other_tasks(start_server, addresses):
    servers = [start_server(f"127.0.0.{number}:0") for number in range(1, addresses + 1)]
    for server in servers:
        server.service.delay = 30

    async def main() -> None:
        target = "ipv4:" + ",".join(server.target for server in servers)
        client = AsyncClient(target, timeout=30, on_failure="open")
        task = asyncio.create_task(client.score(output="A"))
        for server in servers:
            assert await asyncio.to_thread(server.service.arrived.wait, 10)
        await client.aclose()
        with pytest.raises(RuntimeError, match="has been closed"):
            await task

    asyncio.run(main())


def test_a_client_belongs_to_the_loop_of_its_first_call(server):
    client = AsyncClient(server.target)

    async def ask() -> bool:
        return (await client.score(output="A")).passed

    with asyncio.Runner() as first:
        assert first.run(ask())
        with asyncio.Runner() as second, pytest.raises(RuntimeError, match="another event loop"):
            second.run(ask())
        assert first.run(ask())
        first.run(client.aclose())
