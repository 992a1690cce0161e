"""The caller of the call under way, and what its interaction costs.

Context variables: a task of asyncio sees the values of the task that made it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from tipstaff_server.access.callers import ANYONE, Caller

_caller: ContextVar[Caller] = ContextVar("tipstaff_caller", default=ANYONE)
_charge: ContextVar[Callable[[float], object] | None] = ContextVar("tipstaff_charge", default=None)


def current_caller() -> Caller:
    """Who made the call under way; `ANYONE` outside a call, or if callers aren't told apart."""
    return _caller.get()


def set_caller(caller: Caller) -> None:
    """Notes who made the call of this task."""
    _caller.set(caller)


def set_charge(charge: Callable[[float], object] | None) -> None:
    """Notes who is told what the interaction of this task costs."""
    _charge.set(charge)


def charge(seconds: float) -> None:
    """Tells of the worker seconds that the interaction of this task took."""
    if (receive := _charge.get()) is not None:
        receive(seconds)
