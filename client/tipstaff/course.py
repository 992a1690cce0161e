"""The course of a call, written once for the blocking and the asyncio client.

The methods are coroutines; the steps in which they wait belong to the client. Those of the asyncio
client wait for its event loop. Those of the blocking client block, so that its coroutines run to
their end without an event loop (see `Client`).
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, ClassVar

import grpc

from tipstaff.attempts import Attempt, Attempts
from tipstaff.base import CLOSED, BaseClient
from tipstaff.calls import Call, Result
from tipstaff.connection import PROBE_SECONDS, Connection, is_serving
from tipstaff.pool import Endpoint
from tipstaff.statuses import Status

# After these the server may be at another address.
_NOT_REACHED = ("UNAVAILABLE", "DEADLINE_EXCEEDED")


class CallingClient(BaseClient):
    """Makes calls: finds the addresses, sends the attempts, takes the first answer."""

    # Makes channels: `grpc` or `grpc.aio`.
    _channels: ClassVar[Any]
    # Makes a queue of replies.
    _new_queue: ClassVar[type[Any]]

    @abstractmethod
    def _check_usable(self) -> None:
        """Raises RuntimeError if the client can't make calls, or not from here."""

    @abstractmethod
    async def _look_up(self, lookup: Future[None], seconds: float) -> None:
        """Waits for the addresses of the target's name; raises OSError if it has none."""

    @abstractmethod
    async def _exchange(self, endpoint: Endpoint, call: Call[Any]) -> Any:
        """Sends a call and waits for its reply, where there is no second attempt to wait for."""

    @abstractmethod
    def _start_rpc(self, rpc: Any, message: Any, timeout: float, metadata: Any = None) -> Any:
        """Starts an RPC; returns what `_answer` waits for."""

    @abstractmethod
    async def _answer(self, running: Any) -> Any:
        """Waits for an RPC's reply; raises RpcError, or RuntimeError if the client was closed."""

    @abstractmethod
    async def _next(self, queue: Any, seconds: float | None) -> Any:
        """Waits for the next item of a queue; None if none comes in that time."""

    @abstractmethod
    def _when_done(self, running: Any, work: Coroutine[Any, Any, None]) -> None:
        """Runs a coroutine that waits for an RPC: once that has ended, or in the background."""

    async def _run(self, call: Call[Result]) -> Result:
        """Makes a call, from its message to its result."""
        self._check_usable()
        try:
            if lookup := self._addresses.refresh():
                await self._look_up(lookup, call.remaining())
        except OSError as failure:
            if self._closed:
                raise RuntimeError(CLOSED) from failure
            return call.failed(_lookup_status(failure), failure)
        try:
            response = await self._ask(call)
        except grpc.RpcError as failure:
            if self._closed:
                raise RuntimeError(CLOSED) from failure
            return self._failed(call, failure)
        except ValueError as error:
            # gRPC raises this if another thread has closed the channel.
            if self._closed:
                raise RuntimeError(CLOSED) from error
            raise
        return call.answered(response)

    async def _ask(self, call: Call[Any]) -> Any:
        self._follow()
        if not self._pool.alone:
            self._probe()
            return await self._race(call, self._attempts(call))
        # With one address there is nothing to race.
        endpoint = self._pool.pick()
        call.address = endpoint.address
        try:
            response = await self._exchange(endpoint, call)
        except grpc.RpcError as failure:
            attempts = self._attempts(call)
            if not attempts.go_on(endpoint, Status.of_call(failure)):
                raise
        else:
            self._budget.deposit()
            return response
        finally:
            self._pool.release(endpoint)
        return await self._race(call, attempts)

    async def _race(self, call: Call[Any], attempts: Attempts) -> Any:
        """Makes attempts that may overlap, and takes the first answer."""
        queue = self._new_queue()
        running: dict[Any, Attempt] = {}
        try:
            while True:
                if attempt := self._start(attempts, call):
                    sent = self._send(attempt.endpoint, call, attempts.remaining())
                    running[sent] = attempt
                    sent.add_done_callback(queue.put_nowait)
                if (ended := await self._next(queue, attempts.wait())) is None:
                    continue
                attempt = running.pop(ended)
                try:
                    response = await self._answer(ended)
                except grpc.RpcError as failure:
                    if attempts.finish(attempt, Status.of_call(failure)):
                        raise
                else:
                    attempts.finish(attempt, None)
                    return response
        finally:
            for left in running:
                left.cancel()
            attempts.close()

    def _send(self, endpoint: Endpoint, call: Call[Any], timeout: float) -> Any:
        rpc = self._connection(endpoint).method(call.method)
        metadata = self._metadata.with_own(call.metadata)
        return self._start_rpc(rpc, call.message, timeout, metadata)

    def _attempts(self, call: Call[Any]) -> Attempts:
        def retried(address: str, reason: str) -> None:
            self._addresses.refresh(failing=True)
            call.retried(address, reason)

        return Attempts(
            self._pool,
            self._budget,
            call.remaining(),
            clock=time.monotonic,
            on_retry=retried,
        )

    def _follow(self) -> None:
        """Takes over the target's present addresses, and TLS files that were renewed."""
        self._pool.update(self._addresses.current)
        if self._credentials.renew():
            self._pool.renew()

    def _start(self, attempts: Attempts, call: Call[Any]) -> Attempt | None:
        """Starts a call's next attempt if it is due, at one of the target's present addresses."""
        if self._closed:
            raise RuntimeError(CLOSED)
        self._follow()
        attempt = attempts.start()
        if attempt is not None:
            call.address = attempt.endpoint.address
        return attempt

    def _failed(self, call: Call[Result], cause: grpc.RpcError) -> Result:
        """The result of a call that failed; raises its error if there is no fallback."""
        status = Status.of_call(cause)
        if status.code in _NOT_REACHED:
            self._addresses.refresh(failing=True)
        return call.failed(status, cause)

    def _probe(self) -> None:
        """Starts the probes that are due."""
        for endpoint in self._pool.due_probes():
            rpc = self._connection(endpoint).check_health
            check = self._start_rpc(rpc, b"", PROBE_SECONDS)
            self._when_done(check, self._probed(endpoint, check))

    async def _probed(self, endpoint: Endpoint, check: Any) -> None:
        """Notes how a probe ends."""
        serving = False
        try:
            serving = is_serving(grpc.StatusCode.OK, await self._answer(check))
        except grpc.RpcError as failure:
            serving = is_serving(failure.code())
        finally:
            self._pool.probed(endpoint, serving)

    def _connection(self, endpoint: Endpoint) -> Connection:
        if endpoint.connection is None:
            with self._lock:
                if self._closed:
                    raise RuntimeError(CLOSED)
                if endpoint.connection is None:
                    endpoint.connection = self._connect(endpoint.address)
        return endpoint.connection

    def _connect(self, address: str) -> Connection:
        options = list(self._channel_options.items())
        if (credentials := self._credentials.current) is None:
            return Connection.over(self._channels.insecure_channel(address, options))
        return Connection.over(self._channels.secure_channel(address, credentials, options))


def _lookup_status(error: OSError) -> Status:
    if isinstance(error, TimeoutError):
        return Status("DEADLINE_EXCEEDED", "looking up the name took too long")
    return Status("UNAVAILABLE", f"the name has no address: {error.strerror or error}")
