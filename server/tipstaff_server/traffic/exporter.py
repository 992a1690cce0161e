"""The metrics of traffic, read at each scrape."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tipstaff_server.traffic.sampler import TrafficSampler


class TrafficCollector(Collector):
    """Exports what became of answers and feedback."""

    def __init__(self, sampler: TrafficSampler) -> None:
        self._sampler = sampler

    def collect(self) -> Iterator[Metric]:
        """The metrics, with their values now."""
        fates = self._sampler.fates
        for name, text, value in (
            ("counted", "Answers counted as traffic, drawn or not.", fates.counted),
            ("drawn", "Answers drawn to be kept.", fates.drawn),
            ("dropped", "Answers drawn that could not be kept.", fates.dropped),
            ("skipped", "Answers that are no traffic, as a version was named.", fates.skipped),
            (
                "redaction_failures",
                "Rows kept without texts, as the redaction raised.",
                self._sampler.redaction_failed,
            ),
            ("feedback", "Pieces of feedback taken.", fates.feedback),
            (
                "callers_overflow",
                "Answers whose caller is counted among the others.",
                self._sampler.overflow,
            ),
            ("segments_deleted", "Segments deleted by age or size.", self._sampler.deleted),
        ):
            yield CounterMetricFamily(f"tipstaff_traffic_{name}", text, value=value)
        yield GaugeMetricFamily(
            "tipstaff_traffic_keeping",
            "One while drawn answers can be written.",
            value=float(self._sampler.keeping),
        )
