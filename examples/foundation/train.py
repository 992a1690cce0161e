"""Trains a general evaluator on what `prepare.py` wrote, and measures it on sets left out.

    python examples/foundation/train.py rows.jsonl --out foundation --leave-out all -- --seed 1

Writes `foundation/general`, the evaluator of all sets. `--leave-out NAME...` also trains one
evaluator without each of these sets, as `foundation/without-NAME`, and measures it on the set.
`--measure FILE` measures all these evaluators on the sets of a file: what one has less than the
general evaluator is what the set left out adds. The table goes to `foundation/unseen.md` and into
the general evaluator's card. What follows `--` is passed on to `tipstaff train`. Repeat the command
after an interruption: what is finished is kept.

Each evaluator of 6,000 rows takes a quarter of an hour or more on two cores.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from places import make_folder
from set_rows import SetRow, without_kin
from unseen import Measured, add_to_card, measure, read_prepared, table

from tipstaff.errors import TipstaffError

CRITERION = "The ground truth supports what the output says, and the output answers the input."
TIPSTAFF = (sys.executable, "-m", "tipstaff")


def main() -> None:
    """Trains and measures what isn't there yet."""
    own, passed_on = _split(sys.argv[1:])
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="What follows -- is passed on to tipstaff train"
    )
    parser.add_argument("rows", type=Path, metavar="ROWS", help="what prepare.py wrote")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--name", default="general", help="the evaluator's name (general)")
    parser.add_argument(
        "--leave-out", nargs="+", default=[], metavar="SET", help="sets, or all: each in turn"
    )
    parser.add_argument("--measure", type=Path, metavar="FILE", help="rows of sets for measuring")
    args = parser.parse_args(own)
    try:
        rows = read_prepared(args.rows)
        # Read before the training, so that a wrong file is known before it.
        measuring = [] if args.measure is None else read_prepared(args.measure)
        left_out = _names(args.leave_out, rows, parser)
        make_folder(args.out, "--out")
        general = args.out / "general"
        train(args.rows, general, args.name, passed_on)
        results = measure(general, measuring, known={row.set for row in rows})
        results += leave_out(rows, left_out, measuring, args.out, args.name, passed_on)
        _report(results, general, args.rows, args.out)
    except TipstaffError as error:
        sys.exit(f"error: {error}")


def train(rows: Path, out: Path, name: str, options: Sequence[str]) -> None:
    """Trains an evaluator with `tipstaff train`, unless its bundle is there."""
    if (out / "manifest.json").exists():
        return
    words = [
        "train", str(rows), "--name", name, "--criterion", CRITERION, "--test-size", "0.1",
        "--out", str(out), *options,
    ]  # fmt: skip
    print("$ tipstaff", shlex.join(words), flush=True)
    process = subprocess.run([*TIPSTAFF, *words])
    if process.returncode:
        sys.exit(process.returncode)


def leave_out(
    rows: Sequence[SetRow],
    names: Sequence[str],
    measuring: Sequence[SetRow],
    out: Path,
    name: str,
    options: Sequence[str],
) -> list[Measured]:
    """Trains an evaluator without each set; measures it on that set, and on rows for measuring."""
    results = []
    for left_out in names:
        test = [row for row in rows if row.set == left_out]
        rest = without_kin([row for row in rows if row.set != left_out], test)
        file, bundle = out / f"without-{left_out}.jsonl", out / f"without-{left_out}"
        lines = [json.dumps(row.record(), ensure_ascii=False) for row in rest]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        train(file, bundle, f"{name}-without-{left_out}", options)
        results += measure(bundle, [*test, *measuring], known={row.set for row in rest})
    return results


def _report(results: Sequence[Measured], general: Path, rows: Path, out: Path) -> None:
    """Prints the table, writes it, and puts it and the licences into the evaluator's card."""
    lines = table(results) if results else []
    (out / "unseen.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    records = [each.record() for each in results]
    (out / "unseen.json").write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
    summary = rows.with_suffix(".sets.json")
    sets = json.loads(summary.read_text(encoding="utf-8")) if summary.exists() else []
    add_to_card(general, lines, sets)
    print("\n".join(lines))


def _names(
    names: Sequence[str], rows: Sequence[SetRow], parser: argparse.ArgumentParser
) -> Sequence[str]:
    there = list(dict.fromkeys(row.set for row in rows))
    if list(names) == ["all"]:
        names = there
    if unknown := set(names) - set(there):
        parser.error(f"no rows of {min(unknown)}; there are {', '.join(there)}")
    if names and len(there) < 2:
        parser.error("with rows of one set only, none can be left out")
    return names


def _split(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The words before and after the first `--`."""
    end = words.index("--") if "--" in words else len(words)
    return words[:end], words[end + 1 :]


if __name__ == "__main__":
    main()
