"""A workspace's tables as Tipstaff made them while a data set was judged by one criterion."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    insert,
    text,
)

_METADATA = MetaData()
_KEY = BigInteger().with_variant(Integer, "sqlite")


def _needed(name: str, kind: Any, *more: Any) -> Column[Any]:
    return Column(name, kind, *more, nullable=False)


def _since() -> Column[Any]:
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    return Column("created_at", DateTime(timezone=True), nullable=False, default=moment)


DATASETS = Table(
    "datasets",
    _METADATA,
    Column("id", _KEY, primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column("state", String(8), nullable=False, server_default="ready"),
    _needed("file", String(200)),
    _needed("fields", JSON),
    _needed("extra", JSON),
    _needed("notes", JSON),
    _needed("criterion", String(64)),
    *(
        _needed(name, Integer)
        for name in ("rows", "labelled", "human", "judge", "good", "disputed", "test")
    ),
    _needed("author", String(80)),
    _since(),
)
ROWS = Table(
    "rows",
    _METADATA,
    Column("id", _KEY, primary_key=True),
    _needed("dataset_id", _KEY, ForeignKey("datasets.id")),
    _needed("position", Integer),
    _needed("key", Text),
    *(Column(name, Text) for name in ("input", "output", "ground_truth")),
    _needed("weight", Float),
    _needed("row_group", Text),
    _needed("extra", JSON),
    _needed("part", String(8)),
    Column("label", Float),
    _needed("label_source", String(8)),
    _needed("selection", String(12)),
    _needed("disputed", Boolean),
    Column("judge_label", Float),
    _needed("last_label", BigInteger),
    _needed("latest_by", String(80)),
    Index("rows_position", "dataset_id", "position", unique=True),
    Index("rows_key", "dataset_id", "key", unique=True),
    Index("rows_source", "dataset_id", "label_source", "position"),
    Index("rows_disputed", "dataset_id", "disputed", "position"),
    Index("rows_part", "dataset_id", "part", "position"),
    Index("rows_ranked", "dataset_id", "label_source", "label", "judge_label"),
)
LABELS = Table(
    "labels",
    _METADATA,
    Column("id", _KEY, primary_key=True),
    _needed("dataset_id", _KEY, ForeignKey("datasets.id")),
    _needed("row_id", _KEY, ForeignKey("rows.id")),
    Column("value", Float),
    _needed("source", String(8)),
    _needed("who", String(200)),
    _needed("selection", String(12)),
    _needed("over", BigInteger),
    _needed("crossed", Boolean),
    _needed("reason", Text),
    _needed("details", JSON),
    _since(),
    Index("labels_row", "row_id", "id"),
    Index("labels_who", "dataset_id", "source", "who"),
)
REVIEW_ITEMS = Table(
    "review_items",
    _METADATA,
    Column("id", _KEY, primary_key=True),
    _needed("dataset_id", _KEY, ForeignKey("datasets.id")),
    _needed("row_id", _KEY, ForeignKey("rows.id")),
    _needed("selection", String(12)),
    _needed("rank", Integer),
    _needed("state", String(8)),
    _needed("holder", String(80)),
    Column("held_until", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Index("review_items_queue", "dataset_id", "state", "rank"),
    Index("review_items_row", "row_id"),
)
SCORES = Table(
    "scores",
    _METADATA,
    Column("dataset_id", _KEY, ForeignKey("datasets.id"), primary_key=True),
    Column("evaluator", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("row_id", _KEY, ForeignKey("rows.id"), primary_key=True),
    Column("score", Float),
    Index("scores_row", "row_id"),
)
_BLANK: dict[Table, dict[str, Any]] = {
    DATASETS: dict.fromkeys(("labelled", "human", "judge", "good", "disputed", "test"), 0)
    | {"fields": ["output"], "extra": [], "notes": [], "author": "", "file": "may.csv"},
    ROWS: {"row_group": "", "extra": {}, "part": "train", "weight": 1.0, "label_source": ""}
    | {"selection": "unknown", "disputed": False, "last_label": 0, "latest_by": ""},
    LABELS: {"selection": "unknown", "over": 0, "crossed": False, "reason": "", "details": {}},
    REVIEW_ITEMS: {"selection": "pilot", "state": "waiting", "holder": ""},
    SCORES: {},
}


def make_older(url: str, entries: dict[Table, list[dict[str, Any]]]) -> None:
    """Makes the tables in an empty database, with some entries whose other columns are blank."""
    engine = create_engine(url)
    with engine.begin() as connection:
        _METADATA.create_all(connection)
        for table, some in entries.items():
            for each in some:
                connection.execute(insert(table).values(_BLANK[table] | each))
            if some and "id" in some[0] and engine.dialect.name == "postgresql":
                # It counts up only what it has numbered itself.
                last = f"SELECT setval('{table.name}_id_seq', (SELECT max(id) FROM {table.name}))"
                connection.execute(text(last))
    engine.dispose()
