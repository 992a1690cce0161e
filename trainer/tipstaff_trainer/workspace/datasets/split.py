"""Holding out a data set's test rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from numbers import Integral, Real
from typing import TYPE_CHECKING

from sqlalchemy import update

from tipstaff.errors import UsageError
from tipstaff_trainer.data import Row, check_split, split_rows
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import Dataset, DatasetRow
from tipstaff_trainer.workspace.db.rows import to_data_row

if TYPE_CHECKING:
    from tipstaff_trainer.workspace.datasets.queries import Datasets

# Databases limit the values of an IN list.
_KEYS_AT_ONCE = 500


def split_dataset(
    database: Database, datasets: Datasets, dataset: Dataset, *, test_size: float, seed: int
) -> list[str]:
    """Holds out rows for testing, whole groups at a time; replaces an earlier split.

    The split is the same for all criteria. It balances the classes of the criterion with the most
    labels.

    Args:
        database: The workspace's database.
        datasets: Its data sets.
        dataset: The data set to split.
        test_size: The share of rows to hold out, in (0, 1).
        seed: The seed of the random choice.

    Returns:
        Warnings about the split.

    Raises:
        UsageError: `test_size` or `seed` is no number of its kind.
        DataError: The rows can't be split, or one side would lack a class.
    """
    if not isinstance(test_size, Real) or not 0 < test_size < 1:
        remedy = "give a share between 0 and 1, as 0.2"
        raise UsageError(
            "is not a share", field="test_size", value=repr(test_size)[:80], remedy=remedy
        )
    if not isinstance(seed, Integral):
        raise UsageError("is not a whole number", field="seed", value=repr(seed)[:80])
    most = max(dataset.label_sets, key=lambda each: each.labelled)
    rows = [to_data_row(row) for row in datasets.rows(most)]
    _, test = split_rows(rows, test_size, seed=seed)
    keys = [row.id for row in test]
    warnings = _check_split(rows, keys, test_size)
    for labels in dataset.label_sets:
        if labels is not most:
            # A criterion with a few labels is no reason to split differently.
            try:
                messages = _check_split(map(to_data_row, datasets.rows(labels)), keys, test_size)
            except DataError as error:
                messages = [str(error)]
            warnings += [f"{labels.criterion}: {each}" for each in messages]
    of_dataset = update(DatasetRow).where(DatasetRow.dataset_id == dataset.id)
    with database.writing() as session:
        session.execute(of_dataset.where(DatasetRow.part == "test").values(part="train"))
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            part = DatasetRow.key.in_(keys[start : start + _KEYS_AT_ONCE])
            session.execute(of_dataset.where(part).values(part="test"))
        session.execute(update(Dataset).where(Dataset.id == dataset.id).values(test=len(keys)))
    return warnings


def _check_split(rows: Iterable[Row], test: Collection[str], size: float) -> list[str]:
    test, labelled = frozenset(test), [row for row in rows if row.labelled]
    sides = [[row for row in labelled if (row.id in test) is side] for side in (False, True)]
    return check_split(sides[0], sides[1], size, name="test") if all(sides) else []
