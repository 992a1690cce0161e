"""The database behind a workspace: SQLite in its folder, or PostgreSQL for a team."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session, sessionmaker

from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db import full_text
from tipstaff_trainer.workspace.db.migrations import upgrade

# How long a writer waits for another one, in seconds; jobs and the desk share the database.
_PATIENCE = 20
# A writer that waits looks again after a tenth of a second (sqlite3_busy_timeout).
_NOTICED = 0.11
# Any numbers that are no other program's in the same PostgreSQL database.
_SET_UP_LOCK = 20_260_101
_DATASET_LOCK = 20_260_102


class Database:
    """Sessions for reading and writing.

    Args:
        url: As SQLAlchemy takes it; a PostgreSQL URL may leave the driver out.

    Attributes:
        unswept: Data sets that came to nothing here, as on a full disk, and could not be deleted.

    Raises:
        WorkspaceError: There is no such database, or it can't be opened.
    """

    def __init__(self, url: str) -> None:
        self.url = _with_driver(url)
        self.unswept: set[int] = set()
        try:
            engine = create_engine(self.url)
        except (ArgumentError, NoSuchModuleError) as error:
            raise WorkspaceError(f"{url!r} is no database URL: {error}") from None
        self.is_sqlite = engine.dialect.name == "sqlite"
        if self.is_sqlite:
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        self._engine = engine
        self._read = sessionmaker(engine, expire_on_commit=False)
        # SQLite's writers queue up front, else one that read first would fail when it writes.
        writer = engine.execution_options(begin="IMMEDIATE")
        self._write = sessionmaker(writer, expire_on_commit=False)
        with _plainly(), writer.begin() as connection:
            if not self.is_sqlite:
                # Two desks that start at once would both make what neither finds.
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_SET_UP_LOCK})"))
            upgrade(connection)
            full_text.set_up(connection)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the database."""
        with _plainly(), self._read() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction: all of it, or, when something is raised, nothing.

        Raises:
            WorkspaceError: It couldn't be stored, as on a full disk.
        """
        with _plainly(), self._write.begin() as session:
            yield session

    def one_at_a_time(self, session: Session, dataset: int) -> None:
        """Has a transaction wait until no other that asks for this is at the data set.

        SQLite has one writer anyway.
        """
        if not self.is_sqlite:
            lock = text(f"SELECT pg_advisory_xact_lock({_DATASET_LOCK}, CAST(:dataset AS integer))")
            session.execute(lock, {"dataset": dataset % 2**31})

    def let_others_write(self) -> None:
        """Leaves SQLite alone for as long as others who wait to write take to notice."""
        if self.is_sqlite:
            time.sleep(_NOTICED)

    def close(self) -> None:
        """Closes the connections."""
        self._engine.dispose()


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite:///{path}"


def _with_driver(url: str) -> str:
    for short in ("postgresql://", "postgres://"):
        if url.startswith(short):
            return "postgresql+psycopg://" + url.removeprefix(short)
    return url


def _set_up_sqlite(connection: Any, _: object) -> None:
    # The driver's own transactions begin too late; ours begin in `_begin_sqlite`.
    connection.isolation_level = None
    cursor = connection.cursor()
    # Readers don't wait for writers; and what was committed survives a crash of the program, and,
    # with FULL, one of the machine.
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"busy_timeout = {_PATIENCE * 1000}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('begin', '')}")


@contextmanager
def _plainly() -> Iterator[None]:
    """Turns a database's own error into one line for people."""
    try:
        yield
    except DBAPIError as error:
        why = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else str(error)
        if "full" in why or "disk I/O" in why or "No space" in why:
            why += ": make room on the disk and do it again; nothing that was stored is lost"
        raise WorkspaceError(f"the workspace's database: {why}") from error
