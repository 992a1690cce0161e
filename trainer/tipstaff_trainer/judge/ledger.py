"""The ledger: all questions and replies on disk, so that nothing is paid for twice.

SQLite with a write-ahead log. A reply is committed before anything else happens to it, so a process
that is killed loses only the calls on their way. With `synchronous = NORMAL`, a machine that loses
power may lose the last moments, and asks those questions again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tipstaff_trainer.errors import JudgeError
from tipstaff_trainer.judge.replies import Reply

_SCHEMA = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT NOT NULL,            -- `Question.key`
    number INTEGER NOT NULL,      -- counts the question's replies from 0
    model TEXT NOT NULL,
    text TEXT NOT NULL,
    finish_reason TEXT NOT NULL,
    first_tokens TEXT NOT NULL,   -- JSON
    prompt_tokens INTEGER NOT NULL,
    reply_tokens INTEGER NOT NULL,
    received_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (key, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refusals (  -- questions that the endpoint refused, at no cost
    key TEXT PRIMARY KEY,
    message TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (   -- open batch files
    file TEXT PRIMARY KEY,
    id TEXT NOT NULL DEFAULT '',           -- empty: uploaded, perhaps no batch yet
    base_url TEXT NOT NULL,
    model TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batch_questions (
    file TEXT NOT NULL REFERENCES batches (file),
    key TEXT NOT NULL,
    PRIMARY KEY (key, file)
) WITHOUT ROWID;
"""
_VERSION = 1
# Added since; an older Tipstaff, which doesn't know it, leaves it empty.
_ACCOUNT = "account TEXT NOT NULL DEFAULT ''"


