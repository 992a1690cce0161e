"""Measures an evaluator on what it never saw, beside word overlap, for its card."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from set_rows import SetRow

from tipstaff import Interaction
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle, put_file
from tipstaff_server.evaluator.manifest import CARD_FILE
from tipstaff_server.evaluator.quality import Interval
from tipstaff_trainer.data import Row
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.evaluation.intervals import auroc, auroc_difference
from tipstaff_trainer.evaluation.predict import predict_all
from tipstaff_trainer.evaluation.word_overlap import OVERLAP, word_overlaps

_HEADING = "## Public sets"


@dataclass(frozen=True, slots=True)
class Measured:
    """An evaluator on one set.

    Attributes:
        set: The set's name.
        evaluator: The evaluator's name.
        rows: The number of rows measured.
        good: How many of them are good.
        auroc: Its area under the ROC curve; None where all rows are of one class.
        overlap: That of word overlap.
        difference: The evaluator's minus word overlap's, on the same rows.
    """

    set: str
    evaluator: str
    rows: int
    good: int
    auroc: Interval | None
    overlap: Interval | None
    difference: Interval | None

    def record(self) -> dict[str, object]:
        """Its JSON object."""
        intervals = {
            name: None if each is None else each.model_dump()
            for name, each in (
                ("auroc", self.auroc),
                ("overlap", self.overlap),
                ("difference", self.difference),
            )
        }
        return {
            "set": self.set,
            "evaluator": self.evaluator,
            "rows": self.rows,
            "good": self.good,
            **intervals,
        }


def read_prepared(file: Path) -> list[SetRow]:
    """Reads a file that `prepare.py` wrote.

    Raises:
        DataError: It can't be read, or has other rows.
    """
    rows: list[SetRow] = []
    try:
        with file.open(encoding="utf-8") as stream:
            for line in stream:
                values = json.loads(line)
                values.pop("label_source", None)
                rows.append(SetRow(**{"input": "", **values}))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: can't be read: {error}") from error
    except TypeError as error:
        place = f"{file}, line {len(rows) + 1}"
        remedy = "give what prepare.py wrote"
        raise DataError(f"{place}: is no row of a set", remedy=remedy) from error
    return rows


def measure(folder: Path, rows: Sequence[SetRow], *, known: Collection[str] = ()) -> list[Measured]:
    """Measures a bundle on each set of some rows, as served.

    Args:
        folder: The bundle.
        rows: None of them was trained on.
        known: Sets of which the bundle was trained on other rows, which the result's name says.
    """
    evaluator = Evaluator.load(folder)
    name = Bundle.open(folder).manifest.name
    results = []
    for each in dict.fromkeys(row.set for row in rows):
        part = [_row(row) for row in rows if row.set == each]
        scores = np.array(
            [one.score for one in predict_all(evaluator, [row.interaction for row in part])]
        )
        shares = word_overlaps(part, lambda row: [row.interaction.ground_truth or ""])[OVERLAP]
        overlap = np.array([shares(row) for row in part])
        good = np.array([row.good for row in part])
        numbers = {group: number for number, group in enumerate({row.group for row in part})}
        groups = np.array([numbers[row.group] for row in part])
        results.append(
            Measured(
                f"{each}, other rows" if each in known else each,
                name,
                len(part),
                int(good.sum()),
                auroc(good, scores, groups),
                auroc(good, overlap, groups),
                auroc_difference(good, overlap, scores, groups),
            )
        )
    return results


def table(results: Sequence[Measured]) -> list[str]:
    """The results as a table in Markdown."""
    head = "| set | rows (good) | AUROC | word overlap | difference | measured |"
    return [
        head,
        "| --- |" + " --- |" * 5,
        *(
            f"| {each.set} | {each.rows:,} ({each.good:,}) | {each.auroc or '–'} "
            f"| {each.overlap or '–'} | {each.difference or '–'} | {each.evaluator} |"
            for each in results
        ),
        "",
        "AUROC of the graph as served, with 95 % intervals over groups. The last column names the",
        "evaluator that was measured. It was trained on no row of the set, or, at *other rows*, on",
        "rows of it that share no group, input or interaction with these.",
    ]


def add_to_card(folder: Path, lines: Sequence[str], sets: Sequence[Mapping[str, object]]) -> None:
    """Puts a table into a bundle's card, in place of an earlier one, and the sets' licences.

    Args:
        folder: The bundle.
        lines: The table; empty for none.
        sets: What `prepare.py` wrote of the sets.
    """
    bundle = Bundle.open(folder)
    card = bundle.read(CARD_FILE).decode().partition(f"\n{_HEADING}\n")[0]
    trained = [each for each in sets if each["taken"]]
    if not trained and not lines:
        return
    parts = [card.rstrip("\n"), "", _HEADING]
    if trained:
        parts += ["", "It was trained on these:", ""]
        parts += [
            f"- {each['title']}: {each['taken']:,} rows. Licence: {each['licence']}. "
            f"{each['address']}"
            for each in trained
        ]
    if lines:
        parts += ["", "On what it, or the same without a set, never saw:", "", *lines]
    put_file(bundle, CARD_FILE, ("\n".join(parts) + "\n").encode())


def _row(row: SetRow) -> Row:
    interaction = Interaction(row.input or None, row.output, row.ground_truth)
    return Row(interaction, row.label, row.id, group=row.group)
