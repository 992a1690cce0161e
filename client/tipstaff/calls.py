"""One call of either client: its options, and how its reply becomes a result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tipstaff.convert import to_score
from tipstaff.errors import InvalidRequestError, NoAnswerError, ScoringError
from tipstaff.statuses import Status, to_error
from tipstaff.types import OnFailure, Score, Verdict
from tipstaff.v1 import scoring_pb2 as pb


@dataclass(frozen=True, slots=True)
class Call:
    """The options of one call.

    Attributes:
        target: The server's address.
        timeout: Seconds until its deadline, retries included.
        on_failure: What the caller gets if the server can't answer.
    """

    target: str
    timeout: float
    on_failure: OnFailure

    def error(self, status: Status, request_id: str = "") -> ScoringError:
        """The error for a status."""
        return to_error(status, target=self.target, timeout=self.timeout, request_id=request_id)

    def falls_back(self, error: ScoringError) -> bool:
        """Whether the caller gets a fallback score instead of this error.

        Never for the caller's own mistakes: a fallback would hide them for good.
        """
        return self.on_failure != "raise" and isinstance(error, NoAnswerError)

    def fallback_score(self, error: ScoringError, request_id: str) -> Score:
        """A score without a number, with the verdict that the caller chose and the error."""
        verdict = Verdict.PASS if self.on_failure == "open" else Verdict.BLOCK
        return Score(verdict=verdict, score=None, request_id=request_id, failure=error)

    def results(
        self, sent: Sequence[pb.ScoreRequest], response: pb.ScoreBatchResponse
    ) -> list[Score | ScoringError]:
        """The results of a batch, in order."""
        if len(response.items) != len(sent):
            details = f"{len(response.items)} answers to {len(sent)} requests"
            return [self._failed(Status("INTERNAL", details), each.request_id) for each in sent]
        return [
            self._result(item, request.request_id)
            for item, request in zip(response.items, sent, strict=True)
        ]

    def _result(self, item: pb.ScoreBatchItem, request_id: str) -> Score | ScoringError:
        match item.WhichOneof("result"):
            case "response":
                return to_score(item.response)
            case "error":
                return self._failed(Status.of_item(item.error), request_id)
            case _:
                status = Status("UNKNOWN", "an answer that this client is too old to read")
                return self._failed(status, request_id)

    def _failed(self, status: Status, request_id: str) -> Score | ScoringError:
        error = self.error(status, request_id)
        return self.fallback_score(error, request_id) if self.falls_back(error) else error


@dataclass(frozen=True, slots=True)
class Batch:
    """A request for each of many interactions, or the error that keeps it from being sent."""

    requests: Sequence[pb.ScoreRequest | InvalidRequestError]

    @property
    def sent(self) -> list[pb.ScoreRequest]:
        """The requests that can be sent."""
        return [each for each in self.requests if isinstance(each, pb.ScoreRequest)]

    def message(self) -> pb.ScoreBatchRequest:
        """The message with the requests."""
        return pb.ScoreBatchRequest(requests=self.sent)

    def merged(self, results: Iterable[Score | ScoringError]) -> list[Score | ScoringError]:
        """One result for each interaction, in order.

        Args:
            results: The results of the requests that were sent.
        """
        answers = iter(results)
        return [
            next(answers) if isinstance(each, pb.ScoreRequest) else each for each in self.requests
        ]
