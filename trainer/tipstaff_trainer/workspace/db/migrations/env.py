"""What Alembic runs for each command: it works on the connection that the caller opened."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from alembic import context

from tipstaff_trainer.workspace.db.migrations import VERSION_TABLE
from tipstaff_trainer.workspace.db.models import DatabaseModel


def _is_modelled(name: str | None, kind: str, parents: MutableMapping[Any, str | None]) -> bool:
    """Whether comparisons with the models include a table, column or index.

    The full-text index is made of tables (SQLite) or a column (PostgreSQL) without a model.
    """
    table = name if kind == "table" else parents.get("table_name")
    if str(table).startswith("rows_text"):
        return False
    return (kind, table, name) not in {("column", "rows", "words"), ("index", "rows", "rows_words")}


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=DatabaseModel.metadata,
    version_table=VERSION_TABLE,
    include_name=_is_modelled,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