class Ledger:
    """Questions and replies in one SQLite file.

    For one thread; several processes may share the file.

    Args:
        path: The file; created if it doesn't exist.
        exclusive: Keep all other processes out until it is closed: two runs that ask the same
            questions at once would both pay.
        account: Who pays for the replies that are stored from now on, as a job; `spent` counts
            that account's alone.

    Raises:
        JudgeError: The file is not a ledger, can't be written, was written by a newer Tipstaff or
            is in use by another process.
    """

    def __init__(self, path: Path, *, exclusive: bool = False, account: str = "") -> None:
        self.path = path
        self._account = account
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Each statement commits by itself.
            self._db = sqlite3.connect(path, isolation_level=None, timeout=2 if exclusive else 20)
            if exclusive:
                # Must come before the first read to hold for the write-ahead log.
                self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                raise self._unusable("was written by a newer Tipstaff", "use that, or another file")
            self._db.executescript(_SCHEMA)
            self._add_accounts()
            self._db.execute(f"PRAGMA user_version = {_VERSION}")
        except (sqlite3.Error, OSError) as error:
            message = f"can't be used as a ledger: {error}"
            remedy = "make room there, or name another file"
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                message = "another job uses this ledger, and both would pay for the same questions"
                remedy = "wait until it has ended, or name another file"
            raise self._unusable(message, remedy) from None

    def _add_accounts(self) -> None:
        for table in ("replies", "batches"):
            columns = self._db.execute(f"PRAGMA table_info({table})").fetchall()
            if "account" not in {column[1] for column in columns}:
                try:
                    self._db.execute(f"ALTER TABLE {table} ADD COLUMN {_ACCOUNT}")
                except sqlite3.OperationalError as error:
                    # Another process may have added it in the meantime.
                    if "duplicate column" not in str(error):
                        raise

    def _unusable(self, message: str, remedy: str) -> JudgeError:
        return JudgeError(message, field="ledger", value=str(self.path), remedy=remedy)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def replies(self, key: str) -> list[Reply]:
        """All replies to one question, in the order in which they came."""
        rows = self._select(
            "SELECT text, finish_reason, first_tokens, prompt_tokens, reply_tokens "
            "FROM replies WHERE key = ? ORDER BY number",
            key,
        )
        return [
            Reply(text, finish, tuple(json.loads(tokens)), prompt, reply)
            for text, finish, tokens, prompt, reply in rows
        ]

    def add(self, key: str, model: str, replies: Sequence[Reply]) -> None:
        """Stores the replies of one call, all of them or none."""
        with self._transaction():
            self._insert(key, model, replies, self._account)

    def refuse(self, key: str, message: str) -> None:
        """Stores why a question was refused; a later run asks it again."""
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO refusals VALUES (?, ?)", (key, message))

    def refusal(self, key: str) -> str:
        """Why a question was refused; empty if it wasn't."""
        rows = self._select("SELECT message FROM refusals WHERE key = ?", key)
        return rows[0][0] if rows else ""

    def spent(self, model: str) -> tuple[int, int]:
        """The prompt tokens and reply tokens that this ledger's account has paid a model for."""
        sums = "ifnull(sum(prompt_tokens), 0), ifnull(sum(reply_tokens), 0)"
        ((prompt, reply),) = self._select(
            f"SELECT {sums} FROM replies WHERE model = ? AND account = ?", model, self._account
        )
        return prompt, reply

    def open_batch(self, file: str, base_url: str, model: str, keys: Iterable[str]) -> None:
        """Stores the questions of an uploaded batch file."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO batches (file, base_url, model, account) VALUES (?, ?, ?, ?)",
                (file, base_url, model, self._account),
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO batch_questions (file, key) VALUES (?, ?)",
                ((file, key) for key in keys),
            )

    def begin_batch(self, file: str, batch: str) -> None:
        """Stores the batch that was created from a file."""
        with self._writing():
            self._db.execute("UPDATE batches SET id = ? WHERE file = ?", (batch, file))

    def batches(self, base_url: str, model: str) -> list[tuple[str, str]]:
        """The open batches of a model at an endpoint.

        Returns:
            The ids of uploaded files and of their batches; a batch's id is empty while it is
            unknown whether the batch was created.
        """
        return self._select(
            "SELECT file, id FROM batches WHERE base_url = ? AND model = ?", base_url, model
        )

    def batch_questions(self, file: str) -> set[str]:
        """The keys of an open batch's questions."""
        rows = self._select("SELECT key FROM batch_questions WHERE file = ?", file)
        return {key for (key,) in rows}

    def in_batches(self) -> set[str]:
        """The keys of all open batches' questions."""
        return {key for (key,) in self._select("SELECT key FROM batch_questions")}

    def forget_batch(self, file: str) -> None:
        """Forgets an uploaded file without a batch."""
        with self._transaction():
            self._forget(file)

    def collect(
        self, file: str, model: str, outcomes: Iterable[tuple[str, list[Reply] | str]]
    ) -> Iterator[list[Reply]]:
        """Stores a batch's outcomes, replies or why there are none, and closes the batch.

        One transaction: if the process ends before the last outcome, nothing is stored.

        Yields:
            The replies to each question that this ledger's account pays for.
        """
        ((account,),) = self._select("SELECT account FROM batches WHERE file = ?", file)
        with self._transaction():
            for key, outcome in outcomes:
                if isinstance(outcome, str):
                    self.refuse(key, outcome)
                    continue
                self._insert(key, model, outcome, account)
                if account == self._account:
                    yield outcome
            self._forget(file)

    def _select(self, query: str, *values: str) -> list[Any]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise JudgeError(
                f"the ledger {self.path} can't be read: {error}",
                remedy="replace it by a copy, or name another file",
            ) from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Begins a transaction that takes the writer's lock at once: two processes don't clash."""
        # The connection's context commits or rolls back, unless a full disk has done so already.
        with self._writing(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Raises SQLite's errors as `JudgeError`."""
        try:
            yield
        except sqlite3.Error as error:
            raise JudgeError(
                f"the ledger {self.path} can't be written: {error}",
                remedy="what was written before is kept: make room, and run it again",
            ) from None

    def _forget(self, file: str) -> None:
        self._db.execute("DELETE FROM batch_questions WHERE file = ?", (file,))
        self._db.execute("DELETE FROM batches WHERE file = ?", (file,))

    def _insert(self, key: str, model: str, replies: Sequence[Reply], account: str) -> None:
        common = {"key": key, "model": model, "account": account}
        for reply in replies:
            tokens = json.dumps(reply.first_tokens)
            self._db.execute(
                "INSERT INTO replies (key, number, model, text, finish_reason, first_tokens, "
                "prompt_tokens, reply_tokens, account) VALUES (:key, (SELECT count(*) FROM replies "
                "WHERE key = :key), :model, :text, :finish_reason, :first_tokens, :prompt_tokens, "
                ":reply_tokens, :account)",
                asdict(reply) | common | {"first_tokens": tokens},
            )
        self._db.execute("DELETE FROM refusals WHERE key = ?", (key,))
