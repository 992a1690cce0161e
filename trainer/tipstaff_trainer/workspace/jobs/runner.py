"""The process of one job: `python -m tipstaff_trainer.workspace.jobs.runner WORKSPACE JOB`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from tipstaff.errors import TipstaffError
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import now
from tipstaff_trainer.workspace.jobs.store import DATABASE_VARIABLE, Jobs
from tipstaff_trainer.workspace.workspace import Workspace

_BEAT_SECONDS = 5.0


class _Stopped(BaseException):
    """SIGTERM came."""


def main(folder: str, job_id: int) -> int:
    """Does a job and records how it ended."""
    signal.signal(signal.SIGTERM, _stop)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    workspace = Workspace(Path(folder), database=os.environ.get(DATABASE_VARIABLE))
    job = workspace.jobs.begin(job_id)
    if job is None:
        return 143  # stopped before it came up
    ended = threading.Event()
    threading.Thread(target=_beat, args=(workspace.jobs, job_id, ended), daemon=True).start()
    print(f"{now():%Y-%m-%d %H:%M:%S} UTC  {job.title}", flush=True)
    try:
        # Only what this kind of job needs is imported.
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
        # Else a job that is done would pass for one that was stopped from afar.
        ended.set()
        print(message, flush=True)
        workspace.jobs.finish(job_id, "done", message, **result)
        return 0
    except _Stopped:
        print("stopped", flush=True)
        workspace.jobs.finish(job_id, "stopped", "stopped; it can be gone on with")
        return 143
    except (TipstaffError, OSError) as error:
        return _failed(workspace, job_id, str(error))
    except Exception as error:
        traceback.print_exc()
        why = f"a fault of Tipstaff's own, see the log: {type(error).__name__}"
        return _failed(workspace, job_id, why)
    finally:
        ended.set()


def _failed(workspace: Workspace, job_id: int, why: str) -> int:
    # On a full disk neither may be possible; whoever looks next sees that the process is gone.
    with suppress(OSError):
        print(f"error: {why}", flush=True)
    with suppress(WorkspaceError):
        workspace.jobs.finish(job_id, "failed", why)
    return 1


def _beat(jobs: Jobs, job_id: int, ended: threading.Event) -> None:
    """Says that the process is alive, until it ends or another desk has stopped the job."""
    while not ended.wait(_BEAT_SECONDS):
        # A database that is away for a while is no reason to give up.
        with suppress(WorkspaceError):
            if not jobs.beat(job_id):
                os.kill(os.getpid(), signal.SIGTERM)
                return


def _stop(*_: object) -> NoReturn:
    raise _Stopped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
