"""Limits by caller: interactions a second, and under way. Pure: the time is passed in."""

from __future__ import annotations

from dataclasses import dataclass

from tipstaff_server.errors import Overloaded

# What a caller may ask at once after a pause, in seconds of its rate.
_BURST_SECONDS = 1.0
# Advised where no time is known: calls under way end when they end.
_RETRY_SECONDS = 0.05


@dataclass(slots=True)
class Usage:
    """What one caller does now.

    Attributes:
        under_way: Its interactions under way.
        allowance: How many more it may ask now, by its rate; negative before the first.
        at: When the allowance was reckoned.
    """

    under_way: int = 0
    allowance: float = -1.0
    at: float = 0.0


def check_under_way(usage: Usage, most: int) -> None:
    """Refuses one more interaction than may be under way; 0 for no limit.

    Raises:
        Overloaded: There are as many as may be.
    """
    if most and usage.under_way >= most:
        raise Overloaded(
            f"this caller has {usage.under_way} interactions under way, the most allowed",
            reason="caller_under_way",
            retry_after=_RETRY_SECONDS,
        )


def check_rate(usage: Usage, rate: float, now: float) -> None:
    """Takes one from the caller's allowance; a rate of 0 is no limit.

    Raises:
        Overloaded: The allowance is used up; says when there is more.
    """
    if not rate:
        return
    full = max(1.0, rate * _BURST_SECONDS)
    if usage.allowance < 0:
        usage.allowance = full
    else:
        usage.allowance = min(full, usage.allowance + (now - usage.at) * rate)
    usage.at = now
    if usage.allowance < 1:
        raise Overloaded(
            f"this caller may ask {rate:g} interactions a second",
            reason="caller_rate",
            retry_after=(1 - usage.allowance) / rate,
        )
    usage.allowance -= 1
