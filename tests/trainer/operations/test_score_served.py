"""Files are scored on a real server: the same scores, and resumed after it was away."""

from __future__ import annotations

import json

import pytest
from running_server import Starter
from tiny_bundle import make_bundle

from tipstaff_server import repository
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.operations import score_file as operation
from tipstaff_trainer.operations.score_file import ScoreFileRequest, score_file
from tipstaff_trainer.progress import Reporter

COUNT = 130


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [
        {"id": n, "input": f"where {n}", "output": f"paris {n}", "ground_truth": "paris"}
        for n in range(COUNT)
    ]
    rows[7] = {"id": 7, "output": ["paris", None]}
    rows[8] = {"id": 8, "output": True}
    rows[9] = {"id": 9, "output": " "}
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture
def start(tmp_path):
    start = Starter(tmp_path)
    yield start
    start.stop()


class Notes(Reporter):
    """Keeps the warnings, and calls back after each step."""

    def __init__(self, on_step=lambda done: None):
        self.warnings = []
        self._on_step = on_step

    def warn(self, message, *, remedy=""):
        self.warnings.append(message)

    def step(self, done, total, message=""):
        self._on_step(done)


def test_a_server_s_scores_are_those_of_its_bundle_and_a_run_is_resumed(
    tmp_path, rows, start, monkeypatch
):
    monkeypatch.setattr(operation, "_SHARD_ROWS", 20)
    versions = tmp_path / "repository"
    repository.publish(make_bundle(tmp_path / "one"), versions, promote=True)
    server = start("--repository", versions)
    address = server.address

    def request(out, **values):
        source = {"data": {"data": rows}, "out": tmp_path / out}
        return ScoreFileRequest.parse({**source, **values})

    def stop(done):
        if done == 60:
            server.stop()

    with pytest.raises(DataError) as error:
        score_file(request("served.jsonl", target=address), Notes(stop))
    assert error.value.field == "target"
    assert "run it again once the server answers" in error.value.remedy
    assert not (tmp_path / "served.jsonl").exists()
    # The second version gives other scores: the output has rows of both, and that is said.
    repository.publish(make_bundle(tmp_path / "two", seed=1), versions, promote=True)
    start("--repository", versions, address=address)
    notes = Notes()
    result = score_file(request("served.jsonl", target=address), notes)
    assert (result.rows, result.resumed, result.unreadable) == (COUNT, 60, 1)
    assert any("tiny version 1" in each and "tiny version 2" in each for each in notes.warnings)
    served = [json.loads(line) for line in (tmp_path / "served.jsonl").read_text().splitlines()]
    for bundle, part in (("one", slice(0, 60)), ("two", slice(60, COUNT))):
        score_file(request(f"{bundle}.jsonl", bundle=tmp_path / bundle))
        alone = [json.loads(line) for line in (tmp_path / f"{bundle}.jsonl").open()]
        for one, other in zip(served[part], alone[part], strict=True):
            assert (one["id"], one["score"], one["verdict"]) == (
                other["id"],
                other["score"],
                other["verdict"],
            )
    assert [row["score"] is None for row in served[7:10]] == [False, True, True]


def test_a_server_that_is_busy_is_asked_again(tmp_path, rows, start):
    server = start(make_bundle(tmp_path / "one"), "--max-queue", 1)
    out = tmp_path / "served.jsonl"
    request = ScoreFileRequest.parse({"data": {"data": rows}, "out": out, "target": server.address})
    assert score_file(request).verdicts.get("", 0) == 2
