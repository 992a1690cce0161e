"""Tells others of spikes: gauges in a file, and a webhook."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from tipstaff_trainer.workspace.db.models.traffic import DAY
from tipstaff_trainer.workspace.traffic.live import Live
from tipstaff_trainer.workspace.traffic.store import Traffic
from tipstaff_trainer.workspace.traffic.window import CHARTS, Window

_HOUR = 3600
_TIMEOUT_SECONDS = 5.0


class Alarms:
    """Tells of each spike once.

    Args:
        traffic: The workspace's traffic.
        webhook: Where to send new spikes to, as JSON; None for nowhere.
        gauges: The file for Prometheus; None for none.
        since: Spikes that were found before are no news; an hour ago if None.
    """

    def __init__(
        self,
        traffic: Traffic,
        *,
        webhook: str | None,
        gauges: Path | None,
        since: float | None = None,
    ) -> None:
        self._traffic = traffic
        self._webhook = webhook
        self._gauges = gauges
        # An hour is looked at once it is over and collected; what was found before is no news.
        self._since = time.time() - _HOUR if since is None else since
        self._sent: set[tuple[str, str, int]] = set()

    def send(self) -> list[str]:
        """Writes the gauges and sends new spikes; returns what went wrong."""
        if self._webhook is None and self._gauges is None:
            return []
        window = Window.last(DAY, now=time.time())
        lives = [self._traffic.live(name, window) for name in self._traffic.sources()]
        problems = [problem for live in lives for problem in self._post(live)]
        if self._gauges is not None:
            try:
                write_gauges(lives, self._gauges)
            except OSError as error:
                problems.append(f"{self._gauges}: can't be written: {error.strerror}")
        return problems

    def _post(self, live: Live) -> Iterator[str]:
        for chart in live.spikes if self._webhook else ():
            spike = chart.spike
            key = (live.evaluator, chart.name, spike.found)
            if key in self._sent or spike.found < self._since:
                continue
            body = {
                "evaluator": live.evaluator,
                "chart": chart.name,
                "direction": spike.direction,
                "start": datetime.fromtimestamp(spike.start, UTC).isoformat(),
                "found": datetime.fromtimestamp(spike.found, UTC).isoformat(),
                "before": spike.before,
                "value": spike.value,
            }
            try:
                request = urllib.request.Request(
                    str(self._webhook),
                    json.dumps(body).encode(),
                    {"content-type": "application/json"},
                )
                with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):
                    self._sent.add(key)
            except (OSError, ValueError) as error:
                yield f"the webhook did not take a spike, it is tried again: {error}"


def write_gauges(lives: Sequence[Live], file: Path) -> None:
    """Writes the gauges of the last day.

    Raises:
        OSError: The file can't be written.
    """
    registry, one = CollectorRegistry(), ("evaluator",)
    spiking = Gauge(
        "tipstaff_traffic_spike",
        "Spikes found in the last day.",
        ("evaluator", "chart", "direction"),
        registry=registry,
    )
    answers = Gauge("tipstaff_traffic_answers", "Answers of the last day.", one, registry=registry)
    bad = Gauge(
        "tipstaff_traffic_bad_ratio",
        "Estimated share of bad answers in the last day; absent while it is withheld.",
        one,
        registry=registry,
    )
    for live in lives:
        answers.labels(live.evaluator).set(live.n)
        if live.rates.bad.value is not None:
            bad.labels(live.evaluator).set(live.rates.bad.value)
        found = [(each.name, each.spike.direction) for each in live.spikes]
        for name in CHARTS:
            for direction in ("up", "down"):
                spiking.labels(live.evaluator, name, direction).set(found.count((name, direction)))
    write_to_textfile(str(file), registry)
