"""The processes of jobs, which can be seen and ended on their own machine alone."""

from __future__ import annotations

import signal
import socket
from contextlib import suppress
from pathlib import Path

import psutil

from tipstaff_trainer.workspace.db.models import Job

# From SIGTERM to SIGKILL.
_GRACE_SECONDS = 8.0
# Two clocks' worth of rounding between what psutil says now and what it said then.
_SAME_START = 1.0


def this_host() -> str:
    """This machine, or this container: where a process's number says which one it is."""
    with suppress(OSError):
        return f"{socket.gethostname()} {Path('/proc/self/ns/pid').readlink()}"
    return socket.gethostname()


def process_of(job: Job) -> psutil.Process | None:
    """A job's process; None when it has ended, even if its number is somebody else's now."""
    if job.pid is None or job.pid_started is None:
        return None
    try:
        process = psutil.Process(job.pid)
        same = abs(process.create_time() - job.pid_started) < _SAME_START
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def end(process: psutil.Process) -> None:
    """Ends a process and those it started."""
    with suppress(psutil.NoSuchProcess):
        family = [*process.children(recursive=True), process]
        process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(family, timeout=_GRACE_SECONDS)
        for each in alive:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(alive, timeout=2)
