"""The server's Prometheus metrics.

Every label has a bounded set of values: the evaluators in service (any other name in a request
counts as the empty one), gRPC's codes, and the wire's reasons and verdicts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from tipstaff.types import Reason, Score
from tipstaff_server.caller_metrics import AccessMetrics, CallerMetrics
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.repository.registry import Served
from tipstaff_server.scheduling import BatchRan, Event, WorkerRestarted

# A guardrail takes 1 to 500 ms; a few buckets beyond both ends show what is out of hand.
_LATENCY = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05),
    *(0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 1.0, 2.5, 5.0),
)
_PART = (0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03,
         0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)  # fmt: skip
_BATCH = (1, 2, 4, 8, 16, 32, 64, 128)
_SHARE = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5,
          0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)  # fmt: skip
_PADDING = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
_COVERAGE = (0.1, 0.25, 0.5, 0.75, 0.9, 0.999, 1.0)

# They would double the number of series, and no panel reads them.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The server's metrics, in a registry of their own. Safe to use from several threads.

    Attributes:
        registry: All metrics, for scrapes.
        callers: Those by caller.
        access: Those of the files that say who may ask.
    """

    def __init__(self, *, named_callers: int = 20) -> None:
        """Makes all metrics; of the callers, only the busiest are named."""
        self.registry = CollectorRegistry()
        self.callers = CallerMetrics(named=named_callers)
        self.registry.register(self.callers)
        self.access = AccessMetrics(self.registry)
        # Cached: looking a child up by its labels takes as long as the rest of an observation.
        self._child = cache(lambda metric, *labels: metric.labels(*labels))
        ProcessCollector(registry=self.registry)
        one = ("evaluator",)
        self._requests = self._histogram(
            "tipstaff_request_duration_seconds",
            "From an interaction's arrival to its answer or refusal, by gRPC code.",
            ("evaluator", "code"),
            _LATENCY,
        )
        self._encode = self._histogram(
            "tipstaff_encode_duration_seconds",
            "Turning text into token ids, including the wait for a thread.",
            one,
            _PART,
        )
        self._queue = self._histogram(
            "tipstaff_queue_duration_seconds", "Waiting for a worker.", one, _PART
        )
        self._inference = self._histogram(
            "tipstaff_inference_duration_seconds", "One run of the graph.", one, _PART
        )
        self._batch_size = self._histogram(
            "tipstaff_batch_size", "Interactions, or windows of long ones, in one run.", one, _BATCH
        )
        self._padding = self._histogram(
            "tipstaff_padding_ratio", "Share of padding among one run's tokens.", one, _PADDING
        )
        self._score = self._histogram(
            "tipstaff_score",
            "Calibrated scores: a shift means that the traffic changed.",
            one,
            _SHARE,
        )
        self._coverage = self._histogram(
            "tipstaff_coverage_ratio",
            "Share of a field's tokens that was scored.",
            ("evaluator", "field"),
            _COVERAGE,
        )
        self._unknown_tokens = self._counter(
            "tipstaff_unknown_tokens",
            "Tokens of words that the encoder doesn't know.",
            ("evaluator", "field"),
        )
        self._dropped_characters = self._counter(
            "tipstaff_dropped_characters",
            "Characters that the encoder never sees, such as zero-width ones.",
            ("evaluator", "field"),
        )
        self._verdicts = self._counter("tipstaff_verdicts", "Verdicts.", ("evaluator", "verdict"))
        self._reasons = self._counter(
            "tipstaff_reasons", "Reasons in replies.", ("evaluator", "reason")
        )
        self._partial = self._counter(
            "tipstaff_partial", "Interactions of which not all was scored.", one
        )
        self._unreadable = self._counter(
            "tipstaff_unreadable",
            "Interactions of which more can't be read than the evaluator's limits allow.",
            one,
        )
        self._cache_hits = self._counter(
            "tipstaff_cache_hits", "Scores answered from the cache.", one
        )
        self._explanation_runs = self._counter(
            "tipstaff_explanation_runs", "Runs of the graph to explain scores.", one
        )
        self._refusals = self._counter(
            "tipstaff_refusals", "Interactions refused, by reason.", ("reason",)
        )
        self._worker_faults = Counter(
            "tipstaff_lane_faults",
            "Workers that were restarted because their own code failed.",
            registry=self.registry,
        )
        self._reload_failures = self._counter(
            "tipstaff_reload_failures", "Promotions that could not be followed.", one
        )
        self._poll_failures = self._counter(
            "tipstaff_poll_failures",
            "Polls that ended in an unforeseen error: what is polled stays as it was.",
            ("poll",),
        )
        self._info = Gauge(
            "tipstaff_evaluator_info",
            "One for each evaluator in service.",
            ("evaluator", "version", "engine"),
            registry=self.registry,
        )
        self._degraded = Gauge(
            "tipstaff_evaluator_degraded",
            "One if an evaluator doesn't run as it was measured.",
            one,
            registry=self.registry,
        )

    def watch(self, *, workers: int, depth: Callable[[], int], healthy: Callable[[], bool]) -> None:
        """Exports the dispatcher's state, read at each scrape."""
        Gauge(
            "tipstaff_lanes", "Batches that can run at the same time.", registry=self.registry
        ).set(workers)
        Gauge(
            "tipstaff_queue_depth", "Interactions waiting for a worker.", registry=self.registry
        ).set_function(depth)
        Gauge(
            "tipstaff_lanes_healthy", "One while all workers are alive.", registry=self.registry
        ).set_function(lambda: float(healthy()))

    def observe(self, event: Event) -> None:
        """Counts an event of the dispatcher."""
        if isinstance(event, WorkerRestarted):
            self._worker_faults.inc()
        elif isinstance(event, BatchRan) and isinstance(event.model, Evaluator):
            name = event.model.manifest.name
            self._child(self._batch_size, name).observe(event.size)
            self._child(self._padding, name).observe(event.padding)
            self._child(self._inference, name).observe(event.inference_seconds)
            queue = self._child(self._queue, name)
            for seconds in event.queue_seconds:
                queue.observe(seconds)

    def scored(self, score: Score) -> None:
        """Counts a score that goes to a client."""
        name = score.evaluator
        if score.cached:
            self._child(self._cache_hits, name).inc()
        elif score.timing is not None:
            self._child(self._encode, name).observe(score.timing.encode)
        if score.score is not None:
            self._child(self._score, name).observe(score.score)
        self._child(self._verdicts, name, score.verdict.value).inc()
        for reason in score.reasons:
            self._child(self._reasons, name, reason.value).inc()
        for field, coverage in score.coverage.items():
            share = coverage.scored / coverage.total if coverage.total else 1.0
            self._child(self._coverage, name, field).observe(share)
            if coverage.unread:
                self._child(self._unknown_tokens, name, field).inc(coverage.unknown)
                self._child(self._dropped_characters, name, field).inc(coverage.dropped)
        if Reason.PARTIAL in score.reasons:
            self._child(self._partial, name).inc()
        if Reason.UNREADABLE in score.reasons:
            self._child(self._unreadable, name).inc()

    def explained(self, evaluator: str, runs: int) -> None:
        """Counts runs that were made to explain a score."""
        self._child(self._explanation_runs, evaluator).inc(runs)

    def refused(self, reason: str, count: int = 1) -> None:
        """Counts refused interactions; `reason` is one of a few fixed words."""
        self._child(self._refusals, reason).inc(count)

    def answered(self, evaluator: str, code: str, seconds: float, trace_id: str = "") -> None:
        """Counts one interaction and the time it took.

        Args:
            evaluator: Name of an evaluator in service, or empty.
            code: Name of the gRPC status code.
            seconds: From arrival to answer.
            trace_id: The recorded trace that it belongs to, for an exemplar; empty for none.
        """
        exemplar = {"trace_id": trace_id} if trace_id else None
        self._child(self._requests, evaluator, code).observe(seconds, exemplar)

    def swapped(self, old: Served | None, new: Served) -> None:
        """Exports which version is in service."""
        if old is not None:
            self._info.remove(old.name, str(old.version), old.evaluator.engine)
        self._info.labels(new.name, str(new.version), new.evaluator.engine).set(1)
        self._degraded.labels(new.name).set(bool(new.evaluator.degraded))
        # So that a rate exists before the first of each.
        self._reload_failures.labels(new.name)
        self._partial.labels(new.name)
        self._unreadable.labels(new.name)
        for field in new.evaluator.manifest.fields:
            self._unknown_tokens.labels(new.name, field)
            self._dropped_characters.labels(new.name, field)

    def failed(self, name: str) -> None:
        """Counts a promotion that could not be followed."""
        self._reload_failures.labels(name).inc()

    def poll_failures(self, poll: str) -> Callable[[], None]:
        """What counts an unforeseen error of a poll: `repository`, `access_files` or `health`."""
        return self._poll_failures.labels(poll).inc

    def _histogram(
        self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)
