"""How a queued run ends: the one place that resolves futures.

A caller may cancel a future at any moment until it is claimed, and may have added callbacks that
raise. Neither may disturb the other members of a batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import InvalidStateError
from typing import TypeVar

from tipstaff_server.errors import DeadlineExpired, InferenceFailed, RequestError, ShuttingDown
from tipstaff_server.scheduling.events import Event, Observe, RequestLeft
from tipstaff_server.scheduling.queue import Entry
from tipstaff_server.scheduling.run_result import RunResult

Value = TypeVar("Value")

_log = logging.getLogger(__name__)


def claim(entry: Entry, observe: Observe) -> bool:
    """Makes an entry that left the queue uncancellable; False if it was cancelled before."""
    if entry.future.set_running_or_notify_cancel():
        return True
    notify(observe, RequestLeft(entry.model, "cancelled"))
    return False


def resolve(entry: Entry, result: RunResult) -> None:
    """Gives a claimed entry its result."""
    _safely(entry.future.set_result, result)


def expire(entry: Entry, observe: Observe) -> None:
    """Ends a claimed entry whose deadline leaves no time to run it."""
    error = DeadlineExpired("it could not be answered within its deadline and was not run")
    _reject(entry, error, RequestLeft(entry.model, "expired"), observe)


def fail(entry: Entry, error: BaseException, observe: Observe) -> None:
    """Ends a claimed entry whose run raised."""
    failure = InferenceFailed(f"the evaluator could not be run: {type(error).__name__}: {error}")
    failure.__cause__ = error
    _reject(entry, failure, RequestLeft(entry.model, "failed"), observe)


def turn_away(entry: Entry, observe: Observe) -> None:
    """Ends an entry that will not be run any more, since the dispatcher stops."""
    error = ShuttingDown("the server stopped before this request was answered: try another one")
    _reject(entry, error, RequestLeft(entry.model, "stopped"), observe)


def notify(observe: Observe, event: Event) -> None:
    """Sends an event to the observer, and logs what that raises."""
    try:
        observe(event)
    except Exception:
        _log.exception("the observer raised")


def _reject(entry: Entry, error: RequestError, event: RequestLeft, observe: Observe) -> None:
    if not entry.future.done():
        notify(observe, event)
        _safely(entry.future.set_exception, error)


def _safely(settle: Callable[[Value], None], value: Value) -> None:
    try:
        settle(value)
    except InvalidStateError:
        pass  # Resolved meanwhile: the dispatcher stopped without waiting for the run.
    except BaseException:
        _log.exception("a callback raised")
