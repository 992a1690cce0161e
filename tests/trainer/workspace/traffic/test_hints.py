"""A column by whose indexes SQLite won't look."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from tipstaff_trainer.workspace.db.hints import without_index
from tipstaff_trainer.workspace.db.models import TrafficRow


def text(query, dialect) -> str:
    return " ".join(str(query.compile(dialect=dialect.dialect())).split())


def test_only_sqlite_reads_the_hint():
    query = select(TrafficRow.key).where(without_index(TrafficRow.day).between(1, 2))
    assert "WHERE +traffic_rows.day BETWEEN" in text(query, sqlite)
    assert "WHERE traffic_rows.day BETWEEN" in text(query, postgresql)


def test_queries_of_different_columns_are_cached_apart():
    of_caller, of_key = (
        select(TrafficRow.key).where(without_index(column) == "a")._generate_cache_key()
        for column in (TrafficRow.caller, TrafficRow.key)
    )
    assert of_caller is not None
    assert of_caller != of_key
