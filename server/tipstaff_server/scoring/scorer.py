"""Scores one interaction: find the evaluator, run it, predict.

Knows neither protobuf nor grpc, so that `rpc/` only converts:

    ScoreRequest → Task(Interaction) → PendingRequest → Encoded(Tokens) → RunResult → Prediction →
    Score → ScoreResponse

A score that is to be explained goes on to `explain`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

from tipstaff.types import FIELDS, Certificate, Coverage, Interaction, Score, Timing
from tipstaff_server.access.current import charge
from tipstaff_server.errors import InvalidRequest, ShuttingDown
from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.repository.registry import Registry, Served
from tipstaff_server.scheduling import Dispatcher
from tipstaff_server.scoring.cache import ScoreCache
from tipstaff_server.scoring.pending import CompletedRequest, EncoderPool

# Time for the reply from the server's memory to the client's: a score that is ready only at the
# deadline comes too late.
_REPLY_SECONDS = 0.001
# More bytes a token than nearly all texts have: with windows, a longer text is taken to need
# several runs, before it is read.
_MOST_BYTES_A_TOKEN = 8
# Attributes of a request; `scoring.proto` says the same.
_MOST_ATTRIBUTES = 16
_NAME_BYTES = 64
_VALUE_BYTES = 256


@dataclass(frozen=True, slots=True)
class Task:
    """One interaction to score.

    Attributes:
        interaction: The texts.
        evaluator: A name; empty for the only one in service.
        version: 0 for the version in service.
        request_id: The caller's, or one made by the server.
        explain: Whether the caller asks which words lowered the score.
        bytes_before: Size of the same call's other texts that are read before this one's.
        attributes: What the application wants to see its traffic by.
    """

    interaction: Interaction
    evaluator: str
    version: int
    request_id: str
    explain: bool = False
    bytes_before: int = 0
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unexplained:
    """A score that its caller wants explained, with what explaining it takes.

    Attributes:
        score: The score.
        task: The request.
        arrival: When the request came in, by `time.monotonic`.
        deadline: When the explained score must be there.
        served: The evaluator that gave the score.
        completed: The runs that the score rests on.
    """

    score: Score
    task: Task
    arrival: float
    deadline: float
    served: Served
    completed: CompletedRequest[Encoded]


class Scorer:
    """Scores interactions. Belongs to the event loop that calls it."""

    def __init__(
        self,
        registry: Registry,
        dispatcher: Dispatcher,
        encoders: EncoderPool,
        cache: ScoreCache,
        *,
        default_deadline_seconds: float,
        max_request_bytes: int,
    ) -> None:
        """Connects its parts.

        Args:
            registry: The evaluators in service.
            dispatcher: Runs what is encoded.
            encoders: Encodes text and queues the runs.
            cache: The scores given before.
            default_deadline_seconds: Time for requests without a deadline.
            max_request_bytes: Most bytes of text in one interaction, as UTF-8.
        """
        self._registry = registry
        self._dispatcher = dispatcher
        self._encoders = encoders
        self._cache = cache
        self._default_deadline_seconds = default_deadline_seconds
        self._max_request_bytes = max_request_bytes
        self._closed = False

    def close(self) -> None:
        """Refuses everything from now on; accepted requests are still answered."""
        self._closed = True

    async def score(self, task: Task, arrival: float, seconds: float | None) -> Score | Unexplained:
        """Scores one interaction.

        Args:
            task: The request.
            arrival: When it came in, by `time.monotonic`.
            seconds: From the arrival to its deadline; None if the caller set none.

        Returns:
            The score; or, if the caller wants it explained and it isn't yet, what that takes.

        Raises:
            RequestError: The request can't be answered; the subclass says why.
        """
        if self._closed:
            raise ShuttingDown("the server is shutting down: ask another")
        served = self._registry.find(task.evaluator, task.version)
        _check_attributes(task.attributes)
        budget = self._default_deadline_seconds if seconds is None else seconds - _REPLY_SECONDS
        text_bytes = self._check_text(task.interaction, budget)
        cached = self._cache.get(self._cache.key(served, task.interaction, task.explain))
        if cached is not None:
            timing = Timing(0.0, 0.0, 0.0, time.monotonic() - arrival)
            return replace(cached, request_id=task.request_id, timing=timing)
        evaluator, deadline = served.evaluator, arrival + budget
        if self._dispatcher.depth:
            # Refuse before encoding what would be refused after it.
            least_length = evaluator.least_length(task.interaction)
            encoding = evaluator.manifest.encoding
            is_short = (
                encoding.windows is None or text_bytes <= _MOST_BYTES_A_TOKEN * encoding.max_length
            )
            self._dispatcher.check(
                evaluator, least_length, deadline, arrived=arrival, is_short=is_short
            )
        encode = partial(evaluator.encode, task.interaction)
        # The pending request gets no name: an error's frames would refer to it, and it to them.
        completed = await asyncio.wrap_future(
            self._encoders.start(
                evaluator,
                encode,
                arrival,
                deadline,
                text_bytes=text_bytes,
                bytes_before=task.bytes_before,
            )
        )
        charge(completed.worker_seconds)
        score = _predicted_score(served, completed, task.request_id, arrival)
        self._cache.put(self._cache.key(served, task.interaction), score)
        if task.explain:
            return Unexplained(score, task, arrival, deadline, served, completed)
        return score

    def _check_text(self, interaction: Interaction, budget: float) -> int:
        """The bytes of an interaction's texts.

        Raises:
            InvalidRequest: There are more than the server takes.
            DeadlineUnreachable: Encoding them takes longer than the time that is left.
        """
        sizes = {name: len((interaction.get(name) or "").encode()) for name in FIELDS}
        if (total := sum(sizes.values())) > self._max_request_bytes:
            raise InvalidRequest(
                max(FIELDS, key=lambda name: sizes[name]),
                f"too long: the interaction has {total} bytes of text and this server takes "
                f"{self._max_request_bytes} (its setting max_request_bytes)",
            )
        self._encoders.check_time(total, budget)
        return total


def _check_attributes(attributes: Mapping[str, str]) -> None:
    """Checks that attributes are few and short.

    Raises:
        InvalidRequest: They are not.
    """
    if len(attributes) > _MOST_ATTRIBUTES:
        raise InvalidRequest(
            "attributes", f"{len(attributes)}, and at most {_MOST_ATTRIBUTES} are taken"
        )
    for name, value in attributes.items():
        if not 0 < len(name.encode()) <= _NAME_BYTES or len(value.encode()) > _VALUE_BYTES:
            raise InvalidRequest(
                "attributes",
                f"{name[:_NAME_BYTES]!r}: a name takes 1 to {_NAME_BYTES} bytes, a value up to "
                f"{_VALUE_BYTES}",
            )


def certificate_of(served: Served) -> Certificate | None:
    """The guarantee on an evaluator's thresholds; None where it doesn't run as it was measured."""
    policy = served.evaluator.graph.policy
    if policy.certificate is None or served.evaluator.degraded:
        return None
    certificate = policy.certificate
    return Certificate(
        max_false_pass=certificate.max_false_pass,
        max_false_block=certificate.max_false_block,
        confidence=certificate.confidence,
        n=certificate.n,
        date=certificate.date,
    )


def _predicted_score(
    served: Served, completed: CompletedRequest[Encoded], request_id: str, arrival: float
) -> Score:
    evaluator, encoded = served.evaluator, completed.encoded
    prediction = evaluator.predict(
        encoded, completed.logits, [result.embedding for result in completed.results]
    )
    policy = evaluator.graph.policy
    return Score(
        verdict=prediction.verdict,
        score=prediction.score,
        request_id=request_id,
        evaluator=served.name,
        version=served.version,
        engine=evaluator.engine,
        pass_at=policy.pass_at,
        block_below=policy.block_below,
        certificate=certificate_of(served),
        reasons=prediction.reasons,
        ood_score=prediction.ood_score,
        coverage=cast(Mapping[str, Coverage], encoded.coverage),
        timing=Timing(
            encode=completed.encode_seconds,
            queue=completed.queue_seconds,
            inference=completed.inference_seconds,
            total=time.monotonic() - arrival,
        ),
    )
