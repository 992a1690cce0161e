"""What the gateway tells Prometheus. No metric holds a text of an interaction."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tipstaff_gateway.policy import Decision

_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """The metrics of one gateway.

    Attributes:
        registry: What a scrape reads.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "tipstaff_gateway_request_duration_seconds",
            "From a request's arrival to its answer; for Envoy, the gateway's part of an exchange.",
            ["door", "status"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        # By door and status: to look up the labels takes longer than to count.
        self._observers: dict[tuple[str, str], Callable[[float], None]] = {}
        self._decisions = Counter(
            "tipstaff_gateway_decisions",
            "Answers let through or blocked, by the verdict that decided.",
            ["door", "verdict", "decision"],
            registry=self.registry,
        )
        self._missing = Counter(
            "tipstaff_gateway_missing_fields",
            "Fields that the evaluator reads and no source of the mapping found.",
            ["door", "field"],
            registry=self.registry,
        )
        self._unread = Counter(
            "tipstaff_gateway_unread_answers",
            "Answers beside images, audio or other parts that were not read.",
            ["door"],
            registry=self.registry,
        )
        self._unscored = Counter(
            "tipstaff_gateway_unscored",
            "Answers that passed without a score, by the reason.",
            ["door", "reason"],
            registry=self.registry,
        )
        self._joins = Counter(
            "tipstaff_gateway_joins",
            "Answers whose prompt was found, and those whose prompt was not.",
            ["result"],
            registry=self.registry,
        )
        self._stale = Gauge(
            "tipstaff_gateway_files_stale",
            "1 while renewed files can't be used and the old ones stay in force.",
            ["files"],
            registry=self.registry,
        )
        self._poll_failures = Counter(
            "tipstaff_gateway_poll_failures",
            "Polls that ended in an unforeseen error: what is polled stays as it was.",
            ["poll"],
            registry=self.registry,
        )
        self._expiry = Gauge(
            "tipstaff_gateway_certificate_expiry_timestamp_seconds",
            "When the gateway's own certificate expires; 0 without TLS.",
            registry=self.registry,
        )

    def follow_files(self, name: str, stale: Callable[[], bool]) -> None:
        """Shows whether files are stale."""
        self._stale.labels(name).set_function(lambda: float(stale()))

    def poll_failures(self, poll: str) -> Callable[[], None]:
        """What counts an unforeseen error of a poll, of `tls`."""
        return self._poll_failures.labels(poll).inc

    def follow_certificate(self, expires: Callable[[], float]) -> None:
        """Shows when the gateway's own certificate expires, in seconds since 1970."""
        self._expiry.set_function(expires)

    def answered(self, door: str, status: str, seconds: float) -> None:
        """Notes one answered request and its status, of HTTP or gRPC."""
        observe = self._observers.get((door, status))
        if observe is None:
            observe = self._seconds.labels(door, status).observe
            self._observers[door, status] = observe
        observe(seconds)

    def decided(self, door: str, decision: Decision) -> None:
        """Notes what became of one answer."""
        outcome = "block" if decision.blocked else "allow"
        self._decisions.labels(door, decision.verdict, outcome).inc()
        for field in decision.missing:
            self._missing.labels(door, field).inc()
        if decision.unread:
            self._unread.labels(door).inc()

    def unscored(self, door: str, reason: str) -> None:
        """Notes an answer that was let through without a score."""
        self._unscored.labels(door, reason).inc()

    def joined(self, found: bool) -> None:
        """Notes whether an answer's prompt was found."""
        self._joins.labels("found" if found else "missing").inc()
