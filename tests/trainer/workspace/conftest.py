from __future__ import annotations

import json

import pytest
from tiny_training import tiny_rows

from tipstaff_trainer.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(tmp_path / "workspace")
    yield workspace
    for job in workspace.jobs.active():
        workspace.jobs.stop(job.id)
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
