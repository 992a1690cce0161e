"""A column by whose indexes SQLite won't look."""

from __future__ import annotations

from sqlalchemy import create_engine, select, text
from sqlalchemy.dialects import postgresql, sqlite

from tipstaff_trainer.workspace.db.hints import without_index
from tipstaff_trainer.workspace.db.models import TrafficRow


def compiled(query, dialect) -> str:
    return " ".join(str(query.compile(dialect=dialect.dialect())).split())


def test_only_sqlite_reads_the_hint():
    query = select(TrafficRow.key).where(without_index(TrafficRow.day).between(1, 2))
    assert "WHERE +traffic_rows.day BETWEEN" in compiled(query, sqlite)
    assert "WHERE traffic_rows.day BETWEEN" in compiled(query, postgresql)


def test_queries_of_different_columns_are_cached_apart():
    of_caller, of_key = (
        select(TrafficRow.key).where(without_index(column) == "a")._generate_cache_key()
        for column in (TrafficRow.caller, TrafficRow.key)
    )
    assert of_caller is not None
    assert of_caller != of_key


def test_sqlite_looks_by_the_other_column():
    with create_engine("sqlite://").begin() as connection:
        connection.execute(text("CREATE TABLE traffic_rows (row_id, key, day)"))
        for name in ("row_id", "day"):
            connection.execute(text(f"CREATE INDEX by_{name} ON traffic_rows ({name})"))

        def plan(day):
            query = select(TrafficRow.key).where(day == 1, TrafficRow.row_id > 2)
            sql = query.compile(connection, compile_kwargs={"literal_binds": True})
            return str(connection.execute(text(f"EXPLAIN QUERY PLAN {sql}")).all())

        assert "by_day" in plan(TrafficRow.day)
        assert "by_row_id" in plan(without_index(TrafficRow.day))
