"""The process of one job: `python -m tipstaff_trainer.workspace.jobs.runner WORKSPACE JOB`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NoReturn

from tipstaff.errors import TipstaffError
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import Job, now
from tipstaff_trainer.workspace.jobs import operations
from tipstaff_trainer.workspace.jobs.reporter import JobReporter
from tipstaff_trainer.workspace.jobs.store import DATABASE_VARIABLE, STOPPED
from tipstaff_trainer.workspace.stores import Stores

_OPERATIONS = {
    "label": operations.run_label,
    "score": operations.run_score,
    "train": operations.run_train,
    "evaluate": operations.run_evaluate,
    "serve": operations.run_serve,
}


class _Stopped(BaseException):
    """The process received SIGTERM."""


def main(folder: str, job_id: int) -> int:
    """Runs a job and records how it ended."""
    signal.signal(signal.SIGTERM, _stop)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    stores = Stores(folder, database=os.environ.get(DATABASE_VARIABLE))
    job = stores.jobs.begin(job_id)
    if job is None:
        return 143  # stopped before it started
    print(f"{now():%Y-%m-%d %H:%M:%S} UTC  {job.title}", flush=True)
    reporter = JobReporter(stores.jobs, job_id)
    try:
        message, result = run(stores, job, reporter)
        print(message, flush=True)
        stores.jobs.finish(job_id, "done", message, **result)
        return 0
    except _Stopped:
        print("stopped", flush=True)
        stores.jobs.finish(job_id, "stopped", STOPPED)
        return 143
    except TipstaffError as error:
        return _failed(stores, job_id, error.describe(reporter.name_of))
    except OSError as error:
        return _failed(stores, job_id, str(error))
    except Exception as error:
        traceback.print_exc()
        reason = f"an internal error of Tipstaff, see the log: {type(error).__name__}"
        return _failed(stores, job_id, reason)


def run(stores: Stores, job: Job, reporter: JobReporter) -> tuple[str, Mapping[str, Any]]:
    """Runs a job's operation in this process.

    Returns:
        How it ended, for people, and its result.
    """
    return _OPERATIONS[job.kind](stores, job, reporter)


def _failed(stores: Stores, job_id: int, reason: str) -> int:
    # On a full disk neither may work; then the next reader marks the job by its missing process.
    with suppress(OSError):
        print(f"error: {reason}", flush=True)
    with suppress(WorkspaceError):
        stores.jobs.finish(job_id, "failed", reason)
    return 1


def _stop(*_: object) -> NoReturn:
    raise _Stopped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
