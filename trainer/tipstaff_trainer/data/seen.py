"""What an evaluator was trained on, kept as hashes, so that it is never certified on it."""

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
    """Three numbers for each row: of its texts, its group, and the group it would be given.

    The last one finds rows again where one file names groups and the other doesn't. A group that is
    a row by itself, named by its id, is no more than its texts, since another file may count from
    the same number. Texts are compared without case and white space. 64 bits: among a million rows,
    one in ten million others looks seen by chance.

    Args:
        rows: With whatever fields they have; groups rest on all of them.
        fields: Whose texts are compared.

    Returns:
        Shape (n, 3).
    """
    derived, _ = derive_groups([replace(row, group="") for row in rows])
    found = []
    for row, other in zip(rows, derived, strict=True):
        texts = _hash(["texts", *folded_texts(narrow(row.interaction, fields))])
        alone = group_of_one(row)
        found.append(
            (
                texts,
                texts if row.group == alone else _hash(["group", row.group]),
                texts if other.group == alone else _hash(["derived", other.group]),
            )
        )
    return np.array(found, dtype=np.uint64).reshape(-1, 3)


def seen_bytes(rows: Sequence[Row]) -> bytes:
    """The rows' hashes as a NumPy file: sorted, each once."""
    file = io.BytesIO()
    np.save(file, np.unique(row_hashes(rows)), allow_pickle=False)
    return file.getvalue()


def seen_by(rows: Sequence[Row], seen: bytes, fields: Sequence[Field]) -> npt.NDArray[np.bool_]:
    """By what each row is known from before: its texts, its group, the group it would be given.

    Args:
        rows: With whatever fields they have.
        seen: Of the rows from before (`seen_bytes`).
        fields: That those rows had, which are those that the evaluator reads. By the texts of
            others a row would look new that isn't.

    Returns:
        Shape (n, 3).
    """
    known: Hashes = np.load(io.BytesIO(seen), allow_pickle=False)
    return np.asarray(np.isin(row_hashes(rows, fields), known))


def unseen(rows: Sequence[Row], seen: bytes, fields: Sequence[Field]) -> list[Row]:
    """The rows that share neither texts nor group with those before; arguments as of `seen_by`."""
    hits = seen_by(rows, seen, fields)
    return [row for row, hit in zip(rows, hits, strict=True) if not hit.any()]


def _hash(parts: Sequence[str]) -> int:
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:8], "big")
