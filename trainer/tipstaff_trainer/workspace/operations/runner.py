"""The process of one job: `python -m` with this module, the workspace's folder and the job's id."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from contextlib import suppress
from typing import NoReturn

from tipstaff.errors import TipstaffError
from tipstaff_server.request_fields import field_titles
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import Job, now
from tipstaff_trainer.workspace.jobs.store import DATABASE_VARIABLE, STOPPED
from tipstaff_trainer.workspace.operations.reporter import JobReporter
from tipstaff_trainer.workspace.operations.run import request_model, run
from tipstaff_trainer.workspace.stores import Stores

_EXIT_STOPPED = 128 + signal.SIGTERM


class _Stopped(BaseException):
    """The process received SIGTERM."""


def main(folder: str, job_id: int) -> int:
    """Runs a job and records how it ended."""
    signal.signal(signal.SIGTERM, _stop)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    stores = Stores(folder, database=os.environ.get(DATABASE_VARIABLE))
    job = stores.jobs.begin(job_id)
    if job is None:
        return _EXIT_STOPPED  # before it started
    print(f"{now():%Y-%m-%d %H:%M:%S} UTC  {job.title}", flush=True)
    name_of = field_titles(request_model(job.kind))
    try:
        if job.kind == "serve":
            _serve(stores, job)
        outcome = run(stores, job, JobReporter(stores.jobs, job_id, name_of))
        print(outcome.message, flush=True)
        stores.jobs.finish(job_id, outcome.state, outcome.message, **outcome.result)
        return {"done": 0, "failed": 1}.get(outcome.state, _EXIT_STOPPED)
    except _Stopped:
        print("stopped", flush=True)
        stores.jobs.finish(job_id, "stopped", STOPPED)
        return _EXIT_STOPPED
    except TipstaffError as error:
        reason = error.describe(name_of)
    except OSError as error:
        reason = str(error)
    except Exception as error:
        traceback.print_exc()
        reason = f"an internal error of Tipstaff, see the log: {type(error).__name__}"
    # On a full disk neither may work; then the next reader marks the job by its missing process.
    with suppress(OSError):
        print(f"error: {reason}", flush=True)
    with suppress(WorkspaceError):
        stores.jobs.finish(job_id, "failed", reason)
    return 1


def _serve(stores: Stores, job: Job) -> NoReturn:
    """Becomes the server, in this very process, so that stopping the job stops it."""
    environment = {
        **os.environ,
        "TIPSTAFF_REPOSITORY": str(stores.repository),
        "TIPSTAFF_POLL_SECONDS": "0.5",
        "TIPSTAFF_LISTEN": job.parameters["listen"],
        "TIPSTAFF_METRICS_LISTEN": "off",
        # Nobody balances load over it: whoever stops it waits for the end.
        "TIPSTAFF_LAME_DUCK_SECONDS": "0",
    }
    os.execve(sys.executable, [sys.executable, "-m", "tipstaff", "serve"], environment)


def _stop(*_: object) -> NoReturn:
    raise _Stopped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
