"""What judges were asked and replied, on disk, so that nothing is paid for twice.

SQLite with a write-ahead log. A reply is committed before anything else happens to it; a process
that is killed loses only the calls that were on their way. `synchronous = NORMAL`: a machine that
loses power may forget the last moments, and asks again.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tipstaff_trainer.errors import JudgeError
from tipstaff_trainer.judge.prompt import Message
from tipstaff_trainer.judge.replies import Reply

_SCHEMA = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT NOT NULL,            -- of the question: `question_key`
    number INTEGER NOT NULL,      -- of the reply to it, from 0
    model TEXT NOT NULL,
    text TEXT NOT NULL,
    finish_reason TEXT NOT NULL,
    first_tokens TEXT NOT NULL,   -- JSON
    prompt_tokens INTEGER NOT NULL,
    reply_tokens INTEGER NOT NULL,
    received_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (key, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refusals (  -- questions that the endpoint refused, for nothing
    key TEXT PRIMARY KEY,
    message TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (   -- batch files on their way
    file TEXT PRIMARY KEY,
    id TEXT NOT NULL DEFAULT '',           -- empty: uploaded, and perhaps not begun
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


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens paid for."""

    prompt_tokens: int = 0
    reply_tokens: int = 0
    replies: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch file on its way.

    Attributes:
        file: The uploaded file's id.
        id: The batch's; empty where it is not known whether one was made.
    """

    file: str
    id: str


class Ledger:
    """Questions and replies in one SQLite file.

    Not for several threads; several processes may share the file.

    Args:
        path: The file; made when it isn't there.
        alone: Keep all other processes out until it is closed: two jobs that ask the same at once
            would both pay for it.

    Raises:
        JudgeError: The file is no ledger, can't be written, is of a newer Tipstaff or is in the
            hands of another process.
    """

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Each statement commits by itself.
            self._db = sqlite3.connect(path, isolation_level=None, timeout=2 if alone else 20)
            if alone:
                # Before anything is read, or it wouldn't hold for the write-ahead log.
                self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                raise JudgeError(f"{path}: written by a newer Tipstaff; use that, or another file")
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version = {_VERSION}")
        except (sqlite3.Error, OSError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                raise JudgeError(
                    f"{path}: another job is at work with this ledger, and both would pay for what "
                    "both ask; wait until it has ended, or name another file"
                ) from None
            raise JudgeError(
                f"{path}: can't be used as a ledger: {error}; make room there, or name another file"
            ) from None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def replies(self, key: str) -> list[Reply]:
        """All replies to one question, in the order they came."""
        found = self._found(
            "SELECT text, finish_reason, first_tokens, prompt_tokens, reply_tokens "
            "FROM replies WHERE key = ? ORDER BY number",
            key,
        )
        return [
            Reply(text, finish, tuple(json.loads(tokens)), prompt, reply)
            for text, finish, tokens, prompt, reply in found
        ]

    def add(self, key: str, model: str, replies: Sequence[Reply]) -> None:
        """Keeps the replies of one call, all of them or none."""
        with self._transaction():
            self._insert(key, model, replies)

    def refuse(self, key: str, message: str) -> None:
        """Keeps why a question was refused; a later job asks it again."""
        with self._plainly():
            self._db.execute("INSERT OR REPLACE INTO refusals VALUES (?, ?)", (key, message))

    def refusal(self, key: str) -> str:
        """Why a question has no reply; empty when it wasn't refused."""
        found = self._found("SELECT message FROM refusals WHERE key = ?", key)
        return found[0][0] if found else ""

    def spent(self, model: str) -> Spent:
        """All that a model was ever paid for through this ledger."""
        found = self._found(
            "SELECT ifnull(sum(prompt_tokens), 0), ifnull(sum(reply_tokens), 0), count(*) "
            "FROM replies WHERE model = ?",
            model,
        )
        return Spent(*found[0])

    def open_batch(self, file: str, base_url: str, model: str, keys: Iterable[str]) -> None:
        """Keeps which questions an uploaded batch file holds."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO batches (file, base_url, model) VALUES (?, ?, ?)",
                (file, base_url, model),
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO batch_questions (file, key) VALUES (?, ?)",
                ((file, key) for key in keys),
            )

    def begin_batch(self, file: str, batch: str) -> None:
        """Keeps the batch that was made of a file."""
        with self._plainly():
            self._db.execute("UPDATE batches SET id = ? WHERE file = ?", (batch, file))

    def batches(self, base_url: str, model: str) -> list[Batch]:
        """The batches on their way."""
        found = self._found(
            "SELECT file, id FROM batches WHERE base_url = ? AND model = ?", base_url, model
        )
        return [Batch(file, batch) for file, batch in found]

    def batch_questions(self, file: str) -> set[str]:
        """The questions of a batch on its way."""
        found = self._found("SELECT key FROM batch_questions WHERE file = ?", file)
        return {key for (key,) in found}

    def in_batches(self) -> set[str]:
        """The questions on their way in any batch."""
        return {key for (key,) in self._found("SELECT key FROM batch_questions")}

    def forget_batch(self, file: str) -> None:
        """Forgets an uploaded file of which no batch was made."""
        with self._transaction():
            self._forget(file)

    def collect(
        self, file: str, model: str, outcomes: Iterable[tuple[str, list[Reply] | str]]
    ) -> Iterator[list[Reply]]:
        """Keeps all that a batch brought, replies or why there are none, and closes the batch.

        All of it or, if the process ends before the last is taken, nothing.

        Yields:
            The replies to each question.
        """
        with self._transaction():
            for key, outcome in outcomes:
                if isinstance(outcome, str):
                    self.refuse(key, outcome)
                else:
                    self._insert(key, model, outcome)
                    yield outcome
            self._forget(file)

    def _found(self, query: str, *values: str) -> list[Any]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise JudgeError(
                f"the ledger {self.path} can't be read: {error}; put a copy of it in its place, "
                "or name another file"
            ) from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing; takes the writer's lock at once, so that two processes don't clash."""
        with self._plainly():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled it back already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        """Turns SQLite's own error into one line for people."""
        try:
            yield
        except sqlite3.Error as error:
            raise JudgeError(
                f"the ledger {self.path} can't be written: {error}; what was written before is "
                "kept: make room, and run it again"
            ) from None

    def _forget(self, file: str) -> None:
        self._db.execute("DELETE FROM batch_questions WHERE file = ?", (file,))
        self._db.execute("DELETE FROM batches WHERE file = ?", (file,))

    def _insert(self, key: str, model: str, replies: Sequence[Reply]) -> None:
        (number,) = self._db.execute(
            "SELECT count(*) FROM replies WHERE key = ?", (key,)
        ).fetchone()
        self._db.executemany(
            "INSERT INTO replies (key, number, model, text, finish_reason, first_tokens, "
            "prompt_tokens, reply_tokens) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    key,
                    number + index,
                    model,
                    reply.text,
                    reply.finish_reason,
                    json.dumps(reply.first_tokens),
                    reply.prompt_tokens,
                    reply.reply_tokens,
                )
                for index, reply in enumerate(replies)
            ],
        )
        self._db.execute("DELETE FROM refusals WHERE key = ?", (key,))


def question_key(model: str, messages: Sequence[Message], sampling: Mapping[str, object]) -> str:
    """SHA-256, in hex, over all that a reply depends on: model, conversation, sampling."""
    content = json.dumps([model, messages, sampling], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
