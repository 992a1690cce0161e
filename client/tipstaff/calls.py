"""One call of either client: what it sends, and how a reply or a failure becomes its result."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from tipstaff.addresses import readable
from tipstaff.convert import to_evaluator_info, to_score
from tipstaff.errors import InvalidRequestError, NoAnswerError, ScoringError
from tipstaff.events import ClientEvent, EventKind
from tipstaff.observer import Observer
from tipstaff.statuses import Status, to_error
from tipstaff.types import EvaluatorInfo, OnFailure, Score, Verdict
from tipstaff.v1 import scoring_pb2 as pb

Result = TypeVar("Result")
MetadataPairs: TypeAlias = Sequence[tuple[str, str]]


# Not frozen: that would double the time to make one, for each call.
@dataclass(slots=True)
class CallOptions:
    """The options of one call.

    Attributes:
        target: The client's target.
        timeout: Seconds until the call's deadline, retries included.
        on_failure: What the caller gets if the server can't answer.
        observer: Is told how the call ends.
        secure: Whether the client speaks TLS.
    """

    target: str
    timeout: float
    on_failure: OnFailure
    observer: Observer
    secure: bool = False


class Call(ABC, Generic[Result]):
    """One call, from its message to its result.

    Attributes:
        method: Name of the RPC.
        metadata: Sent beside the message, as in `(("authorization", "Bearer …"),)`.
        message: The protobuf message to send; None for a call that needs no server.
        timeout: Seconds until the call's deadline.
        address: The address that was called last; empty if none was.
    """

    method: str
    metadata: MetadataPairs = ()

    def __init__(self, options: CallOptions, message: Any, request_id: str = "") -> None:
        self.message = message
        self.timeout = options.timeout
        self.address = ""
        self._options = options
        self._request_id = request_id
        self._started = time.monotonic()

    def answered(self, response: Any) -> Result:
        """The result of a reply."""
        self._emit(EventKind.CALL, "OK")
        return self._read(response)

    def failed(self, status: Status, cause: Exception) -> Result:
        """The result without a reply: fallback scores.

        Raises:
            ScoringError: There is no fallback for this error.
        """
        error = self._error(status, self._request_id)
        self._emit(EventKind.CALL, status.code)
        if isinstance(error, NoAnswerError):
            self._options.observer.failed(error)
            if self._options.on_failure != "raise":
                return self._fall_back(error)
        raise error from cause

    def remaining(self) -> float:
        """Seconds until the call's deadline."""
        return max(0.0, self._started + self.timeout - time.monotonic())

    def retried(self, address: str, reason: str) -> None:
        """Tells of a further attempt and of the status of the one before."""
        self.address = address
        self._emit(EventKind.RETRY, reason)

    @abstractmethod
    def _read(self, response: Any) -> Result:
        """The result in a reply."""

    def _fall_back(self, error: NoAnswerError) -> Result:
        """The result that stands in for a reply; most calls have none."""
        raise error

    def _error(self, status: Status, request_id: str) -> ScoringError:
        return to_error(
            status,
            target=self._options.target,
            timeout=self.timeout,
            request_id=request_id,
            method=self.method,
            secure=self._options.secure,
        )

    def _fallback_score(self, error: NoAnswerError, request_id: str) -> Score:
        """A score without a number, with the verdict that the caller chose and the error."""
        verdict = Verdict.PASS if self._options.on_failure == "open" else Verdict.BLOCK
        event = self._event(EventKind.FALLBACK, error.code, verdict)
        self._options.observer.fell_back(verdict, error, event)
        return Score(verdict=verdict, score=None, request_id=request_id, failure=error)

    def _emit(self, kind: EventKind, code: str) -> None:
        if self._options.observer.on_event is not None:
            self._options.observer.emit(self._event(kind, code))

    def _event(self, kind: EventKind, code: str, verdict: Verdict | None = None) -> ClientEvent:
        seconds = time.monotonic() - self._started
        address = readable(self.address)
        return ClientEvent(kind, self.method, address, code, seconds, verdict)


