"""Rows of traffic, as rows of their evaluator's data set."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from tipstaff.types import FIELDS
from tipstaff_trainer.workspace.db import full_text
from tipstaff_trainer.workspace.db.models import (
    DatabaseModel,
    Dataset,
    DatasetRow,
    LabelSet,
    TrafficAttribute,
    TrafficPolicy,
    TrafficRow,
    TrafficSource,
)
from tipstaff_trainer.workspace.db.models.traffic import DAY
from tipstaff_trainer.workspace.db.rows import batched, execute_many, insertion
from tipstaff_trainer.workspace.traffic.counts import bounded, storable

# The share of rows that no training sees, so that versions can be measured on them.
TEST_SHARE = 0.2
_KEYS_AT_ONCE = 500
_ALONE = {"weight": 1.0, "row_group": ""}


def dataset_name(evaluator: str) -> str:
    """The name of an evaluator's data set of traffic."""
    return f"traffic of {evaluator}"


def is_test_row(key: str) -> bool:
    """Whether a row is held out for testing: by its key alone, whatever it holds."""
    digest = hashlib.blake2b(key.encode(), digest_size=8, person=b"tipstaff-test").digest()
    return int.from_bytes(digest) < TEST_SHARE * 2**64


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row of traffic that can be stored.

    Attributes:
        texts: Its texts, as columns of a data set's row.
        values: What the server said of it, as columns of `TrafficRow` without the row's id.
    """

    texts: Mapping[str, Any]
    values: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The id that the server gave it."""
        return str(self.values["key"])

    @property
    def evaluator(self) -> str:
        """The evaluator's name."""
        return str(self.values["evaluator"])


