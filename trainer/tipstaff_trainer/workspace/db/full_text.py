"""Rows by the words in their texts, with an index of the database's own kind.

SQLite's is FTS5 (https://www.sqlite.org/fts5.html), PostgreSQL's a `tsvector` column. Both take
words apart at everything that is no letter or digit, and know neither case nor grammar.
"""

from __future__ import annotations

import re

from sqlalchemy import Connection, TextClause, inspect, text
from sqlalchemy.orm import Session

_WORD = re.compile(r"[^\W_]+")
_MOST_WORDS = 12
# A tsvector holds 2**20 bytes at most.
_POSTGRES_CHARACTERS = 150_000
# Else PostgreSQL takes an address for one word. Other scripts' signs it knows by itself, where
# `[:alnum:]` would go by the database's locale.
_ASCII_SIGNS = r"[!-/:-@\[-`{-~]+"
_FIELDS = "input, output, ground_truth"


def set_up(connection: Connection) -> None:
    """Makes the index where there is none, also of rows that are there already."""
    if connection.dialect.name == "sqlite":
        if not inspect(connection).has_table("rows_text"):
            # The rows' own texts are searched; only where each word is, is kept beside them.
            connection.execute(
                text(
                    f"CREATE VIRTUAL TABLE rows_text USING fts5({_FIELDS}, content='rows', "
                    "content_rowid='id', detail='none', tokenize='unicode61 remove_diacritics 2')"
                )
            )
            connection.execute(text("INSERT INTO rows_text(rows_text) VALUES ('rebuild')"))
        return
    columns = {column["name"] for column in inspect(connection).get_columns("rows")}
    if "words" not in columns:
        fields = " || ' ' || ".join(
            f"coalesce({name}, '')" for name in ("output", "input", "ground_truth")
        )
        connection.execute(
            text(
                "ALTER TABLE rows ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector("
                f"'simple', regexp_replace(left({fields}, {_POSTGRES_CHARACTERS}), "
                f"'{_ASCII_SIGNS}', ' ', 'g'))) STORED"
            )
        )
        connection.execute(text("CREATE INDEX rows_words ON rows USING gin (words)"))


def add(session: Session, dataset: int, first: int, last: int) -> None:
    """Takes rows of some positions into the index; PostgreSQL does so by itself."""
    if session.get_bind().dialect.name == "sqlite":
        session.execute(
            text(
                f"INSERT INTO rows_text(rowid, {_FIELDS}) SELECT id, {_FIELDS} FROM rows "
                "WHERE dataset_id = :dataset AND position BETWEEN :first AND :last"
            ),
            {"dataset": dataset, "first": first, "last": last},
        )


def forget(session: Session, dataset: int, first: int, last: int) -> None:
    """Takes rows of some positions out of the index, before they are deleted."""
    if session.get_bind().dialect.name == "sqlite":
        session.execute(
            text(
                f"INSERT INTO rows_text(rows_text, rowid, {_FIELDS}) "
                f"SELECT 'delete', id, {_FIELDS} FROM rows "
                "WHERE dataset_id = :dataset AND position BETWEEN :first AND :last"
            ),
            {"dataset": dataset, "first": first, "last": last},
        )


def holding(words: str, dataset: int, *, sqlite: bool) -> TextClause | None:
    """The condition that a row of a data set holds all of some words, or words that begin so.

    Returns:
        None where there is no word among them.
    """
    wanted = _WORD.findall(words)[:_MOST_WORDS]
    if not wanted:
        return None
    if not sqlite:
        # PostgreSQL guesses whether to try rows by position or to ask the index. The former takes a
        # fifth of a second for 100,000 rows at most; to fetch and sort all that is found, seconds.
        query = " & ".join(f"{word}:*" for word in wanted)
        return text("rows.words @@ to_tsquery('simple', :words)").bindparams(words=query)
    query = " ".join(f'"{word}"*' for word in wanted)
    # The plus keeps SQLite from fetching each row that is found, to sort them afterwards. Ids rise
    # with positions, so that other data sets' rows needn't be looked at.
    condition = """
        +rows.id IN (
            SELECT rowid FROM rows_text WHERE rows_text MATCH :words
            AND rowid >= (SELECT id FROM rows WHERE dataset_id = :searched
                          ORDER BY position LIMIT 1)
            AND rowid <= (SELECT id FROM rows WHERE dataset_id = :searched
                          ORDER BY position DESC LIMIT 1))"""
    return text(condition).bindparams(words=query, searched=dataset)
