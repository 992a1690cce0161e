"""Reports an operation's progress in its job's log and database row."""

from __future__ import annotations

import time
from collections.abc import Callable

from tipstaff.errors import describe
from tipstaff_trainer.progress import Reporter
from tipstaff_trainer.workspace.jobs.store import Jobs

_EVERY_SECONDS = 0.5


class JobReporter(Reporter):
    """Prints to the job's log, and records in the job's row how far it is.

    Args:
        jobs: The workspace's jobs.
        job_id: The job's id.
        name_of: Gives the name that the job's reader knows a field of its request by.
    """

    def __init__(self, jobs: Jobs, job_id: int, name_of: Callable[[str], str] = str) -> None:
        self._jobs = jobs
        self._job_id = job_id
        self._name_of = name_of
        self._recorded_at = 0.0
        self._last_step = ""
        self._latest_note = ""

    def note(self, message: str, *, remedy: str = "") -> None:
        """Prints a note; the next step records it too."""
        self._latest_note = describe(message, remedy=remedy, name_of=self._name_of)
        print(self._latest_note, flush=True)

    def warn(self, message: str, *, remedy: str = "") -> None:
        """Prints a warning."""
        warning = describe(message, remedy=remedy, name_of=self._name_of)
        print(f"warning: {warning}", flush=True)

    def step(self, done: int, total: int, message: str = "") -> None:
        """Prints and records the progress, every half second at most and at the end."""
        step = f"{done}/{total}: {message}" if message else f"{done}/{total}"
        early = time.monotonic() - self._recorded_at < _EVERY_SECONDS
        if step == self._last_step or (early and done < total and not self._latest_note):
            return
        self._recorded_at, self._last_step = time.monotonic(), step
        print(step, flush=True)
        message = "; ".join(filter(None, [message, self._latest_note]))
        self._latest_note = ""
        self._jobs.update(self._job_id, done=done, total=total, message=message)
