"""The wire contract is well-formed and stays compatible."""

from __future__ import annotations

import subprocess

import pytest
from tools import require

RELEASED = "protos/released.binpb"


@pytest.mark.parametrize("words", [("lint",), ("breaking", "--against", RELEASED)], ids=" ".join)
def test_buf_has_nothing_to_say(words, pytestconfig):
    done = subprocess.run(
        [require("buf"), *words], cwd=pytestconfig.rootpath, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_removed_field_would_be_noticed(pytestconfig, tmp_path):
    root = pytestconfig.rootpath
    proto = (root / "protos/tipstaff/v1/scoring.proto").read_text()
    (tmp_path / "buf.yaml").write_text((root / "buf.yaml").read_text())
    target = tmp_path / "protos/tipstaff/v1/scoring.proto"
    target.parent.mkdir(parents=True)
    target.write_text(proto.replace("  double score = 5;\n", ""))
    done = subprocess.run(
        [require("buf"), "breaking", "--against", root / RELEASED],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "score" in done.stdout
