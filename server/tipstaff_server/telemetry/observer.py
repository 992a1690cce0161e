"""Tells of interactions: a share in the access log, and those of recorded traces as spans."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tipstaff_server.telemetry.interaction import Interaction
from tipstaff_server.telemetry.trace_context import choose_trace, current_trace

if TYPE_CHECKING:
    from tipstaff_server.settings import Settings
    from tipstaff_server.telemetry.tracing import Tracing

log = logging.getLogger("tipstaff_server.access_log")
faults = logging.getLogger(__name__)


class Telemetry:
    """Observes calls and their interactions.

    Args:
        log_share: Share of the interactions that get a line in the access log.
        tracing: Records spans; None for none.
        trace_share: Share of the calls that are recorded, of those that belong to no trace.
        draw: Draws from [0, 1).
    """

    def __init__(
        self,
        *,
        log_share: float = 0.0,
        tracing: Tracing | None = None,
        trace_share: float = 0.0,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._log_share = log_share
        self._tracing = tracing
        self._trace_share = trace_share
        self._draw = draw
        self._failing = False

    @classmethod
    def of(cls, settings: Settings) -> Telemetry:
        """What the settings ask for.

        Raises:
            UsageError: Tracing is asked for, and the extra is not installed.
        """
        tracing = None
        if settings.trace_endpoint:
            from tipstaff_server.telemetry.tracing import Tracing

            tracing = Tracing(settings.trace_endpoint, evaluations=settings.trace_evaluations)
        return cls(
            log_share=settings.access_log_share,
            tracing=tracing,
            trace_share=settings.trace_share,
        )

    def begin(self, metadata: Iterable[tuple[str, str | bytes]] | None) -> None:
        """Notes the trace of the call of this task."""
        if self._tracing is not None:
            current_trace.set(choose_trace(metadata or (), self._trace_share, self._draw))

    @property
    def exemplar(self) -> str:
        """The id of the recorded trace of this task's call; empty without one."""
        trace = current_trace.get()
        return "" if trace is None else trace.text

    def tell(self, interaction: Interaction) -> None:
        """Tells of an interaction that has just ended; never raises: its answer must go out."""
        try:
            self._tell(interaction)
        except Exception:
            if not self._failing:
                faults.exception("interactions can't be told of; answers go on")
            self._failing = True
        else:
            self._failing = False

    def _tell(self, interaction: Interaction) -> None:
        if self._tracing is not None and (trace := current_trace.get()) is not None:
            self._tracing.record(interaction, trace)
        if self._log_share and self._draw() < self._log_share:
            log.info("%s", json.dumps(_entry(interaction, self.exemplar)))

    def close(self) -> None:
        """Sends what is recorded."""
        if self._tracing is not None:
            self._tracing.close()


def _entry(interaction: Interaction, trace_id: str) -> dict[str, object]:
    """A line of the access log."""
    entry: dict[str, object] = {
        "request_id": interaction.request_id,
        "caller": interaction.caller,
        "evaluator": interaction.evaluator,
        "code": interaction.code,
        "milliseconds": _milliseconds(interaction.seconds),
    }
    if (score := interaction.score) is not None:
        entry |= {
            "version": score.version,
            "verdict": score.verdict.value,
            "reasons": [reason.value for reason in score.reasons],
            "cached": score.cached,
        }
    entry |= {f"{name}_ms": _milliseconds(seconds) for name, seconds in interaction.steps}
    if trace_id:
        entry["trace_id"] = trace_id
    return entry


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 2)
