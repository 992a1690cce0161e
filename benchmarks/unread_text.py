"""Measures how much of real texts an encoder can't read, and what limits on it cost.

    python benchmarks/unread_text.py shares BUNDLE ROWS [ROWS ...]
    python benchmarks/unread_text.py passes BUNDLE ROWS [ROWS ...]
    python benchmarks/unread_text.py cost BUNDLE ROWS [ROWS ...]

`shares` prints a JSON object for each file and field: the share of its rows with an unknown word,
with a dropped character, and with more unread characters than each of some limits. `passes` prints
the share of a sample of each file that gets PASS without limits, and how many PASSes of the whole
file each pair of limits takes away. Rows pass by their score there, so that nothing but the limits
stands between a row and its PASS. `cost` prints the processor time that one interaction takes, as a
median over the first rows of each file: to measure what can't be read, to encode, and to score.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from tipstaff.types import Interaction, Verdict
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.manifest import Policy
from tipstaff_server.evaluator.policy import decide, is_unreadable
from tipstaff_server.evaluator.unread import UnreadMeter
from tipstaff_trainer.data import Row, read_rows
from tipstaff_trainer.evaluation.predict import predict_all

_LIMITS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5)
_TIMED, _REPEATS = 200, 5
# Of the output, and of the other fields.
_PAIRS = ((0.01, 0.05), (0.02, 0.1), (0.05, 0.1), (0.05, 0.25), (0.1, 0.5))


def main() -> None:
    """Measures each file and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("shares", "passes", "cost"))
    parser.add_argument("bundle", type=Path)
    parser.add_argument("rows", type=Path, nargs="+")
    parser.add_argument("--sample", type=int, default=500, help="rows that tell the PASS rate")
    args = parser.parse_args()
    evaluator = Evaluator.load(args.bundle)
    for file in args.rows:
        rows = read_rows(file).rows
        if args.what == "cost":
            _print_cost(file, args.bundle, evaluator, [row.interaction for row in rows[:_TIMED]])
            continue
        encoded = [evaluator.encode(row.interaction) for row in rows]
        if args.what == "shares":
            _print_shares(file, encoded)
        else:
            _print_passes(file, rows, encoded, evaluator, args.sample)


def _print_shares(file: Path, encoded: Sequence[Encoded]) -> None:
    for name in encoded[0].coverage:
        parts = [each.coverage[name] for each in encoded if name not in each.missing]
        if not parts:
            continue
        counts = {
            "unknown": sum(part.unknown > 0 for part in parts),
            "dropped": sum(part.dropped > 0 for part in parts),
            **{f"over {limit:g}": sum(part.unread > limit for part in parts) for limit in _LIMITS},
        }
        shares = {what: round(count / len(parts), 5) for what, count in counts.items()}
        print(json.dumps({"file": str(file), "field": name, "rows": len(parts), **shares}))


def _print_cost(
    file: Path, bundle: Path, evaluator: Evaluator, interactions: Sequence[Interaction]
) -> None:
    tokenizer = Tokenizer.from_str(Bundle.open(bundle).tokenizer_json())
    meter = UnreadMeter(tokenizer)
    fields = [
        [
            (text, encoding.ids, encoding.offsets)
            for name in evaluator.manifest.fields
            for text in [interaction.get(name) or ""]
            for encoding in [tokenizer.encode(text, add_special_tokens=False)]
        ]
        for interaction in interactions
    ]

    def microseconds(measure: Callable[[int], object]) -> float:
        times = []
        for place in range(len(interactions)):
            started = time.thread_time()
            for _ in range(_REPEATS):
                measure(place)
            times.append((time.thread_time() - started) / _REPEATS)
        return round(float(np.median(times)) * 1e6, 1)

    result = {
        "measure": microseconds(lambda place: [meter.measure(*each) for each in fields[place]]),
        "encode": microseconds(lambda place: evaluator.encode(interactions[place])),
        "score": microseconds(lambda place: evaluator.score(interactions[place])),
    }
    print(json.dumps({"file": str(file), "interactions": len(interactions), **result}))


def _print_passes(
    file: Path, rows: Sequence[Row], encoded: Sequence[Encoded], evaluator: Evaluator, most: int
) -> None:
    sample = set(range(0, len(rows), -(-len(rows) // most)))
    # The limits can change no other verdicts.
    doubtful = {
        place
        for place, item in enumerate(encoded)
        if any(part.unread for part in item.coverage.values())
    }
    places = sorted(sample | doubtful)
    predictions = predict_all(evaluator, [rows[place].interaction for place in places])
    passes = {
        place
        for place, prediction in zip(places, predictions, strict=True)
        if decide(prediction.score, (), evaluator.graph.policy) is Verdict.PASS
    }
    result: dict[str, object] = {
        "file": str(file),
        "rows": len(rows),
        "sample": len(sample),
        "pass": round(len(passes & sample) / len(sample), 4),
    }
    for output, other in _PAIRS:
        limits = Policy(max_unread_output=output, max_unread_other=other)
        lost = [place for place in passes if is_unreadable(encoded[place].coverage, limits)]
        result[f"lost at {output:g}, {other:g}"] = len(lost)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
