"""Bundles and clients of each release, with the server of today; `frozen/freeze.py` makes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from running_server import Starter

from tipstaff import Client
from tipstaff.types import FIELDS

RELEASES = sorted(path for path in (Path(__file__).parent / "frozen").iterdir() if path.is_dir())
# Processors multiply int8 differently, and each release of onnxruntime may.
TOLERANCE = 0.02
# Run with the frozen client alone; prints scores and verdicts.
ASK = """
import json, sys
from tipstaff import Client
import tipstaff
assert "client.zip" in tipstaff.__file__, tipstaff.__file__
fields = ("input", "output", "ground_truth")
with Client(sys.argv[1], timeout=20) as client:
    scores = [client.score(**{name: row[name] for name in fields}) for row in json.load(sys.stdin)]
print(json.dumps([[each.score, str(each.verdict)] for each in scores]))
"""


@pytest.fixture(scope="module", params=RELEASES, ids=lambda path: path.name)
def release(request):
    return request.param


@pytest.fixture(scope="module")
def server(release, tmp_path_factory):
    start = Starter(tmp_path_factory.mktemp("server"))
    yield start(release / "bundle")
    start.stop()


@pytest.fixture(scope="module")
def recorded(release):
    return json.loads((release / "scores.json").read_text())


def check(answers: list[tuple[float, str]], recorded: list[dict[str, object]]) -> None:
    scores = [score for score, _ in answers]
    assert scores == pytest.approx([row["score"] for row in recorded], abs=TOLERANCE)
    for (score, verdict), row in zip(answers, recorded, strict=True):
        # Near a threshold the tolerance may decide.
        if abs(score - 0.5) > TOLERANCE:
            assert verdict == row["verdict"], row


def test_there_is_a_frozen_release():
    assert RELEASES


def test_a_bundle_of_then_scores_as_then(server, recorded):
    with Client(server.address, timeout=20) as client:
        scores = [client.score(**{name: row[name] for name in FIELDS}) for row in recorded]
    check([(each.score, str(each.verdict)) for each in scores], recorded)


def test_a_client_of_then_is_answered(release, server, recorded):
    done = subprocess.run(
        [sys.executable, "-c", ASK, server.address],
        input=json.dumps(recorded),
        env=os.environ | {"PYTHONPATH": str(release / "client.zip")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    check(json.loads(done.stdout), recorded)
