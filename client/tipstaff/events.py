"""What a client tells the application that uses it: the events of its `on_event` hook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tipstaff.types import Verdict


class EventKind(StrEnum):
    """What happened."""

    # A call has ended, with an answer or without.
    CALL = "call"
    # An output got its verdict from `on_failure`, since the server gave none.
    FALLBACK = "fallback"
    # A call makes a further attempt.
    RETRY = "retry"
    # An address didn't answer: it gets probes instead of calls.
    EJECTED = "ejected"
    # An address that was ejected has answered a call.
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """One event of a client. It holds no text of an interaction.

    Attributes:
        kind: What happened.
        method: The RPC, as in `Score`; empty for an ejected or restored address.
        address: The address: of the call's last attempt, of the retry, or of the one that was
            ejected or restored. Empty if no attempt was made.
        code: Name of the gRPC status code; `OK` for an answer. For a retry, why the attempt before
            it failed: `UNAVAILABLE`, or `DEADLINE_EXCEEDED` if it took too long. Empty for an
            ejected or restored address.
        seconds: Since the start of the call; 0 for an ejected or restored address.
        verdict: The verdict of a fallback; otherwise None.
    """

    kind: EventKind
    method: str = ""
    address: str = ""
    code: str = ""
    seconds: float = 0.0
    verdict: Verdict | None = None


OnEvent = Callable[[ClientEvent], object]
