"""The schema of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite autoincrements only INTEGER keys.
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
NOT_DONE = sa.text("state <> 'done'")


def upgrade() -> None:
    """Creates all tables and the full-text index."""
    _create_tables()
    if op.get_bind().dialect.name == "sqlite":
        _create_sqlite_text_index()
    else:
        _create_postgresql_text_index()


def _create_sqlite_text_index() -> None:
    # An index over the rows' own texts; it stores where each word occurs, not the texts.
    op.execute(
        "CREATE VIRTUAL TABLE rows_text USING fts5(input, output, ground_truth, content='rows', "
        "content_rowid='id', detail='none', tokenize='unicode61 remove_diacritics 2')"
    )


def _create_postgresql_text_index() -> None:
    # A tsvector holds at most 2**20 bytes, so that only the first characters are indexed. ASCII
    # signs become spaces, or PostgreSQL would take an address for one word. It splits words at
    # other scripts' signs by itself; `[:alnum:]` would depend on the database's locale.
    fields = (
        "coalesce(output, '') || ' ' || coalesce(input, '') || ' ' || coalesce(ground_truth, '')"
    )
    signs = r"[!-/:-@\[-`{-~]+"
    op.execute(
        "ALTER TABLE rows ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector('simple', "
        f"regexp_replace(left({fields}, 150000), '{signs}', ' ', 'g'))) STORED"
    )
    op.execute("CREATE INDEX rows_words ON rows USING gin (words)")


def _create_tables() -> None:
    op.create_table(
        "cases",
        sa.Column("id", KEY, nullable=False),
        sa.Column("criterion", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("expect", sa.String(length=12), nullable=False),
        sa.Column("input", sa.Text(), nullable=True),
        sa.Column("output", sa.Text(), nullable=True),
        sa.Column("ground_truth", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=80), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("cases_name", "cases", ["criterion", "name"], unique=True)
    op.create_table(
        "criteria",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("criterion", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=80), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("criteria_name", "criteria", ["name", "version"], unique=True)
    op.create_table(
        "datasets",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("file", sa.String(length=200), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("extra", sa.JSON(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("test", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(length=80), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", KEY, nullable=False),
        sa.Column("dataset_id", KEY, nullable=True),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("pid_started", sa.Double(), nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("author", sa.String(length=80), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("jobs_dataset", "jobs", ["dataset_id", "id"])
    op.create_index("jobs_state", "jobs", ["state"])
    op.create_table(
        "label_sets",
        sa.Column("dataset_id", KEY, nullable=False),
        sa.Column("criterion", sa.String(length=64), nullable=False),
        sa.Column("labelled", sa.Integer(), nullable=False),
        sa.Column("human", sa.Integer(), nullable=False),
        sa.Column("judge", sa.Integer(), nullable=False),
        sa.Column("good", sa.Integer(), nullable=False),
        sa.Column("disputed", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"]),
        sa.PrimaryKeyConstraint("dataset_id", "criterion"),
    )
    op.create_table(
        "rows",
        sa.Column("id", KEY, nullable=False),
        sa.Column("dataset_id", KEY, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("input", sa.Text(), nullable=True),
        sa.Column("output", sa.Text(), nullable=True),
        sa.Column("ground_truth", sa.Text(), nullable=True),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("row_group", sa.Text(), nullable=False),
        sa.Column("extra", sa.JSON(), nullable=False),
        sa.Column("part", sa.String(length=8), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("rows_key", "rows", ["dataset_id", "key"], unique=True)
    op.create_index("rows_part", "rows", ["dataset_id", "part", "position"])
    op.create_index("rows_position", "rows", ["dataset_id", "position"], unique=True)
    op.create_table(
        "labels",
        sa.Column("id", KEY, nullable=False),
        sa.Column("dataset_id", KEY, nullable=False),
        sa.Column("row_id", KEY, nullable=False),
        sa.Column("criterion", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("who", sa.String(length=200), nullable=False),
        sa.Column("selection", sa.String(length=12), nullable=False),
        sa.Column("based_on_label_id", sa.BigInteger(), nullable=False),
        sa.Column("concurrent", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"]),
        sa.ForeignKeyConstraint(["row_id"], ["rows.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("labels_row", "labels", ["row_id", "id"])
    op.create_index("labels_who", "labels", ["dataset_id", "source", "who"])
    op.create_table(
        "review_items",
        sa.Column("id", KEY, nullable=False),
        sa.Column("dataset_id", KEY, nullable=False),
        sa.Column("row_id", KEY, nullable=False),
        sa.Column("criterion", sa.String(length=64), nullable=False),
        sa.Column("selection", sa.String(length=12), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("holder", sa.String(length=80), nullable=False),
        sa.Column("held_until", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"]),
        sa.ForeignKeyConstraint(["row_id"], ["rows.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "review_items_once",
        "review_items",
        ["row_id", "criterion"],
        unique=True,
        sqlite_where=NOT_DONE,
        postgresql_where=NOT_DONE,
    )
    op.create_index(
        "review_items_place", "review_items", ["dataset_id", "criterion", "state", "rank"]
    )
    op.create_index("review_items_row", "review_items", ["row_id"])
    op.create_table(
        "row_labels",
        sa.Column("row_id", KEY, nullable=False),
        sa.Column("criterion", sa.String(length=64), nullable=False),
        sa.Column("dataset_id", KEY, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("label", sa.Double(), nullable=True),
        sa.Column("label_source", sa.String(length=8), nullable=False),
        sa.Column("selection", sa.String(length=12), nullable=False),
        sa.Column("disputed", sa.Boolean(), nullable=False),
        sa.Column("judge_label", sa.Double(), nullable=True),
        sa.Column("last_label_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"]),
        sa.ForeignKeyConstraint(["row_id"], ["rows.id"]),
        sa.PrimaryKeyConstraint("row_id", "criterion"),
    )
    op.create_index(
        "row_labels_disputed", "row_labels", ["dataset_id", "criterion", "disputed", "position"]
    )
    op.create_index(
        "row_labels_source", "row_labels", ["dataset_id", "criterion", "label_source", "position"]
    )
    op.create_table(
        "scores",
        sa.Column("dataset_id", KEY, nullable=False),
        sa.Column("evaluator", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("row_id", KEY, nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"]),
        sa.ForeignKeyConstraint(["row_id"], ["rows.id"]),
        sa.PrimaryKeyConstraint("dataset_id", "evaluator", "version", "row_id"),
    )
    op.create_index("scores_row", "scores", ["row_id"])
