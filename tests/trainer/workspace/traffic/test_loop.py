"""From traffic to the next version: reviewed rows join, failures weigh more, some are held out."""

from __future__ import annotations

import json
import time

import pytest
from tiny_training import tiny_rows
from traffic_rows import Said, write_segment

from tipstaff.errors import UsageError
from tipstaff_trainer.operations.train import TrainRequest
from tipstaff_trainer.workspace.operations.traffic_rows import read_reviewed

NOW = time.time() - 3600


@pytest.fixture
def reviewed(workspace, tmp_path):
    """Traffic of which people find each third row bad, whatever the evaluator said."""
    answers = [Said(NOW + index, 0.05 + (index % 10) / 10) for index in range(60)]
    write_segment(tmp_path / "kept", answers)
    workspace.collect_traffic(tmp_path / "kept")
    workspace.queue_traffic("judge", drawn=60)
    labels = workspace.label_set("traffic of judge")
    while item := workspace.stores.reviews.claim(labels, "ann"):
        row = workspace.stores.datasets.row(item.row_id, labels)
        good = float(row.position % 3 > 0)
        workspace.stores.reviews.submit(item.id, good, who="ann", based_on_label_id=0)
    return workspace


def test_failures_are_told_from_test_rows(reviewed):
    traffic = read_reviewed(reviewed.stores, "judge", None)
    assert len(traffic.train) + len(traffic.test) == 60
    assert 0 < len(traffic.test) < 30
    assert 0 < len(traffic.failed) < len(traffic.train)
    assert {row.label_source for row in traffic.train} == {"human"}
    # Drawn rows represent all only with their weights: they certify nothing as they are.
    assert {row.selection for row in traffic.train} == {"drawn"}


def test_the_next_version_learns_from_reviewed_traffic(reviewed, tmp_path, bert):
    file = tmp_path / "labelled.jsonl"
    file.write_text(
        "\n".join(
            json.dumps(
                {
                    "id": row.id,
                    "output": row.interaction.output,
                    "ground_truth": row.interaction.ground_truth,
                    "input": row.interaction.input,
                    "label": row.label,
                }
            )
            for row in tiny_rows(60)
        )
    )
    dataset = reviewed.upload_dataset(file)
    job = reviewed.fine_tune_model(
        dataset,
        model_name="judge",
        traffic="judge",
        base=str(bert),
        epochs=1,
        rewritten=0,
        allow_unreadable=True,
        golden=0,
        wait_for_completion=300,
    )
    on_traffic = job.result["traffic"]
    assert 0 < on_traffic["n"] < 30
    assert on_traffic["false_passes"] + on_traffic["false_blocks"] == len(on_traffic["failures"])
    log = reviewed.stores.jobs.log(job.id)
    assert "rows of traffic join the training set" in log
    assert "failures weigh" in log


def test_traffic_is_for_a_workspace(tmp_path):
    (tmp_path / "rows.jsonl").write_text("{}")
    with pytest.raises(UsageError, match="data set"):
        TrainRequest.parse(
            {"name": "a", "data": {"data": tmp_path / "rows.jsonl"}, "traffic": "judge"}
        )
