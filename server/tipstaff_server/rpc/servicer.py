"""The scoring service: convert, delegate, convert."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import NoReturn, TypeAlias, TypeVar

import grpc

from tipstaff import types
from tipstaff.v1 import scoring_pb2 as pb
from tipstaff.v1 import scoring_pb2_grpc
from tipstaff_server.access.current import current_caller
from tipstaff_server.access.gate import Gate
from tipstaff_server.errors import (
    DeadlineExpired,
    InvalidRequest,
    Overloaded,
    RequestError,
    TrafficNotKept,
)
from tipstaff_server.metrics import Metrics
from tipstaff_server.printable import printable
from tipstaff_server.repository.registry import Registry
from tipstaff_server.rpc import convert
from tipstaff_server.rpc.statuses import CallStatus, fault, status_of
from tipstaff_server.scoring.explain import Explainer, without_explanation
from tipstaff_server.scoring.scorer import Scorer, Task, Unexplained
from tipstaff_server.telemetry.interaction import Interaction
from tipstaff_server.telemetry.observer import Telemetry
from tipstaff_server.traffic.sampler import TrafficSampler

log = logging.getLogger(__name__)

# The share of a batch's time that is reserved for writing and reading its reply, and the seconds
# that each item adds.
_REPLY_SHARE = 0.05
_ITEM_REPLY_SECONDS = 0.0002
# How far gRPC's deadline and this clock may differ.
_EARLY_SECONDS = 0.005

T = TypeVar("T")
_Result: TypeAlias = pb.ScoreResponse | CallStatus


class ScoringServicer(scoring_pb2_grpc.ScoringServiceServicer):
    """Answers `Score`, `ScoreBatch`, `ListEvaluators` and `SubmitFeedback`.

    Scores first, then explains those scores whose caller asks for it: in a batch, no score waits
    for the explanation of another.
    """

    def __init__(
        self,
        scorer: Scorer,
        explainer: Explainer,
        registry: Registry,
        metrics: Metrics,
        gate: Gate,
        telemetry: Telemetry | None = None,
        *,
        max_batch_items: int,
        traffic: TrafficSampler | None = None,
    ) -> None:
        self._traffic = traffic
        self._scorer = scorer
        self._explainer = explainer
        self._registry = registry
        self._metrics = metrics
        self._gate = gate
        self._telemetry = telemetry or Telemetry()
        self._max_batch_items = max_batch_items

    async def Score(  # noqa: N802
        self, request: pb.ScoreRequest, context: grpc.aio.ServicerContext
    ) -> pb.ScoreResponse:
        """Scores one interaction."""
        arrival, seconds = time.monotonic(), context.time_remaining()
        self._telemetry.begin(context.invocation_metadata())
        task = convert.to_task(request)
        result = await self._score(task, arrival, seconds)
        if isinstance(result, Unexplained):
            result = await self._explain(result, seconds)
        if isinstance(result, CallStatus):
            await _abort(context, result, task.request_id)
        return result

    async def ScoreBatch(  # noqa: N802
        self, request: pb.ScoreBatchRequest, context: grpc.aio.ServicerContext
    ) -> pb.ScoreBatchResponse:
        """Scores many interactions at the same time; each may fail by itself."""
        arrival, seconds = time.monotonic(), context.time_remaining()
        self._telemetry.begin(context.invocation_metadata())
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
        try:
            self._gate.check(count)
        except Overloaded as error:
            refusal = status_of(error)
            self._metrics.refused(refusal.reason, count)
            await _abort(context, refusal)
        # A reply that comes too late loses all of its items, even those scored in time.
        budget = seconds and seconds * (1 - _REPLY_SHARE) - count * _ITEM_REPLY_SECONDS
        end = None if budget is None else arrival + budget
        calls = [
            asyncio.create_task(self._score(task, arrival, budget))
            for task in convert.to_tasks(request.requests)
        ]
        try:
            results = await _until(end, calls)
        except asyncio.CancelledError:
            self._note_abandoned(calls, arrival)
            raise
        unexplained = [result for result in results if isinstance(result, Unexplained)]
        explained = iter(
            await _until(
                end, [asyncio.create_task(self._explain(each, budget)) for each in unexplained]
            )
        )
        return pb.ScoreBatchResponse(
            items=[
                _item(next(explained) if isinstance(result, Unexplained) else result)
                for result in results
            ]
        )

    async def ListEvaluators(  # noqa: N802
        self, request: pb.ListEvaluatorsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListEvaluatorsResponse:
        """Lists the evaluators in service."""
        return pb.ListEvaluatorsResponse(
            evaluators=[
                convert.from_served(served)
                for served in self._registry.all()
                if current_caller().may_ask(served.name)
            ]
        )

    async def SubmitFeedback(  # noqa: N802
        self, request: pb.SubmitFeedbackRequest, context: grpc.aio.ServicerContext
    ) -> pb.SubmitFeedbackResponse:
        """Stores feedback on a scored output."""
        try:
            if self._traffic is None:
                raise TrafficNotKept(
                    "this server keeps no traffic, and so no feedback: start it with a folder for "
                    "it (its setting traffic)"
                )
            if not request.HasField("good"):
                raise InvalidRequest("good", "absent: say true or false")
            evaluator = self._registry.find(request.evaluator, 0).name
            current_caller().check_may_ask(evaluator)
            matches = self._traffic.feedback(
                request.request_id, evaluator, request.good, request.source, request.note
            )
        except RequestError as error:
            await _abort(context, status_of(error), request.request_id)
        return pb.SubmitFeedbackResponse(matches=matches)

    async def _score(
        self, task: Task, arrival: float, seconds: float | None
    ) -> _Result | Unexplained:
        """Scores one interaction."""
        try:
            with self._gate.enter(self._registry.known(task.evaluator) or task.evaluator):
                score = await self._scorer.score(task, arrival, seconds)
            if isinstance(score, Unexplained):
                return score
            return self._answered(score, task, arrival)
        except BaseException as error:
            status = self._refused(error, task, arrival, seconds)
            if status is None:
                raise
            return status

    async def _explain(self, unexplained: Unexplained, seconds: float | None) -> _Result:
        """Explains one score; answers without an explanation where the deadline cuts it off."""
        task, arrival = unexplained.task, unexplained.arrival
        try:
            try:
                with self._gate.more():
                    score = await self._explainer.explain(unexplained)
            except asyncio.CancelledError:
                if _has_left(arrival, seconds):
                    raise
                score = without_explanation(unexplained)
            return self._answered(score, task, arrival)
        except BaseException as error:
            status = self._refused(error, task, arrival, seconds)
            if status is None:
                raise
            return status

    def _answered(self, score: types.Score, task: Task, arrival: float) -> pb.ScoreResponse:
        """The reply for a score, which is counted and logged."""
        response = convert.from_score(score)
        self._metrics.scored(score)
        if self._traffic:
            self._traffic.answered(
                score,
                task.interaction,
                pinned=task.version != 0,
                caller=current_caller().name,
                attributes=task.attributes,
            )
        self._note(task, arrival, grpc.StatusCode.OK, score)
        return response

    def _refused(
        self, error: BaseException, task: Task, arrival: float, seconds: float | None
    ) -> CallStatus | None:
        """The status for an error, which is counted and logged; None if it must be raised again."""
        if isinstance(error, RequestError):
            status = status_of(error)
        elif isinstance(error, asyncio.CancelledError):
            if _has_left(arrival, seconds):
                self._note(task, arrival, grpc.StatusCode.CANCELLED)
                return None
            status = status_of(DeadlineExpired("the answer was not there by the deadline"))
        elif isinstance(error, Exception):
            log.error("request %s failed", printable(task.request_id), exc_info=error)
            status = fault()
        else:
            return None
        self._metrics.refused(status.reason)
        self._note(task, arrival, status.code)
        return status

    def _note_abandoned(
        self, calls: Sequence[asyncio.Task[_Result | Unexplained]], arrival: float
    ) -> None:
        """Counts the scores that were still to be explained when their batch's caller left."""
        for call in calls:
            if not call.done() or call.cancelled() or call.exception() is not None:
                continue
            if isinstance(result := call.result(), Unexplained):
                self._note(result.task, arrival, grpc.StatusCode.CANCELLED)

    def _note(
        self,
        task: Task,
        arrival: float,
        code: grpc.StatusCode,
        score: types.Score | None = None,
    ) -> None:
        seconds = time.monotonic() - arrival
        evaluator = self._registry.known(task.evaluator)
        caller = current_caller().name
        self._metrics.answered(evaluator, code.name, seconds, self._telemetry.exemplar)
        self._metrics.callers.answered(caller, code.name)
        self._telemetry.tell(
            Interaction(printable(task.request_id), caller, evaluator, code.name, seconds, score)
        )
        if log.isEnabledFor(logging.DEBUG):
            request_id = printable(task.request_id)
            log.debug("%s %s %s %.1f ms", request_id, evaluator, code.name, seconds * 1000)


