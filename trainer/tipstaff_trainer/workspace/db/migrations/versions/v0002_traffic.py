"""Tables for collected traffic."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Creates the tables."""
    op.create_table(
        "traffic_sources",
        sa.Column("evaluator", sa.String(64), nullable=False),
        sa.Column("dataset_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"]),
        sa.PrimaryKeyConstraint("evaluator"),
    )
    op.create_table(
        "traffic_segments",
        sa.Column("identity", sa.String(40), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("damage", sa.Text(), nullable=False),
        sa.Column("collected_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("identity"),
    )
    _create_rows()
    op.create_table(
        "traffic_counts",
        sa.Column("evaluator", sa.String(64), nullable=False),
        sa.Column("span", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("caller", sa.String(80), nullable=False),
        sa.Column("verdict", sa.String(8), nullable=False),
        sa.Column("band", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("drawn", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.Column("expected_bad", sa.Double(), nullable=False),
        sa.Column("expected_bad_squared", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint(
            "evaluator", "span", "start", "version", "caller", "verdict", "band"
        ),
    )
    op.create_index("traffic_counts_start", "traffic_counts", ["evaluator", "span", "start"])
    op.create_table(
        "traffic_reasons",
        sa.Column("evaluator", sa.String(64), nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("caller", sa.String(80), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("evaluator", "start", "version", "caller", "reason"),
    )
    op.create_table(
        "traffic_feedback",
        sa.Column("evaluator", sa.String(64), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("good", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("server_key", sa.String(32), nullable=False),
        sa.Column("key", sa.String(32), nullable=True),
        sa.PrimaryKeyConstraint("evaluator", "request_id", "source"),
    )
    op.create_index("traffic_feedback_key", "traffic_feedback", ["evaluator", "key"])
    op.create_table(
        "traffic_erased",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )


def _create_rows() -> None:
    op.create_table(
        "traffic_rows",
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("evaluator", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("row_id", KEY, nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("caller", sa.String(80), nullable=False),
        sa.Column("verdict", sa.String(8), nullable=False),
        sa.Column("band", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("logit", sa.Double(), nullable=True),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("rank", sa.Double(), nullable=False),
        sa.Column("policy", sa.String(12), nullable=False),
        sa.Column("engine", sa.String(32), nullable=False),
        sa.Column("ood", sa.Double(), nullable=True),
        sa.Column("coverage", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("cached", sa.Boolean(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["row_id"], ["rows.id"]),
        sa.PrimaryKeyConstraint("key", "evaluator", "version"),
    )
    op.create_index("traffic_rows_at", "traffic_rows", ["evaluator", "at"])
    op.create_index("traffic_rows_request", "traffic_rows", ["evaluator", "request_id"])
    op.create_index("traffic_rows_rank", "traffic_rows", ["evaluator", "day", "rank"])
    op.create_index("traffic_rows_row", "traffic_rows", ["row_id"])
