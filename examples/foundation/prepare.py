"""Prepares named public sets as one file of rows, to train a general evaluator on.

    python examples/foundation/prepare.py FOLDER... --out rows.jsonl [--measure measure.jsonl]

FOLDER holds downloads of the sets that `sets/` describes. Files for measuring are never among the
rows to train on, nor rows that share a group, an input or their texts with one. Absent sets are
named and skipped. Beside the rows, `rows.sets.json` says what each set gave.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from descriptions import SETS, SetDescription, Source, find_sources, load_descriptions
from places import make_folder_of
from sampling import Sampling, counts, draw
from set_rows import SetRow, read_source, without_doubles, without_kin

from tipstaff.errors import TipstaffError, UsageError

_CAP, _TOTAL = 4000, 8000


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was prepared.

    Attributes:
        rows: To train on.
        measuring: For measuring only.
        summary: For each set that was found, what it gave, for a table and for `rows.sets.json`.
    """

    rows: Sequence[SetRow]
    measuring: Sequence[SetRow]
    summary: Sequence[Mapping[str, object]]


def main() -> None:
    """Writes the rows; says what each set gives."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "places", nargs="+", metavar="FOLDER", help="with downloads of sets; or NAME=FILE_OR_FOLDER"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="rows to train on")
    parser.add_argument(
        "--measure", type=Path, metavar="FILE", help="where rows for measuring go; else nowhere"
    )
    parser.add_argument(
        "--sampling",
        choices=("cap", "root", "all"),
        default="cap",
        help="cap: at most so many of a set. root: by the square root of its size. all: every row",
    )
    parser.add_argument("--cap", type=int, default=_CAP, help=f"most rows of a set ({_CAP:,})")
    parser.add_argument(
        "--total", type=int, default=_TOTAL, help=f"rows in all, with root ({_TOTAL:,})"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--allow-measuring",
        nargs="+",
        default=[],
        metavar="NAME",
        help="train on the measuring files of these sets too: nothing can measure on them then",
    )
    parser.add_argument("--sets", type=Path, default=SETS, metavar="DIR", help="the descriptions")
    args = parser.parse_args()
    try:
        descriptions = load_descriptions(args.sets)
        make_folder_of(args.out, "--out")
        if args.measure is not None:
            make_folder_of(args.measure, "--measure")
        prepared = prepare(
            descriptions,
            args.places,
            sampling=args.sampling,
            cap=args.cap,
            total=args.total,
            seed=args.seed,
            allowed=args.allow_measuring,
        )
    except TipstaffError as error:
        sys.exit(f"error: {error}")
    _write(args.out, prepared.rows)
    if args.measure is not None:
        _write(args.measure, prepared.measuring)
    args.out.with_suffix(".sets.json").write_text(json.dumps(prepared.summary, indent=2) + "\n")
    print("\n".join(table(prepared.summary)))
    print(f"{len(prepared.rows)} rows in {args.out}")
    if args.measure is not None:
        print(f"{len(prepared.measuring)} rows for measuring in {args.measure}")


def prepare(
    descriptions: Sequence[SetDescription],
    places: Sequence[str],
    *,
    sampling: Sampling = "cap",
    cap: int = _CAP,
    total: int = _TOTAL,
    seed: int = 0,
    allowed: Iterable[str] = (),
) -> Prepared:
    """Reads and samples the sets that are there.

    Args:
        descriptions: All sets.
        places: Where to look; see `find_sources`.
        sampling: How many rows each gives; see `counts`.
        cap: Most rows of a set.
        total: Rows in all.
        seed: Of the draw.
        allowed: Sets whose measuring files may be trained on.

    Raises:
        DataError: A file can't be read as its description says.
        UsageError: A place or a set doesn't exist, or there is no row to train on.
    """
    allowed = set(allowed)
    if unknown := allowed - {each.name for each in descriptions}:
        raise UsageError(f"no set is called {min(unknown)}")
    sources = find_sources(descriptions, places)
    _report_absent(descriptions, sources)
    rows: dict[str, list[SetRow]] = {}
    measuring: dict[str, list[SetRow]] = {}
    for source in sources:
        if source.warning:
            _say(f"warning: {source.warning}")
        read, left_out = read_source(source)
        if left_out:
            _say(f"note: {source.path}: left out without a label or a text: {left_out}")
        name = source.description.name
        refused = source.measure and name not in allowed
        if refused:
            _say(f"note: {source.path}: {len(read)} rows are for measuring: not to train on")
        (measuring if refused else rows).setdefault(name, []).extend(read)
    measured = [row for part in measuring.values() for row in without_doubles(part)]
    usable = {name: without_kin(without_doubles(part), measured) for name, part in rows.items()}
    if not any(usable.values()):
        raise UsageError(f"there is no row to train on in {', '.join(places)}")
    sizes = {name: len(part) for name, part in usable.items()}
    taken = counts(sizes, sampling, cap=cap, total=total)
    drawn = {name: draw(part, taken[name], seed=seed) for name, part in usable.items()}
    summary = [
        _summary(
            description,
            [each for each in sources if each.description is description],
            usable.get(description.name, []),
            drawn.get(description.name, []),
            measuring.get(description.name, []),
        )
        for description in descriptions
        if description.name in rows or description.name in measuring
    ]
    return Prepared([row for part in drawn.values() for row in part], measured, summary)


def table(summary: Sequence[Mapping[str, object]]) -> list[str]:
    """What each set gives, as a table in Markdown."""
    names = ("set", "rows", "taken", "groups", "good", "median words", "measuring", "licence")
    lines = [f"| {' | '.join(names)} |", "| --- |" + " --- |" * (len(names) - 1)]
    for each in summary:
        lines.append("| " + " | ".join(_cell(each[name]) for name in names) + " |")
    return lines


def _summary(
    description: SetDescription,
    sources: Sequence[Source],
    rows: Sequence[SetRow],
    drawn: Sequence[SetRow],
    measuring: Sequence[SetRow],
) -> dict[str, object]:
    shown = drawn or measuring
    return {
        "set": description.name,
        "title": description.title,
        "rows": len(rows),
        "taken": len(drawn),
        "groups": len({row.group for row in shown}),
        "good": round(statistics.mean(row.label for row in shown), 3) if shown else None,
        "median words": round(statistics.median(row.words for row in shown)) if shown else None,
        "measuring": len(measuring),
        "licence": description.licence,
        "address": description.address,
        "files": [{"name": each.path.name, "sha256": each.sha256} for each in sources],
    }


def _report_absent(descriptions: Sequence[SetDescription], sources: Sequence[Source]) -> None:
    present = {each.description.name for each in sources}
    for each in descriptions:
        if each.name not in present:
            files = ", ".join(dict.fromkeys(file.path for file in each.files))
            _say(f"note: {each.name} is absent: {each.title}, {each.address} (files: {files})")


def _write(file: Path, rows: Iterable[SetRow]) -> None:
    part = file.with_suffix(".part")
    with part.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row.record(), ensure_ascii=False) + "\n")
    part.replace(file)


def _cell(value: object) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