def _has_left(arrival: float, seconds: float | None) -> bool:
    """Whether a cancelled request's caller has left, rather than its deadline passed.

    gRPC cancels in both cases: compare the clock to tell them apart.
    """
    return seconds is None or time.monotonic() - arrival < seconds - _EARLY_SECONDS


async def _until(end: float | None, calls: Sequence[asyncio.Task[T]]) -> list[T | BaseException]:
    """Waits for calls, and cancels those that have not ended by a time.

    Returns:
        What each returned or raised, in order.
    """
    if not calls:
        return []
    try:
        left = None if end is None else max(0.0, end - time.monotonic())
        await asyncio.wait(calls, timeout=left)
    finally:
        for call in calls:
            call.cancel()
    return await asyncio.gather(*calls, return_exceptions=True)


async def _abort(
    context: grpc.aio.ServicerContext, status: CallStatus, request_id: str = ""
) -> NoReturn:
    await context.abort(status.code, status.message, status.trailers(request_id))
    raise AssertionError("abort raises")


def _item(result: _Result | BaseException) -> pb.ScoreBatchItem:
    if isinstance(result, asyncio.CancelledError):
        result = status_of(DeadlineExpired("the deadline left no time to start"))
    if isinstance(result, BaseException):
        raise result
    if isinstance(result, CallStatus):
        error = pb.ItemError(
            code=result.code.value[0], message=result.message, retry_after_ms=result.retry_after_ms
        )
        return pb.ScoreBatchItem(error=error)
    return pb.ScoreBatchItem(response=result)
