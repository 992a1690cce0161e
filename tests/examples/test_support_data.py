"""The example data: it matches its generator, and no baseline can label it from single fields."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from scripts_by_path import load_script

EXAMPLES = Path(__file__).parents[2] / "examples"
SUPPORT = EXAMPLES / "support"
SPLITS = ("train", "test")

baselines = load_script(EXAMPLES / "baselines.py")


@pytest.fixture(scope="module")
def rows() -> dict[str, list[baselines.Row]]:
    return {split: baselines.read(SUPPORT / f"{split}.jsonl") for split in SPLITS}


def make(folder: Path, *options: str) -> dict[str, bytes]:
    command = [sys.executable, EXAMPLES / "make_support_data.py", "--out", folder, *options]
    subprocess.run(command, check=True)
    return {split: (folder / f"{split}.jsonl").read_bytes() for split in SPLITS}


def test_the_generator_makes_the_committed_bytes(tmp_path):
    made = make(tmp_path)
    assert made == {split: (SUPPORT / f"{split}.jsonl").read_bytes() for split in SPLITS}


def test_another_seed_makes_other_rows(tmp_path):
    made = make(tmp_path, "--seed", "1")
    for split in SPLITS:
        assert made[split] != (SUPPORT / f"{split}.jsonl").read_bytes()


def test_size(rows):
    assert sum(map(len, rows.values())) >= 600
    assert sum((SUPPORT / f"{split}.jsonl").stat().st_size for split in SPLITS) < 1_500_000


def test_every_row_is_whole_and_its_id_unique(rows):
    everything = [*rows["train"], *rows["test"]]
    assert len({row["id"] for row in everything}) == len(everything)
    assert len({tuple(row[field] for field in baselines.FIELDS) for row in everything}) == len(
        everything
    )
    for row in everything:
        assert all(row[field].strip() and "{" not in row[field] for field in baselines.FIELDS)
        assert row["label"] in (0, 1)


def test_no_group_and_no_ground_truth_is_in_both_splits(rows):
    for column in ("group", "ground_truth"):
        train, test = ({row[column] for row in rows[split]} for split in SPLITS)
        assert train.isdisjoint(test), column


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("field", baselines.FIELDS)
def test_in_each_group_every_text_is_as_often_good_as_bad(rows, split, field):
    labels = defaultdict(list)
    for row in rows[split]:
        labels[row["group"], row[field]].append(row["label"])
    assert all(sum(of_text) * 2 == len(of_text) for of_text in labels.values())


def test_no_baseline_gets_far(rows):
    results = baselines.measure(rows["train"], rows["test"])
    assert len(results) == len(baselines.BASELINES)
    for name, auroc in results.items():
        assert auroc < 0.70, f"{name}: {auroc:.3f}"
