"""The trace that a caller's call belongs to, as W3C Trace Context sends it in `traceparent`."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass

_KEY = "traceparent"
_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A trace whose spans are recorded.

    Attributes:
        trace_id: Above 0, 128 bits.
        parent_id: The caller's span, 64 bits; 0 for a trace that begins here.
    """

    trace_id: int
    parent_id: int = 0

    @property
    def text(self) -> str:
        """The trace's id in hexadecimal."""
        return f"{self.trace_id:032x}"


current_trace: ContextVar[TraceContext | None] = ContextVar("tipstaff_trace", default=None)


def choose_trace(
    metadata: Iterable[tuple[str, str | bytes]],
    share: float,
    draw: Callable[[], float] = random.random,
) -> TraceContext | None:
    """The trace of a call; None if its spans aren't recorded.

    Args:
        metadata: The call's. A caller that sends a trace decides whether it is recorded.
        share: Share of the other calls that are recorded.
        draw: Draws from [0, 1).
    """
    for key, value in metadata:
        if key == _KEY and isinstance(value, str) and (match := _FORM.fullmatch(value)):
            version, trace_id, parent_id, flags, rest = match.groups()
            valid = version != "ff" and int(trace_id, 16) and int(parent_id, 16)
            if not valid or (version == "00" and rest):
                break
            recorded = int(flags, 16) & 1
            return TraceContext(int(trace_id, 16), int(parent_id, 16)) if recorded else None
    if share and draw() < share:
        return TraceContext(random.getrandbits(128) or 1)
    return None
