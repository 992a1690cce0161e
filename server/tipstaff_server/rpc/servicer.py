"""The scoring service: convert, delegate, convert."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import NoReturn

import grpc

from tipstaff.v1 import scoring_pb2 as pb
from tipstaff.v1 import scoring_pb2_grpc
from tipstaff_server.errors import DeadlineExpired, InvalidRequest, RequestError
from tipstaff_server.metrics import Metrics
from tipstaff_server.repository.registry import Registry
from tipstaff_server.rpc import convert
from tipstaff_server.rpc.statuses import Status, fault, printable, status_of
from tipstaff_server.scoring.explain import Countdown
from tipstaff_server.scoring.scorer import Scorer, Task

log = logging.getLogger(__name__)

# Of a batch's time, what is kept for writing and reading its reply; and what each item adds to it.
_REPLY_SHARE = 0.05
_ITEM_REPLY_SECONDS = 0.0002
# gRPC's deadline and this clock may differ by so much.
_EARLY_SECONDS = 0.005


class ScoringServicer(scoring_pb2_grpc.ScoringServiceServicer):
    """Answers `Score`, `ScoreBatch` and `ListEvaluators`."""

    def __init__(
        self, scorer: Scorer, registry: Registry, metrics: Metrics, *, max_batch_items: int
    ) -> None:
        self._scorer = scorer
        self._registry = registry
        self._metrics = metrics
        self._max_batch_items = max_batch_items

    async def Score(  # noqa: N802
        self, request: pb.ScoreRequest, context: grpc.aio.ServicerContext
    ) -> pb.ScoreResponse:
        """Scores one interaction."""
        arrival = time.monotonic()
        task = convert.to_task(request)
        result = await self._result(task, arrival, context.time_remaining())
        if isinstance(result, Status):
            await _abort(context, result, task.request_id)
        return result

    async def ScoreBatch(  # noqa: N802
        self, request: pb.ScoreBatchRequest, context: grpc.aio.ServicerContext
    ) -> pb.ScoreBatchResponse:
        """Scores many at the same time; they fail singly."""
        arrival = time.monotonic()
        seconds = context.time_remaining()
        if (count := len(request.requests)) > self._max_batch_items:
            refusal = status_of(
                InvalidRequest(
                    "requests",
                    f"{count} items, and this server takes {self._max_batch_items} in one call: "
                    "send several calls",
                )
            )
            self._metrics.refused(refusal.reason)
            await _abort(context, refusal)
        # A reply that comes too late loses every item of it, also those that were scored in time.
        budget = seconds and seconds * (1 - _REPLY_SHARE) - count * _ITEM_REPLY_SECONDS
        scores = Countdown(count)
        calls = [
            asyncio.create_task(self._result(convert.to_task(item), arrival, budget, scores))
            for item in request.requests
        ]
        try:
            if calls:
                left = None if budget is None else max(0.0, budget - (time.monotonic() - arrival))
                await asyncio.wait(calls, timeout=left)
        finally:
            for call in calls:
                call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        return pb.ScoreBatchResponse(items=[_item(result) for result in results])

    async def ListEvaluators(  # noqa: N802
        self, request: pb.ListEvaluatorsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListEvaluatorsResponse:
        """Lists what is being served."""
        return pb.ListEvaluatorsResponse(
            evaluators=[convert.from_served(served) for served in self._registry.all()]
        )

    async def _result(
        self,
        task: Task,
        arrival: float,
        seconds: float | None,
        others: Countdown | None = None,
    ) -> pb.ScoreResponse | Status:
        """Scores one interaction, and counts and logs how it went."""
        result: pb.ScoreResponse | Status
        try:
            result = convert.from_score(await self._scorer.score(task, arrival, seconds, others))
        except RequestError as error:
            result = status_of(error)
        except asyncio.CancelledError:
            # gRPC cancels for both; the clock tells a caller who left from a missed deadline.
            if seconds is None or time.monotonic() - arrival < seconds - _EARLY_SECONDS:
                self._note(task, arrival, grpc.StatusCode.CANCELLED)
                raise
            result = status_of(DeadlineExpired("the answer was not there by the deadline"))
        except Exception:
            log.exception("request %s failed", printable(task.request_id))
            result = fault()
        if isinstance(result, Status):
            self._metrics.refused(result.reason)
            self._note(task, arrival, result.code)
        else:
            self._note(task, arrival, grpc.StatusCode.OK)
        return result

    def _note(self, task: Task, arrival: float, code: grpc.StatusCode) -> None:
        seconds = time.monotonic() - arrival
        evaluator = self._registry.known(task.evaluator)
        self._metrics.answered(evaluator, code.name, seconds)
        if log.isEnabledFor(logging.DEBUG):
            request_id = printable(task.request_id)
            log.debug("%s %s %s %.1f ms", request_id, evaluator, code.name, seconds * 1000)


async def _abort(
    context: grpc.aio.ServicerContext, status: Status, request_id: str = ""
) -> NoReturn:
    await context.abort(status.code, status.message, status.trailers(request_id))
    raise AssertionError("abort raises")


def _item(result: pb.ScoreResponse | Status | BaseException) -> pb.ScoreBatchItem:
    if isinstance(result, asyncio.CancelledError):
        result = status_of(DeadlineExpired("the deadline left no time to start"))
    if isinstance(result, BaseException):
        raise result
    if isinstance(result, Status):
        error = pb.ItemError(
            code=result.code.value[0], message=result.message, retry_after_ms=result.retry_after_ms
        )
        return pb.ScoreBatchItem(error=error)
    return pb.ScoreBatchItem(response=result)
