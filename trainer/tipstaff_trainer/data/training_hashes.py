"""Hashes of the rows that an evaluator was trained on, so that it is never certified on them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tipstaff.types import FIELDS, Field
from tipstaff_trainer.data.groups import derive_groups, folded_texts, group_of_one
from tipstaff_trainer.data.rows import Row, narrow

Hashes = npt.NDArray[np.uint64]


def row_hashes(rows: Sequence[Row], fields: Sequence[Field] = FIELDS) -> Hashes:
    """Three hashes for each row: of its texts, its group and its derived group.

    The derived group finds rows again where one file names groups and the other doesn't. A group of
    one row, named by the row's id, gets the hash of the texts, since another file may count from
    the same number. Texts are compared without case and white space. The hashes have 64 bits: with
    a million training rows, one in ten million new rows looks like one of them by chance.

    Args:
        rows: With all the fields they have; groups are derived from all of them.
        fields: The fields whose texts are compared.

    Returns:
        Shape (n, 3).
    """
    derived, _ = derive_groups([replace(row, group="") for row in rows])
    hashes = []
    for row, regrouped in zip(rows, derived, strict=True):
        texts = _hash("texts", *folded_texts(narrow(row.interaction, fields)))
        alone = group_of_one(row)
        group = texts if row.group == alone else _hash("group", row.group)
        other = texts if regrouped.group == alone else _hash("derived", regrouped.group)
        hashes.append((texts, group, other))
    return np.array(hashes, dtype=np.uint64).reshape(-1, 3)


def hash_training_rows(rows: Sequence[Row], before: bytes | None = None) -> bytes:
    """The rows' hashes as the bytes of a NumPy file: sorted, without duplicates.

    Args:
        rows: The training rows.
        before: The same of an evaluator whose weights this one starts from: it has learnt those
            rows too.
    """
    hashes = np.unique(row_hashes(rows))
    if before is not None:
        hashes = np.union1d(hashes, np.load(io.BytesIO(before), allow_pickle=False))
    file = io.BytesIO()
    np.save(file, hashes, allow_pickle=False)
    return file.getvalue()


def match_training_rows(
    rows: Sequence[Row], hashes: bytes, fields: Sequence[Field]
) -> npt.NDArray[np.bool_]:
    """Whether each row matches a training row by its texts, its group and its derived group.

    Args:
        rows: With all the fields they have.
        hashes: The training rows' hashes (`hash_training_rows`).
        fields: The fields that the training rows had, which are those that the evaluator reads:
            with further texts, a training row would look new.

    Returns:
        Shape (n, 3).
    """
    known: Hashes = np.load(io.BytesIO(hashes), allow_pickle=False)
    return np.asarray(np.isin(row_hashes(rows, fields), known))


def new_rows(rows: Sequence[Row], hashes: bytes, fields: Sequence[Field]) -> list[Row]:
    """The rows that match no training row; for the arguments see `match_training_rows`."""
    matches = match_training_rows(rows, hashes, fields)
    return [row for row, match in zip(rows, matches, strict=True) if not match.any()]


def _hash(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:8], "big")
