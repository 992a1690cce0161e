"""How a request ends: the one place that resolves futures.

A future may be cancelled by its caller at any moment until it is claimed, and may have callbacks
that raise; neither may disturb the other requests of a run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import InvalidStateError
from typing import TypeVar

from tipstaff_server.errors import DeadlineExpired, InferenceFailed, RequestError, ShuttingDown
from tipstaff_server.scheduling.answer import Answer
from tipstaff_server.scheduling.events import Event, Observe, RequestLeft
from tipstaff_server.scheduling.queue import Entry

Outcome = TypeVar("Outcome")

_log = logging.getLogger(__name__)


def claim(entry: Entry, observe: Observe) -> bool:
    """Makes an entry that left the queue uncancellable; False when it was cancelled before."""
    if entry.future.set_running_or_notify_cancel():
        return True
    notify(observe, RequestLeft(entry.model, "cancelled"))
    return False


def answer(entry: Entry, result: Answer) -> None:
    """Gives a claimed entry its answer."""
    _undisturbed(entry.future.set_result, result)


def expire(entry: Entry, observe: Observe) -> None:
    """Ends a claimed entry whose deadline leaves no time to run it."""
    waited = "it could not be answered within its deadline and was not run"
    _reject(entry, DeadlineExpired(waited), RequestLeft(entry.model, "expired"), observe)


def fail(entry: Entry, error: BaseException, observe: Observe) -> None:
    """Ends a claimed entry for which something raised."""
    failure = InferenceFailed(f"the evaluator could not be run: {type(error).__name__}: {error}")
    failure.__cause__ = error
    _reject(entry, failure, RequestLeft(entry.model, "failed"), observe)


def turn_away(entry: Entry, observe: Observe) -> None:
    """Ends an entry that will not be run any more."""
    error = ShuttingDown("the server stopped before this request was answered: try another one")
    _reject(entry, error, RequestLeft(entry.model, "stopped"), observe)


def notify(observe: Observe, event: Event) -> None:
    """Tells the observer."""
    try:
        observe(event)
    except Exception:
        _log.exception("the observer raised")


def _reject(entry: Entry, error: RequestError, event: RequestLeft, observe: Observe) -> None:
    if not entry.future.done():
        notify(observe, event)
        _undisturbed(entry.future.set_exception, error)


def _undisturbed(resolve: Callable[[Outcome], None], outcome: Outcome) -> None:
    try:
        resolve(outcome)
    except InvalidStateError:
        pass  # Resolved in the meantime: the dispatcher stopped without waiting for the run.
    except BaseException:
        _log.exception("a callback raised")
