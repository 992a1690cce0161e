"""A long benchmark goes on where it was interrupted."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from scripts_by_path import load_script

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_only_whole_arms_of_a_seed_are_taken_from_the_file(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    script = load_script(BENCHMARKS / "loop_live.py")
    whole = [{"arm": "random", "seed": 1, "step": step, "auroc": 0.9} for step in range(3)]
    # Interrupted, begun again, and run to its end.
    lines = [*whole[:2], *whole, {"arm": "triage", "seed": 1, "step": 0, "auroc": 0.8}]
    file = tmp_path / "lines.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    args = Namespace(out=file, versions=2)
    assert script._known(args, "random", 1) == whole
    assert script._known(args, "triage", 1) == []
    assert script._known(args, "random", 2) == []
    assert script._known(Namespace(out=tmp_path / "none", versions=2), "random", 1) == []
