"""What a client tells the application that uses it: the events of its `on_event` hook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tipstaff.types import Verdict


class EventKind(StrEnum):
    """What happened."""

    CALL = "call"
    """A call has ended, with an answer or without."""
    FALLBACK = "fallback"
    """An output got its verdict from `on_failure`, since the server gave none."""
    RETRY = "retry"
    """A call makes a further attempt."""
    EJECTED = "ejected"
    """An address no longer gets calls, since it didn't answer; it is probed."""
    RESTORED = "restored"
    """An address that was ejected answers again."""


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """One event of a client. It never holds text of an interaction.

    Attributes:
        kind: What happened.
        method: The RPC, as in `Score`; empty for an address.
        address: The address that was called last, or the one that was ejected or restored; empty
            if the target has no address, or none was called.
        code: Name of the gRPC status code; `OK` for an answer. Of a retry: why the attempt before
            it failed, where `DEADLINE_EXCEEDED` means that the attempt's own time was up.
        seconds: From the start of the call until now; 0 for an address.
        verdict: The verdict of a fallback; otherwise None.
    """

    kind: EventKind
    method: str = ""
    address: str = ""
    code: str = ""
    seconds: float = 0.0
    verdict: Verdict | None = None


OnEvent = Callable[[ClientEvent], object]
