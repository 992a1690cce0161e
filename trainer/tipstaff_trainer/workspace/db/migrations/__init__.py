"""The database's schema, in Alembic revisions.

Opening a workspace brings its database to `HEAD`. To change the schema, change the models, add a
revision under `versions/` and set `HEAD` to it; a test compares the models with the revisions.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from tipstaff_trainer.errors import WorkspaceError

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0003"
# Not Alembic's own name: other programs, such as MLflow, may share a PostgreSQL database.
VERSION_TABLE = "tipstaff_version"
_FOLDER = Path(__file__).parent


def is_current(connection: Connection) -> bool:
    """Whether the schema is up to date; cheap, and without an import of Alembic."""
    return _revision(connection) == HEAD


def upgrade(connection: Connection) -> None:
    """Brings the schema to `HEAD`, in the connection's transaction.

    Raises:
        WorkspaceError: A newer Tipstaff made the database, or one from before the first release.
    """
    revision = _revision(connection)
    if revision == HEAD:
        return
    if revision is None and inspect(connection).has_table("datasets"):
        raise WorkspaceError(
            "the workspace's database was made before Tipstaff's first release and can't be "
            "upgraded: start with a new folder or database"
        )
    # Imported here: a workspace that is up to date opens without it.
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config(connection)
    known = {each.revision for each in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise WorkspaceError(
            f"a newer Tipstaff made the workspace's database (revision {revision}; this one knows "
            f"{HEAD}): install that version, or a later one"
        )
    command.upgrade(config, HEAD)


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for commands on a connection."""
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    # A % would start an interpolation.
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _revision(connection: Connection) -> str | None:
    """The database's revision; None for a database without one."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return revision
