"""The server as a job: `tipstaff serve` over the workspace's repository."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from tipstaff_trainer.workspace.db.models import Job
from tipstaff_trainer.workspace.workspace import Workspace


def run(workspace: Workspace, job: Job) -> NoReturn:
    """Becomes the server, in this very process, so that stopping the job stops it."""
    words = ["serve", "--repository", str(workspace.repository), "--poll-seconds", "0.5"]
    words += ["--listen", job.parameters["listen"], "--metrics-listen", "off"]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "tipstaff", *words])
