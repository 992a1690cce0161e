"""Traffic by the day, its verdicts by the hour, its policies and attributes, for quick pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_DAY, _HOUR = 86400, 3600
_SUMS = "n, drawn, dropped, expected_bad, expected_bad_squared, seconds"
_AT_ONCE = 1000


def upgrade() -> None:
    """Creates the tables, and fills them from what was collected."""
    # The primary key begins with the same columns.
    op.drop_index("traffic_counts_start", "traffic_counts")
    op.create_table(
        "traffic_hours",
        sa.Column("evaluator", sa.String(64), nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("verdict", sa.String(8), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("expected_bad", sa.Double(), nullable=False),
        sa.Column("expected_bad_squared", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("evaluator", "start", "version", "verdict"),
    )
    op.create_table(
        "traffic_policies",
        sa.Column("evaluator", sa.String(64), nullable=False),
        sa.Column("policy", sa.String(12), nullable=False),
        sa.Column("first_at", sa.Double(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("evaluator", "policy"),
    )
    op.create_table(
        "traffic_attributes",
        sa.Column("evaluator", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.String(256), nullable=False),
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("evaluator", "name", "value", "at", "key", "version"),
    )
    op.create_index("traffic_attributes_row", "traffic_attributes", ["key"])
    op.create_index("traffic_feedback_at", "traffic_feedback", ["evaluator", "at"])
    _fill()


def _fill() -> None:
    connection = op.get_bind()
    sums = ", ".join(f"SUM({each.strip()})" for each in _SUMS.split(","))
    stratum = "version, caller, verdict, band"
    for statement in (
        f"INSERT INTO traffic_counts (evaluator, span, start, {stratum}, {_SUMS}) "
        f"SELECT evaluator, {_DAY}, start - start % {_DAY}, {stratum}, {sums} "
        f"FROM traffic_counts WHERE span = {_HOUR} "
        f"GROUP BY evaluator, start - start % {_DAY}, {stratum}",
        "INSERT INTO traffic_hours SELECT evaluator, start, version, verdict, SUM(n), "
        "SUM(expected_bad), SUM(expected_bad_squared) FROM traffic_counts "
        f"WHERE span = {_HOUR} GROUP BY evaluator, start, version, verdict",
        "INSERT INTO traffic_policies SELECT evaluator, policy, MIN(at), MAX(at) "
        "FROM traffic_rows GROUP BY evaluator, policy",
    ):
        connection.execute(sa.text(statement))
    table = sa.table(
        "traffic_attributes",
        *(sa.column(name) for name in ("evaluator", "name", "value", "key", "version", "at")),
    )
    for some in _rows_with_attributes(connection):
        values = [
            {
                **{name: row[name] for name in ("evaluator", "key", "version", "at")},
                "name": name[:64],
                "value": str(value)[:256],
            }
            for row in some
            for name, value in row["attributes"].items()
        ]
        if values:
            connection.execute(sa.insert(table), values)


def _rows_with_attributes(connection: sa.Connection) -> Iterator[Sequence[sa.RowMapping]]:
    """The kept rows by their primary key, some at a time: a driver may fetch a whole result."""
    rows = sa.table(
        "traffic_rows",
        *(sa.column(name) for name in ("key", "evaluator", "version", "at")),
        sa.column("attributes", sa.JSON()),
    )
    primary_key = sa.tuple_(rows.c.key, rows.c.evaluator, rows.c.version)
    query = sa.select(rows).order_by(*primary_key).limit(_AT_ONCE)
    some = connection.execute(query).mappings().all()
    while some:
        yield some
        last: tuple[Any, ...] = (some[-1]["key"], some[-1]["evaluator"], some[-1]["version"])
        some = connection.execute(query.where(primary_key > last)).mappings().all()
