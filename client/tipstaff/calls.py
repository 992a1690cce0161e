"""One call, whichever client makes it: its terms, and what becomes of its answer."""

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
    """The terms of one call.

    Attributes:
        target: Whom it goes to.
        timeout: Seconds until its deadline, retries included.
        on_failure: What the caller gets when the server can't answer.
    """

    target: str
    timeout: float
    on_failure: OnFailure

    def error(self, status: Status, request_id: str = "") -> ScoringError:
        """The named error for a status."""
        return to_error(status, target=self.target, timeout=self.timeout, request_id=request_id)

    def covers(self, error: ScoringError) -> bool:
        """Whether the caller gets a stand-in instead of this error.

        Never for the caller's own mistakes, which would stay hidden behind it for good.
        """
        return self.on_failure != "raise" and isinstance(error, NoAnswerError)

    def stand_in(self, error: ScoringError, request_id: str) -> Score:
        """What the caller gets in place of a score: the verdict it chose, and the error."""
        verdict = Verdict.PASS if self.on_failure == "open" else Verdict.BLOCK
        return Score(verdict=verdict, score=None, request_id=request_id, failure=error)

    def results(
        self, sent: Sequence[pb.ScoreRequest], response: pb.ScoreBatchResponse
    ) -> list[Score | ScoringError]:
        """What a server said of a batch, in order."""
        if len(response.items) != len(sent):
            details = f"{len(response.items)} answers to {len(sent)} requests"
            return [self._settled(Status("INTERNAL", details), each.request_id) for each in sent]
        return [
            self._result(item, request.request_id)
            for item, request in zip(response.items, sent, strict=True)
        ]

    def _result(self, item: pb.ScoreBatchItem, request_id: str) -> Score | ScoringError:
        match item.WhichOneof("result"):
            case "response":
                return to_score(item.response)
            case "error":
                return self._settled(Status.of_item(item.error), request_id)
            case _:
                status = Status("UNKNOWN", "an answer that this client is too old to read")
                return self._settled(status, request_id)

    def _settled(self, status: Status, request_id: str) -> Score | ScoringError:
        error = self.error(status, request_id)
        return self.stand_in(error, request_id) if self.covers(error) else error


@dataclass(frozen=True, slots=True)
class Batch:
    """A request for each of many interactions, or the error that keeps it from being sent."""

    requests: Sequence[pb.ScoreRequest | InvalidRequestError]

    @property
    def sent(self) -> list[pb.ScoreRequest]:
        """Those that can be sent."""
        return [each for each in self.requests if isinstance(each, pb.ScoreRequest)]

    def message(self) -> pb.ScoreBatchRequest:
        """The message that asks for their scores."""
        return pb.ScoreBatchRequest(requests=self.sent)

    def merged(self, results: Iterable[Score | ScoringError]) -> list[Score | ScoringError]:
        """One result for each interaction, in order, given those for what was sent."""
        answers = iter(results)
        return [
            next(answers) if isinstance(each, pb.ScoreRequest) else each for each in self.requests
        ]
