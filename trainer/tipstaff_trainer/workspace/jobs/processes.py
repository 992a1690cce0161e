"""Finding and ending the processes of jobs."""

from __future__ import annotations

import signal
from contextlib import suppress

import psutil

from tipstaff_trainer.workspace.db.models import Job

# From SIGTERM to SIGKILL.
_GRACE_SECONDS = 8.0
# psutil rounds a process's start time; two readings may differ by this many seconds.
_SAME_START = 1.0


def process_of(job: Job) -> psutil.Process | None:
    """A job's process; None if it has ended, even if another process has its pid now."""
    if job.pid is None or job.pid_started is None:
        return None
    try:
        process = psutil.Process(job.pid)
        same = abs(process.create_time() - job.pid_started) < _SAME_START
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def end(process: psutil.Process) -> None:
    """Ends a process and its descendants."""
    with suppress(psutil.NoSuchProcess):
        family = [*process.children(recursive=True), process]
        process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(family, timeout=_GRACE_SECONDS)
        for each in alive:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(alive, timeout=2)
