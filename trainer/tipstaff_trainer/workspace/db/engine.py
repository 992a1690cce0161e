"""The database behind a workspace: SQLite in its folder, or PostgreSQL for a team."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

from sqlalchemy import Engine, Row, Select, create_engine, event, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session, sessionmaker

from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db import migrations

Value = TypeVar("Value")
Columns = TypeVarTuple("Columns")
# How long a writer waits for another, in seconds; jobs and the desk share the database.
_PATIENCE = 20
# A waiting writer tries again every tenth of a second (sqlite3_busy_timeout).
_NOTICED = 0.11
# Advisory locks; other programs in the same PostgreSQL database should use other numbers.
_MIGRATION_LOCK = 20_260_101
_DATASET_LOCK = 20_260_102


class Database:
    """Sessions for reading and writing.

    Args:
        url: A URL for SQLAlchemy; a PostgreSQL URL may omit the driver.

    Attributes:
        unswept: Data sets whose upload failed here and that could not be deleted, as on a full
            disk.

    Raises:
        WorkspaceError: The database can't be opened, or a newer Tipstaff made it.
    """

    def __init__(self, url: str) -> None:
        self.url = _with_driver(url)
        self.unswept: set[int] = set()
        try:
            engine = create_engine(self.url)
        except (ArgumentError, NoSuchModuleError) as error:
            raise WorkspaceError(f"{url!r} is not a database URL: {error}") from None
        self.is_sqlite = engine.dialect.name == "sqlite"
        if self.is_sqlite:
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        elif engine.dialect.name == "postgresql":
            event.listen(engine, "connect", _set_up_postgresql)
        self._engine = engine
        self._read = sessionmaker(engine, expire_on_commit=False)
        # SQLite's writers take the lock at once: one that upgrades a read lock could fail.
        writer = engine.execution_options(begin="IMMEDIATE")
        self._write = sessionmaker(writer, expire_on_commit=False)
        with _readable_errors():
            with engine.connect() as connection:
                current = migrations.is_current(connection)
            if not current:
                self._upgrade(writer)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that reads one state of the database."""
        with _readable_errors(), self._read() as session:
            yield session

    def scalar(self, query: Select[Value]) -> Value | None:
        """The first value that a query reads, or None."""
        with self.reading() as session:
            return session.scalar(query)

    def scalars(self, query: Select[Value]) -> Sequence[Value]:
        """The values that a query reads."""
        with self.reading() as session:
            return session.scalars(query).all()

    def rows(self, query: Select[*Columns]) -> Sequence[Row[*Columns]]:
        """The rows that a query reads."""
        with self.reading() as session:
            return session.execute(query).all()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction, rolled back if an exception is raised.

        Raises:
            WorkspaceError: The changes can't be stored, as on a full disk.
        """
        with _readable_errors(), self._write.begin() as session:
            yield session

    def lock_dataset(self, session: Session, dataset: int) -> None:
        """Locks a data set until the transaction ends; SQLite has one writer anyway."""
        if not self.is_sqlite:
            lock = text(f"SELECT pg_advisory_xact_lock({_DATASET_LOCK}, CAST(:dataset AS integer))")
            session.execute(lock, {"dataset": dataset % 2**31})

    def let_others_write(self) -> None:
        """Pauses long enough for waiting writers to get their turn; for SQLite only."""
        if self.is_sqlite:
            time.sleep(_NOTICED)

    def close(self) -> None:
        """Closes the connections."""
        self._engine.dispose()

    def _upgrade(self, writer: Engine) -> None:
        with writer.begin() as connection:
            # Processes that open a new workspace at once take turns; SQLite has one writer anyway.
            if not self.is_sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            migrations.upgrade(connection)


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite:///{path}"


def _with_driver(url: str) -> str:
    for short in ("postgresql://", "postgres://"):
        if url.startswith(short):
            return "postgresql+psycopg://" + url.removeprefix(short)
    return url


def _set_up_sqlite(connection: Any, _: object) -> None:
    # The driver begins transactions too late; `_begin_sqlite` does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    # WAL: readers don't wait for writers. FULL: commits survive a crash of the machine.
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"busy_timeout = {_PATIENCE * 1000}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _set_up_postgresql(connection: Any, _: object) -> None:
    # PostgreSQL assumes that a random read costs four sequential ones, as on spinning disks, and
    # scans whole tables where an index would do. What an operator has set stays.
    autocommit, connection.autocommit = connection.autocommit, True
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config(name, '1.1', false) FROM pg_settings "
            "WHERE name = 'random_page_cost' AND source = 'default'"
        )
    connection.autocommit = autocommit


def _begin_sqlite(connection: Any) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('begin', '')}")


@contextmanager
def _readable_errors() -> Iterator[None]:
    """Turns a database driver's error into one readable line."""
    try:
        yield
    except DBAPIError as error:
        why = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else str(error)
        if "full" in why or "disk I/O" in why or "No space" in why:
            why += ": make room on the disk and try again; nothing that was stored is lost"
        raise WorkspaceError(f"the workspace's database: {why}") from error
