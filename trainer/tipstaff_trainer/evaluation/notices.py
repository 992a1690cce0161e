"""What to know before believing a measurement: how the rows and the evaluator fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tipstaff.errors import describe
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.manifest import SEEN_FILE, Manifest
from tipstaff_trainer.data import Row, match_training_rows


class Notice(NamedTuple):
    """A warning for a `Reporter`; its remedy names fields in braces."""

    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return describe(self.message, remedy=self.remedy)


def missing_fields(manifest: Manifest, rows: Sequence[Row]) -> Iterator[Notice]:
    """Which of the fields that an evaluator was trained on the rows lack."""
    for name in manifest.fields:
        if count := sum(row.interaction.get(name) is None for row in rows):
            yield Notice(
                f"{count} of {len(rows)} rows lack {name}, which the evaluator was trained on",
                f"where a column holds it under another name, add {{mapping}} {name}=COLUMN",
            )


def training_rows(bundle: Bundle, rows: Sequence[Row]) -> Iterator[Notice]:
    """How many rows the evaluator was trained on, as far as the bundle knows them."""
    matches = trained_on(rows, bundle)
    if matches is not None and (count := int(matches.any(axis=1).sum())):
        yield Notice(
            f"{count} of {len(rows)} rows were trained on or belong with rows that were "
            f"({int(matches[:, 0].sum())} have their texts): an evaluator does better on such rows "
            "than on new ones"
        )


def knows_training_rows(bundle: Bundle) -> bool:
    """Whether the bundle has the hashes of the rows that it was trained on."""
    return SEEN_FILE in bundle.manifest.checksums


def trained_on(rows: Sequence[Row], bundle: Bundle) -> npt.NDArray[np.bool_] | None:
    """How each row matches a row that a bundle was trained on; see `match_training_rows`.

    Returns:
        Shape (n, 3), or None where the bundle doesn't know its training rows.
    """
    if not knows_training_rows(bundle):
        return None
    return match_training_rows(rows, bundle.read(SEEN_FILE), bundle.manifest.fields)