def parse_row(record: Mapping[str, Any]) -> NewRow:
    """Reads a record of a row.

    Raises:
        KeyError: It lacks a value.
        TypeError: A value is of another type.
        ValueError: A value can't be stored.
    """
    key, at, seconds = bounded(record["row"], 32), float(record["at"]), record["seconds"]
    shares = [scored / total for scored, total, *_ in record["coverage"].values() if total]
    attributes = {
        bounded(name, 64, cut=True): bounded(value, 256, cut=True)
        for name, value in record["attributes"].items()
    }
    probability = float(record["pi"])
    if not 0 < probability <= 1:
        raise ValueError(f"{probability} is no probability of a draw")
    texts: dict[str, str | None] = {
        name: None if record[name] is None else storable(record[name]) for name in FIELDS
    }
    values = {
        "key": key,
        "evaluator": bounded(record["evaluator"], 64),
        "version": int(record["version"]),
        "request_id": storable(record["request"]),
        "at": at,
        "day": int(at // DAY),
        "caller": bounded(record["caller"], 80, cut=True),
        "verdict": bounded(record["verdict"], 8),
        "band": int(record["band"]),
        "score": float(record["score"]),
        "logit": None if record["logit"] is None else float(record["logit"]),
        "probability": probability,
        "rank": float(record["draw"]) / probability,
        "policy": bounded(record["policy"], 12),
        "engine": bounded(record["engine"], 32, cut=True),
        "ood": None if record["ood"] is None else float(record["ood"]),
        "coverage": min(shares, default=1.0),
        "seconds": float(seconds[-1]) if seconds else None,
        "cached": bool(record["cached"]),
        "reasons": list(map(str, record["reasons"])),
        "attributes": attributes,
    }
    part = "test" if is_test_row(key) else "train"
    return NewRow({"key": key, **texts, "extra": attributes, "part": part}, values)


def add_rows(
    session: Session, rows: Sequence[NewRow], criteria: Mapping[str, str]
) -> tuple[Counter[str], int]:
    """Adds rows that are not there yet.

    Args:
        session: A transaction that may write, and that other collectors wait for.
        rows: The rows.
        criteria: The criterion of each evaluator, for data sets that are new.

    Returns:
        New rows by evaluator, and how many were there already.
    """
    by_evaluator: defaultdict[str, dict[tuple[str, int], NewRow]] = defaultdict(dict)
    for row in rows:
        by_evaluator[row.evaluator].setdefault((row.key, row.values["version"]), row)
    new: Counter[str] = Counter()
    for evaluator, unique in by_evaluator.items():
        there = set(_existing(session, evaluator, [key for key, _ in unique]))
        fresh = [row for key, row in unique.items() if key not in there]
        if fresh:
            _insert(session, evaluator, fresh, criteria.get(evaluator, ""))
            new[evaluator] = len(fresh)
    return new, len(rows) - new.total()


def _existing(session: Session, evaluator: str, keys: Sequence[str]) -> Iterable[tuple[str, int]]:
    for some in batched(keys, _KEYS_AT_ONCE):
        query = select(TrafficRow.key, TrafficRow.version).where(
            TrafficRow.evaluator == evaluator, TrafficRow.key.in_(some)
        )
        yield from ((key, version) for key, version in session.execute(query))


def _insert(session: Session, evaluator: str, rows: Sequence[NewRow], criterion: str) -> None:
    dataset = _dataset(session, evaluator, criterion)
    texts = {row.key: row for row in rows}
    ids = _row_ids(session, dataset.id, list(texts))
    missing = [row for key, row in texts.items() if key not in ids]
    if missing:
        last = session.scalar(
            select(func.max(DatasetRow.position)).where(DatasetRow.dataset_id == dataset.id)
        )
        first = 0 if last is None else last + 1
        whole = [
            {"dataset_id": dataset.id, "position": position, **_ALONE, **row.texts}
            for position, row in enumerate(missing, start=first)
        ]
        _insert_many(session, DatasetRow, whole)
        full_text.add(session, dataset.id, first, first + len(missing) - 1)
        ids |= _row_ids(session, dataset.id, [row.key for row in missing])
        _count(session, dataset, missing)
    _insert_many(session, TrafficRow, [{**row.values, "row_id": ids[row.key]} for row in rows])
    _insert_many(session, TrafficAttribute, [each for row in rows for each in _attributes(row)])
    _note_policies(session, evaluator, rows)


def _insert_many(
    session: Session, table: type[DatabaseModel], values: Sequence[Mapping[str, Any]]
) -> None:
    execute_many(session, insertion(session, table).on_conflict_do_nothing(), values)


def _attributes(row: NewRow) -> Iterator[Mapping[str, Any]]:
    shared = {name: row.values[name] for name in ("evaluator", "key", "version", "at")}
    for name, value in row.values["attributes"].items():
        yield {**shared, "name": name, "value": value}


def _note_policies(session: Session, evaluator: str, rows: Sequence[NewRow]) -> None:
    """Widens the times in which each version of the rates and the salt was in use."""
    times: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        times[row.values["policy"]].append(row.values["at"])
    for policy, some in times.items():
        known = session.get(TrafficPolicy, (evaluator, policy))
        if known is None:
            first, last = min(some), max(some)
            new = TrafficPolicy(evaluator=evaluator, policy=policy, first_at=first, last_at=last)
            session.add(new)
        else:
            known.first_at = min(known.first_at, *some)
            known.last_at = max(known.last_at, *some)
    session.flush()


def _dataset(session: Session, evaluator: str, criterion: str) -> Dataset:
    source = session.get(TrafficSource, evaluator)
    if source is not None:
        dataset = session.get(Dataset, source.dataset_id)
        assert dataset is not None
        return dataset
    name = dataset_name(evaluator)
    if session.scalar(select(Dataset.id).where(Dataset.name == name)) is not None:
        # Somebody has given another data set the name.
        name = f"{name} (collected)"
    dataset = Dataset(
        name=name, file="", fields=[], extra=[], notes=["collected from servers"], author="collect"
    )
    session.add(dataset)
    session.flush()
    session.add(LabelSet(dataset_id=dataset.id, criterion=criterion))
    session.add(TrafficSource(evaluator=evaluator, dataset_id=dataset.id))
    session.flush()
    return dataset


def _row_ids(session: Session, dataset: int, keys: Sequence[str]) -> dict[str, int]:
    ids: dict[str, int] = {}
    for some in batched(keys, _KEYS_AT_ONCE):
        query = select(DatasetRow.key, DatasetRow.id).where(
            DatasetRow.dataset_id == dataset, DatasetRow.key.in_(some)
        )
        ids.update((key, row_id) for key, row_id in session.execute(query))
    return ids


def _count(session: Session, dataset: Dataset, rows: Sequence[NewRow]) -> None:
    fields = [
        name
        for name in FIELDS
        if name in dataset.fields or any((row.texts[name] or "").strip() for row in rows)
    ]
    test = sum(row.texts["part"] == "test" for row in rows)
    session.execute(
        update(Dataset)
        .where(Dataset.id == dataset.id)
        .values(fields=fields, rows=Dataset.rows + len(rows), test=Dataset.test + test)
        .execution_options(synchronize_session=False)
    )
    session.refresh(dataset)
