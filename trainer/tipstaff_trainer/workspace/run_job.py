"""The process of one job: `python -m tipstaff_trainer.workspace.run_job WORKSPACE JOB`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import psutil

from tipstaff.errors import TipstaffError
from tipstaff_trainer.workspace.jobs import DATABASE_VARIABLE
from tipstaff_trainer.workspace.tables import now
from tipstaff_trainer.workspace.workspace import Workspace


class _Stopped(BaseException):
    """SIGTERM came."""


def main(folder: str, job_id: int) -> int:
    """Does a job and records how it ended."""
    signal.signal(signal.SIGTERM, _stop)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    workspace = Workspace(Path(folder), database=os.environ.get(DATABASE_VARIABLE))
    if not workspace.jobs.get(job_id).active:
        return 143  # stopped before it came up
    me = psutil.Process()
    workspace.jobs.update(
        job_id, state="running", started_at=now(), pid=me.pid, pid_started=me.create_time()
    )
    job = workspace.jobs.get(job_id)
    print(f"{now():%Y-%m-%d %H:%M:%S} UTC  {job.title}", flush=True)
    try:
        # Only what this kind of job needs is imported.
        if job.kind == "label":
            from tipstaff_trainer.workspace.label_job import run
        elif job.kind == "train":
            from tipstaff_trainer.workspace.train_job import run
        elif job.kind == "score":
            from tipstaff_trainer.workspace.score_job import run
        elif job.kind == "evaluate":
            from tipstaff_trainer.workspace.evaluate_job import run
        else:
            from tipstaff_trainer.workspace.serve_job import run
        message, result = run(workspace, job)
    except _Stopped:
        print("stopped", flush=True)
        workspace.jobs.finish(job_id, "stopped", "stopped; it can be gone on with")
        return 143
    except (TipstaffError, OSError) as error:
        print(f"error: {error}", flush=True)
        workspace.jobs.finish(job_id, "failed", str(error))
        return 1
    except Exception as error:
        traceback.print_exc()
        workspace.jobs.finish(
            job_id, "failed", f"a fault of Tipstaff's own, see the log: {type(error).__name__}"
        )
        return 1
    print(message, flush=True)
    workspace.jobs.finish(job_id, "done", message, **result)
    return 0


def _stop(*_: object) -> NoReturn:
    raise _Stopped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
