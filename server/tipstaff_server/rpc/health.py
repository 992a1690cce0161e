"""The standard gRPC health service: evaluator names, and two names for all of them.

These are the empty name, which probes ask for, and the scoring service's, which gRPC's clients ask
for when their service config has a `healthCheckConfig`.

The servicer of grpcio-health-checking won't do: in its asyncio form, one watcher that leaves takes
the other watchers' updates away, and open watches keep a draining server waiting for all of its
grace period.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tipstaff.v1 import scoring_pb2

SERVICE = scoring_pb2.DESCRIPTOR.services_by_name["ScoringService"].full_name

_Response = health_pb2.HealthCheckResponse


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Answers with what `show` last got. Belongs to one event loop."""

    def __init__(self) -> None:
        self._serving: Mapping[str, bool] = {"": False, SERVICE: False}
        self._withdrawn = False
        self._closed = False
        self._changed = asyncio.Event()

    def show(self, evaluators: Mapping[str, bool]) -> None:
        """Updates whether each evaluator serves.

        The empty name serves once all evaluators do. From then on, a new evaluator that can't be
        loaded doesn't change that: the others must not leave service with it.
        """
        ready = bool(evaluators) and all(evaluators.values())
        ready = ready or (self._serving[""] and any(evaluators.values()))
        serving = {**evaluators, "": ready, SERVICE: ready}
        if self._withdrawn or serving == self._serving:
            return
        self._serving = serving
        self._notify()

    def withdraw(self) -> bool:
        """Answers NOT_SERVING from now on, and tells open watches.

        Returns:
            Whether anything served until now.
        """
        served = any(self._serving.values())
        self._serving = dict.fromkeys(self._serving, False)
        self._withdrawn = True
        self._notify()
        return served

    def close(self) -> None:
        """Withdraws, and ends open watches."""
        self._closed = True
        self.withdraw()

    async def Check(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        """Answers whether an evaluator serves now."""
        status = self._status(request.service)
        if status == _Response.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such evaluator")
        return _Response(status=status)

    async def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Sends whether an evaluator serves, now and after each change."""
        sent: int | None = None
        while True:
            changed = self._changed
            status = self._status(request.service)
            if status != sent:
                sent = status
                yield _Response(status=status)
            elif self._closed:
                return
            else:
                await changed.wait()

    def _status(self, service: str) -> int:
        serving = self._serving.get(service)
        if serving is None:
            return int(_Response.SERVICE_UNKNOWN)
        return int(_Response.SERVING if serving else _Response.NOT_SERVING)

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
