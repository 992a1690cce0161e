"""Polls for as long as a process runs, whatever a poll raises; for servers and gateways."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Never

log = logging.getLogger(__name__)


async def keep_polling(
    what: str,
    poll: Callable[[], Awaitable[object]],
    seconds: float,
    *,
    on_failure: Callable[[], object],
) -> Never:
    """Polls again and again until its task is cancelled.

    A process that serves well must not end, nor stop to follow its files, because one poll raised
    something that nobody foresaw. The log has each error once, until another one takes its place
    or a poll succeeds.

    Args:
        what: What is polled, for the log.
        poll: Makes one poll.
        seconds: Pause before each poll.
        on_failure: Called for each poll that raises, to count it.
    """
    logged = ""
    while True:
        await asyncio.sleep(seconds)
        try:
            await poll()
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic in a Rust extension isn't an Exception
            on_failure()
            problem = f"{type(error).__name__}: {error}"
            if problem != logged:
                log.error("polling %s failed; all stays as it was", what, exc_info=error)
            logged = problem
        else:
            if logged:
                log.warning("polling %s succeeds again", what)
            logged = ""