class ScoreCall(Call[Score]):
    """Scores one interaction."""

    method = "Score"

    def __init__(self, options: CallOptions, request: pb.ScoreRequest) -> None:
        super().__init__(options, request, request.request_id)

    def _read(self, response: pb.ScoreResponse) -> Score:
        return to_score(response)

    def _fall_back(self, error: NoAnswerError) -> Score:
        return self._fallback_score(error, self._request_id)


class BatchCall(Call[list[Score | ScoringError]]):
    """Scores many interactions.

    Args:
        options: The options of the call.
        requests: A request for each interaction, or the error that keeps it from being sent.
    """

    method = "ScoreBatch"

    def __init__(
        self, options: CallOptions, requests: Sequence[pb.ScoreRequest | InvalidRequestError]
    ) -> None:
        self._requests = requests
        self._sent = [each for each in requests if isinstance(each, pb.ScoreRequest)]
        super().__init__(options, pb.ScoreBatchRequest(requests=self._sent) if self._sent else None)

    def unsent(self) -> list[Score | ScoringError]:
        """The results if there is nothing to ask."""
        return self._merged([])

    def _read(self, response: pb.ScoreBatchResponse) -> list[Score | ScoringError]:
        items = response.items
        if len(items) != len(self._sent):
            status = Status("INTERNAL", f"{len(items)} answers to {len(self._sent)} requests")
            return self._merged([self._failed_item(status, each) for each in self._sent])
        pairs = zip(items, self._sent, strict=True)
        return self._merged([self._read_item(item, request) for item, request in pairs])

    def _read_item(self, item: pb.ScoreBatchItem, request: pb.ScoreRequest) -> Score | ScoringError:
        result = read_item(item)
        return result if isinstance(result, Score) else self._failed_item(result, request)

    def _failed_item(self, status: Status, request: pb.ScoreRequest) -> Score | ScoringError:
        error = self._error(status, request.request_id)
        if not isinstance(error, NoAnswerError):
            return error
        self._options.observer.failed(error)
        if self._options.on_failure == "raise":
            return error
        return self._fallback_score(error, request.request_id)

    def _fall_back(self, error: NoAnswerError) -> list[Score | ScoringError]:
        return self._merged([self._fallback_score(error, each.request_id) for each in self._sent])

    def _merged(self, results: Sequence[Score | ScoringError]) -> list[Score | ScoringError]:
        """One result for each interaction, in order, from those of the requests that were sent."""
        answers = iter(results)
        return [
            next(answers) if isinstance(each, pb.ScoreRequest) else each for each in self._requests
        ]


def read_item(item: pb.ScoreBatchItem) -> Score | Status:
    """The score in one item of a batch's reply, or why it has none."""
    match item.WhichOneof("result"):
        case "response":
            return to_score(item.response)
        case "error":
            return Status.of_item(item.error)
        case _:
            return Status("UNKNOWN", "an answer that this client is too old to read")


class EvaluatorsCall(Call[list[EvaluatorInfo]]):
    """Lists what a server offers."""

    method = "ListEvaluators"

    def __init__(self, options: CallOptions) -> None:
        super().__init__(options, pb.ListEvaluatorsRequest())

    def _read(self, response: pb.ListEvaluatorsResponse) -> list[EvaluatorInfo]:
        return [to_evaluator_info(each) for each in response.evaluators]


class ForwardedCall(Call[Any]):
    """Sends a message as it is, and gives the reply as it is."""

    def __init__(
        self, options: CallOptions, method: str, message: Any, metadata: MetadataPairs
    ) -> None:
        super().__init__(options, message, getattr(message, "request_id", ""))
        self.method = method
        self.metadata = metadata

    def _read(self, response: Any) -> Any:
        return response


class FeedbackCall(Call[int]):
    """Submits feedback on a scored output; submitting the same again changes nothing."""

    method = "SubmitFeedback"

    def __init__(self, options: CallOptions, request: pb.SubmitFeedbackRequest) -> None:
        super().__init__(options, request, request.request_id)

    def _read(self, response: pb.SubmitFeedbackResponse) -> int:
        return int(response.matches)
