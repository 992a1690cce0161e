"""The process of one job: `python -m tipstaff_trainer.workspace.jobs.runner WORKSPACE JOB`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from tipstaff.errors import TipstaffError
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import now
from tipstaff_trainer.workspace.jobs.store import DATABASE_VARIABLE, STOPPED
from tipstaff_trainer.workspace.workspace import Workspace


class _Stopped(BaseException):
    """The process received SIGTERM."""


def main(folder: str, job_id: int) -> int:
    """Runs a job and records how it ended."""
    signal.signal(signal.SIGTERM, _stop)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    workspace = Workspace(Path(folder), database=os.environ.get(DATABASE_VARIABLE))
    job = workspace.jobs.begin(job_id)
    if job is None:
        return 143  # stopped before it started
    print(f"{now():%Y-%m-%d %H:%M:%S} UTC  {job.title}", flush=True)
    try:
        # Import only the modules that this kind of job needs.
        if job.kind == "label":
            from tipstaff_trainer.workspace.jobs.label_job import run
        elif job.kind == "train":
            from tipstaff_trainer.workspace.jobs.train_job import run
        elif job.kind == "score":
            from tipstaff_trainer.workspace.jobs.score_job import run
        elif job.kind == "evaluate":
            from tipstaff_trainer.workspace.jobs.evaluate_job import run
        else:
            from tipstaff_trainer.workspace.jobs.serve_job import run
        message, result = run(workspace, job)
        print(message, flush=True)
        workspace.jobs.finish(job_id, "done", message, **result)
        return 0
    except _Stopped:
        print("stopped", flush=True)
        workspace.jobs.finish(job_id, "stopped", STOPPED)
        return 143
    except (TipstaffError, OSError) as error:
        return _failed(workspace, job_id, str(error))
    except Exception as error:
        traceback.print_exc()
        reason = f"an internal error of Tipstaff, see the log: {type(error).__name__}"
        return _failed(workspace, job_id, reason)


def _failed(workspace: Workspace, job_id: int, reason: str) -> int:
    # On a full disk neither may work; then the next reader marks the job by its missing process.
    with suppress(OSError):
        print(f"error: {reason}", flush=True)
    with suppress(WorkspaceError):
        workspace.jobs.finish(job_id, "failed", reason)
    return 1


def _stop(*_: object) -> NoReturn:
    raise _Stopped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
