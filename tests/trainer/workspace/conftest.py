from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from tiny_training import tiny_rows
from tools import require

from tipstaff_trainer.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(tmp_path / "workspace")
    yield workspace
    for job in workspace.stores.jobs.active():
        workspace.stores.jobs.stop(job.id)
    workspace.close()


@pytest.fixture
def traces(tmp_path):
    """Rows without labels."""
    path = tmp_path / "traces.jsonl"
    path.write_text(
        "\n".join(
            json.dumps(
                {
                    "id": row.id,
                    "input": row.interaction.input,
                    "output": row.interaction.output,
                    "ground_truth": row.interaction.ground_truth,
                    "system": "a" if row.good else "b",
                }
            )
            for row in tiny_rows(60)
        )
    )
    return path


@pytest.fixture
def dataset(workspace, traces):
    return workspace.upload_dataset(traces)


@pytest.fixture
def labels(workspace, dataset):
    """The labels whose criterion isn't set."""
    return workspace.label_set(dataset)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server, as an unprivileged user: it refuses to run as root."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    tool = str(found[-1]) if found else require("pg_ctl")
    # Outside pytest's folder, which other users can't read.
    folder = Path(tempfile.mkdtemp(prefix="tipstaff-postgres-"))
    user: dict[str, object] = {}
    if os.geteuid() == 0:
        user = {"user": "postgres", "group": "postgres"}
        shutil.chown(folder, "postgres", "postgres")

    def ctl(*words):
        subprocess.run(
            [tool, "-D", "data", "-s", "-w", *words],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            **user,
        )

    ctl("init", "-o", "--auth=trust --username=tipstaff --no-sync")
    ctl("start", "-l", "log", "-o", f"-k {folder} -h '' -F")
    # On a socket, since another test worker may take a port that was free a moment ago.
    yield f"postgresql://tipstaff@/postgres?host={folder}"
    ctl("stop", "-m", "immediate")
    shutil.rmtree(folder)
