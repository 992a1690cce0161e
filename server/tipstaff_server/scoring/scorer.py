"""The way of one interaction through the server: find, encode, queue, run, predict; explain.

Knows neither protobuf nor grpc, so `rpc/` only converts.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, cast

from tipstaff.types import FIELDS, Certificate, Coverage, Interaction, Reason, Score, Timing
from tipstaff_server.errors import DeadlineUnreachable, InvalidRequest, Overloaded, ShuttingDown
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.metrics import Metrics
from tipstaff_server.repository.registry import Registry, Served
from tipstaff_server.scheduling import Dispatcher
from tipstaff_server.scoring.cache import ScoreCache
from tipstaff_server.scoring.explain import Countdown, explain
from tipstaff_server.scoring.pending import Answered, Job, Work

# What a reply needs from the server's memory to the client's: an answer that is ready only at the
# deadline comes too late.
_REPLY_SECONDS = 0.001
# From here on the time that encoding takes grows with the text.
_TELLING_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Task:
    """One interaction and what is asked about it.

    Attributes:
        interaction: The texts.
        evaluator: A name, or empty for the only one.
        version: 0 for the one that serves.
        request_id: The caller's, or the server's.
        explain: Ask which words lowered the score.
    """

    interaction: Interaction
    evaluator: str
    version: int
    request_id: str
    explain: bool = False


class _Unexplained(NamedTuple):
    """What it takes to explain a score.

    Attributes:
        served: What gave it.
        answered: What its runs said.
        deadline: When it must be there.
    """

    served: Served
    answered: Answered[Encoded]
    deadline: float


class Scorer:
    """Scores interactions. Belongs to the event loop that calls it."""

    def __init__(
        self,
        registry: Registry,
        dispatcher: Dispatcher,
        metrics: Metrics,
        encoders: Executor,
        *,
        default_deadline_seconds: float,
        max_request_bytes: int,
        max_queue: int,
        cache: ScoreCache,
    ) -> None:
        """Takes the parts it connects.

        Args:
            registry: What is being served.
            dispatcher: Runs what is encoded.
            metrics: Told of every score.
            encoders: Threads that turn text into token ids.
            default_deadline_seconds: For callers that name none.
            max_request_bytes: Of text in one interaction, as UTF-8.
            max_queue: Requests that may wait to be encoded.
            cache: Of the scores given; it belongs to this scorer from now on.
        """
        self._registry = registry
        self._dispatcher = dispatcher
        self._metrics = metrics
        self._encoders = encoders
        self._default_deadline_seconds = default_deadline_seconds
        self._max_request_bytes = max_request_bytes
        self._cache = cache
        self._max_queue = max_queue
        self._room = threading.Semaphore(max_queue)  # for those that wait to be encoded
        self._closed = False
        self._seconds_per_byte = 0.0  # of encoding; 0 until a text was long enough to tell

    def close(self) -> None:
        """Refuses everything from now on; what was accepted is still answered."""
        self._closed = True

    async def score(
        self,
        task: Task,
        arrival: float,
        seconds: float | None,
        others: Countdown | None = None,
    ) -> Score:
        """Scores one interaction, and explains the score if that is asked for and there is time.

        Args:
            task: What to score.
            arrival: When it came in, by `time.monotonic`.
            seconds: Until its deadline, counted from the arrival; None when it named none.
            others: Counts the scores of the batch it came in, this one among them.

        Raises:
            RequestError: It can't be answered; its subclass says why.
        """
        others = others or Countdown(1)
        try:
            score, unexplained = await self._answer(task, arrival, seconds)
        finally:
            others.one()
        if unexplained is not None:
            score = await self._explained(score, task.interaction, unexplained, others)
            timing = cast(Timing, score.timing)
            score = replace(score, timing=replace(timing, total=time.monotonic() - arrival))
        self._metrics.scored(score)
        return score

    async def _answer(
        self, task: Task, arrival: float, seconds: float | None
    ) -> tuple[Score, _Unexplained | None]:
        """Scores, and says what is needed to explain the score where that is yet to be done."""
        if self._closed:
            raise ShuttingDown("the server is shutting down: ask another")
        served = self._registry.find(task.evaluator, task.version)
        size = self._check_size(task.interaction)
        budget = self._default_deadline_seconds if seconds is None else seconds - _REPLY_SECONDS
        needed = size * self._seconds_per_byte
        if 0 < budget < needed:
            raise DeadlineUnreachable(
                f"reading {size} bytes of text takes about {needed * 1e3:.0f} ms, and the deadline "
                f"left {budget * 1e3:.1f} ms: allow more time"
            )
        score = self._cache.get(self._cache.key(served, task.interaction, task.explain))
        if score is not None:
            timing = Timing(0.0, 0.0, 0.0, time.monotonic() - arrival)
            return replace(score, request_id=task.request_id, timing=timing), None
        evaluator = served.evaluator
        if self._dispatcher.depth:
            # Whoever must be refused is refused before it costs anybody anything.
            least = evaluator.least_length(task.interaction)
            self._dispatcher.check(evaluator, least, arrival + budget, arrived=arrival)
        encoding = partial(self._encode, evaluator, task.interaction, size)
        # Without a name for the job: an error's frames would lead back to it, and it to them.
        answered = await asyncio.wrap_future(self._start(evaluator, encoding, arrival, budget))
        score = self._scored(served, answered, task.request_id, arrival)
        self._cache.put(self._cache.key(served, task.interaction), score)
        unexplained = _Unexplained(served, answered, arrival + budget)
        return score, unexplained if task.explain else None

    async def _explained(
        self, score: Score, interaction: Interaction, unexplained: _Unexplained, others: Countdown
    ) -> Score:
        """A score with what lowered it, or with a note that it can't be told."""
        served, answered = unexplained.served, unexplained.answered
        evaluator = served.evaluator
        highlights = None
        # An explanation takes many places in the queue: half of it is for scores alone.
        crowded = self._dispatcher.depth > self._max_queue // 2
        if evaluator.reads(interaction, "output") and not crowded:
            highlights = await explain(
                evaluator,
                evaluator.search(
                    interaction, answered.encoded, [answer.logit for answer in answered.answers]
                ),
                self._start,
                unexplained.deadline,
                others=others,
                ran=partial(self._metrics.explained, served.name),
            )
        if highlights is None:
            return replace(score, reasons=(*score.reasons, Reason.NOT_EXPLAINED))
        score = replace(score, highlights=highlights)
        self._cache.put(self._cache.key(served, interaction, explained=True), score)
        return score

    def _scored(
        self, served: Served, answered: Answered[Encoded], request_id: str, arrival: float
    ) -> Score:
        evaluator = served.evaluator
        encoded, answers = answered.encoded, answered.answers
        prediction = evaluator.predict(
            encoded, [answer.logit for answer in answers], [answer.embedding for answer in answers]
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
                encode=answered.encode_seconds,
                queue=answered.queue_seconds,
                inference=answered.inference_seconds,
                total=time.monotonic() - arrival,
            ),
        )

    def _start(
        self,
        evaluator: Evaluator,
        encode: Callable[[], tuple[Work, float]],
        arrival: float,
        budget: float,
    ) -> Job[Work]:
        if not self._room.acquire(blocking=False):
            raise Overloaded(
                "too many requests wait to be encoded", reason="queue_full", retry_after=0.1
            )
        job = Job(evaluator, encode, arrival, arrival + budget)

        def begin() -> None:
            self._room.release()
            job.encode(self._dispatcher)

        self._encoders.submit(begin)
        return job

    def _encode(
        self, evaluator: Evaluator, interaction: Interaction, size: int
    ) -> tuple[Encoded, float]:
        """Encodes; the seconds are a processor's, without the waiting for one."""
        started = time.thread_time()
        encoded = evaluator.encode(interaction)
        spent = time.thread_time() - started
        if size >= _TELLING_BYTES:
            # The fastest yet, so that only what certainly can't be done is refused.
            found = spent / size
            self._seconds_per_byte = min(found, self._seconds_per_byte or found)
        return encoded, spent

    def _check_size(self, interaction: Interaction) -> int:
        sizes = {name: len((interaction.get(name) or "").encode()) for name in FIELDS}
        if (total := sum(sizes.values())) > self._max_request_bytes:
            raise InvalidRequest(
                max(FIELDS, key=lambda name: sizes[name]),
                f"too long: the interaction has {total} bytes of text and this server takes "
                f"{self._max_request_bytes} (its setting max_request_bytes)",
            )
        return total


def certificate_of(served: Served) -> Certificate | None:
    """The guarantee on an evaluator's cuts, which holds only where it runs as it was measured."""
    policy = served.evaluator.graph.policy
    if policy.certificate is None or served.evaluator.degraded:
        return None
    found = policy.certificate
    return Certificate(
        max_false_pass=found.max_false_pass,
        max_false_block=found.max_false_block,
        confidence=found.confidence,
        n=found.n,
        date=found.date,
    )
