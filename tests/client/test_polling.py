"""Polls that go on, whatever they raise."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tipstaff.polling import keep_polling


class PanicError(BaseException):
    """Stands in for a panic in a Rust extension."""


def poll_through(*results: BaseException | None) -> int:
    """Makes one poll for each result, which it raises; returns how many were counted as failed."""
    waiting, failures = list(results), []

    async def poll() -> None:
        if not waiting:
            raise asyncio.CancelledError
        if (error := waiting.pop(0)) is not None:
            raise error

    polling = keep_polling("here", poll, 0, on_failure=lambda: failures.append(1))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(polling)
    return len(failures)


def test_each_error_is_counted_and_logged_once(caplog):
    caplog.set_level(logging.INFO)
    first, second = PermissionError("a"), PermissionError("b")
    assert poll_through(first, first, MemoryError(), second, PanicError(), None, None, first) == 6
    found = [each.exc_info and each.exc_info[0] for each in caplog.records]
    # The text tells the two apart: whoever mends the first must see the second.
    kinds = [PermissionError, MemoryError, PermissionError, PanicError, None, PermissionError]
    assert found == kinds
    assert caplog.records[0].message == "polling here failed; all stays as it was"
    assert caplog.records[-2].message == "polling here succeeds again"


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_process_ends_the_polls(end):
    async def poll() -> None:
        raise end

    with pytest.raises(end):
        asyncio.run(keep_polling("here", poll, 0, on_failure=lambda: None))
