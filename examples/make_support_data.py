"""Writes the example data: interactions of a support assistant, good and bad.

    python examples/make_support_data.py [--out DIR] [--seed N]

Every scenario is a group of four rows: two situations (a question and a ground truth each), each
with the same two answers. Each answer is right in one situation and wrong in the other. So every
text is good as often as bad, and only the fields together reveal the label.

The wording is in `support_wording.toml`. The same seed gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from support_matters import Split, read_wording
from support_visitors import VisitorWriter

HERE = Path(__file__).parent
WORDING = HERE / "support_wording.toml"
SEED = 11

# Scenarios by kind; the methods of `Writer` and `VisitorWriter` describe each kind's bad answers.
PLANS: dict[Split, dict[str, int]] = {
    "train": {
        **{"elsewhere": 190, "beside": 60, "value": 60},
        **{"can": 50, "confirm": 30, "denial": 35, "echo": 14, "refusal": 15, "partial": 15},
    },
    "test": {
        **{"elsewhere": 64, "beside": 20, "value": 20},
        **{"can": 17, "confirm": 10, "denial": 12, "echo": 5, "refusal": 5, "partial": 5},
    },
}


def make(split: Split, seed: int = SEED) -> bytes:
    """Writes one split.

    Args:
        split: The split; the two have no scenario in common, and no thing that is asked about.
        seed: The seed of the random source.

    Returns:
        JSON lines in UTF-8: id, group, input, output, ground_truth, label, label_source, selection.
    """
    topics, rules, forms = read_wording(WORDING)
    rows = VisitorWriter(topics, rules, forms, split, seed).write(PLANS[split])
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def main() -> None:
    """Writes both splits into a folder."""
    parser = argparse.ArgumentParser(description="Write the example data.")
    parser.add_argument("--out", type=Path, default=HERE / "support", help="folder to write into")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of the random source")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for split in PLANS:
        (arguments.out / f"{split}.jsonl").write_bytes(make(split, arguments.seed))


if __name__ == "__main__":
    main()
