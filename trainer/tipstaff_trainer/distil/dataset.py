"""Encodes rows with the server's code and collates them into batches."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from tipstaff_server.evaluator.encoding import Encoded, Encoder
from tipstaff_server.evaluator.session import collate
from tipstaff_trainer.data import Row

Example = dict[str, Any]


class EncodedRows(Dataset[Example]):
    """Rows with their encodings.

    Attributes:
        rows: The rows.
        encoded: Their encodings, in the same order.
        passes: The places of the rows that each pass over the data reads, as many in each pass;
            after the last pass comes the first again. By default every pass reads all rows.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        encoded: Sequence[Encoded],
        passes: Sequence[Sequence[int]] | None = None,
    ) -> None:
        self.rows = rows
        self.encoded = encoded
        self.passes = (range(len(rows)),) if passes is None else passes

    @classmethod
    def of(cls, rows: Sequence[Row], encoder: Encoder) -> EncodedRows:
        """Encodes rows, once."""
        return cls(rows, [encoder.encode(row.interaction) for row in rows])

    def with_rows(self, more: EncodedRows) -> EncodedRows:
        """These rows and then others, which are read in every pass."""
        places = range(len(self), len(self) + len(more))
        passes = [[*each, *places] for each in self.passes]
        return EncodedRows([*self.rows, *more.rows], [*self.encoded, *more.encoded], passes)

    def with_labels_of(self, rows: Sequence[Row]) -> EncodedRows:
        """The same texts with the labels of other rows, in the same order."""
        return EncodedRows(rows, self.encoded, self.passes)

    def one_pass(self) -> EncodedRows:
        """The rows of the first pass only."""
        return self._at(self.passes[0])

    def by_length(self) -> EncodedRows:
        """The rows in order of length, so that consecutive batches have little padding."""
        return self._at(sorted(range(len(self)), key=lambda index: len(self.encoded[index])))

    def sample(self, count: int, *, seed: int) -> EncodedRows:
        """At most `count` rows drawn at random, in their order."""
        if len(self) <= count:
            return self
        return self._at(sorted(random.Random(seed).sample(range(len(self)), count)))

    def _at(self, places: Sequence[int]) -> EncodedRows:
        rows = [self.rows[place] for place in places]
        return EncodedRows(rows, [self.encoded[place] for place in places])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example:
        row = self.rows[index]
        return {"encoded": self.encoded[index], "label": row.label, "weight": row.weight}


class Collator:
    """Pads examples to a batch: ids, mask, marks (batch, longest), evidence, labels and weights.

    Where an example has several runs, ids, mask and marks are (batch, most runs, longest), and
    `parts` (batch, most runs) holds the window of the output that each run covers, or -1 where a
    row has no such run; `handicaps` has the same shape. The first dimension is always the rows, so
    that the Trainer can share a batch among GPUs.
    """

    def __init__(self, pad_id: int) -> None:
        self._pad_id = pad_id

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Makes one batch."""
        rows: list[Encoded] = [example["encoded"] for example in examples]
        arrays = collate([tokens for row in rows for tokens in row.runs], self._pad_id)
        batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
        if any(len(row.runs) > 1 for row in rows):
            batch = _by_row(batch, rows)
        batch["labels"] = torch.tensor([example["label"] for example in examples])
        batch["weights"] = torch.tensor([example["weight"] for example in examples])
        return batch


def _by_row(batch: dict[str, Tensor], rows: Sequence[Encoded]) -> dict[str, Tensor]:
    """Regroups the runs by row: shape (runs, …) becomes (rows, most runs, …)."""
    windows = torch.full((len(rows), max(len(row.runs) for row in rows)), -1)
    handicaps = torch.zeros(windows.shape)
    for place, row in enumerate(rows):
        windows[place, : len(row.parts)] = torch.tensor(row.parts)
        handicaps[place, : len(row.handicaps)] = torch.tensor(row.handicaps)
    by_row = {"parts": windows, "handicaps": handicaps}
    for name, tensor in batch.items():
        by_row[name] = tensor.new_zeros((*windows.shape, tensor.shape[1]))
        by_row[name][windows >= 0] = tensor
    return by_row
