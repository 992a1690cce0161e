"""What an operation reports, in its job's log and row."""

from __future__ import annotations

import time

from tipstaff.errors import describe
from tipstaff_trainer.progress import Reporter
from tipstaff_trainer.workspace.jobs.store import Jobs

_EVERY_SECONDS = 0.5


class JobReporter(Reporter):
    """Prints to the job's log, and records in its row how far the job is.

    Args:
        jobs: The workspace's.
        job_id: The job's.
    """

    def __init__(self, jobs: Jobs, job_id: int) -> None:
        self._jobs = jobs
        self._job_id = job_id
        self._recorded_at = 0.0
        self._last = ""
        self._latest_note = ""

    def note(self, message: str, *, remedy: str = "") -> None:
        """Prints a note."""
        self._latest_note = self._describe(message, remedy)
        print(self._latest_note, flush=True)

    def warn(self, message: str, *, remedy: str = "") -> None:
        """Prints a warning."""
        print(f"warning: {self._describe(message, remedy)}", flush=True)

    def step(self, done: int, total: int, message: str = "") -> None:
        """Prints and records the progress, every half second at most and at the end."""
        early = time.monotonic() - self._recorded_at < _EVERY_SECONDS
        text = f"{done}/{total}: {message}" if message else f"{done}/{total}"
        if text == self._last or (early and not self._latest_note and done < total):
            return
        self._recorded_at, self._last = time.monotonic(), text
        print(text, flush=True)
        shown = "; ".join(filter(None, [message, self._latest_note]))
        self._latest_note = ""
        self._jobs.update(
            self._job_id, done=done, total=total, **({"message": shown} if shown else {})
        )

    def _describe(self, message: str, remedy: str) -> str:
        return describe(message, remedy=remedy, name_of=self.name_of)

    @staticmethod
    def name_of(field: str) -> str:
        """What a job's reader calls a field of its request."""
        return field.replace("_", " ")
