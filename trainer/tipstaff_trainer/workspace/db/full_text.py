"""Full-text search of rows, with the database's own index.

SQLite's index is FTS5 (https://www.sqlite.org/fts5.html), PostgreSQL's a `tsvector` column; the
migrations create both. Both split words at everything that is neither a letter nor a digit, and
ignore case and grammar.
"""

from __future__ import annotations

import re

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

_WORD = re.compile(r"[^\W_]+")
_MOST_WORDS = 12
_FIELDS = "input, output, ground_truth"


def add(session: Session, dataset: int, first: int, last: int) -> None:
    """Adds a range of positions to the index; PostgreSQL does so by itself."""
    _write(session, f"(rowid, {_FIELDS}) SELECT id, {_FIELDS}", dataset, first, last)


def remove(session: Session, dataset: int, first: int, last: int) -> None:
    """Removes a range of positions from the index, before the rows are deleted."""
    values = f"(rows_text, rowid, {_FIELDS}) SELECT 'delete', id, {_FIELDS}"
    _write(session, values, dataset, first, last)


def _write(session: Session, values: str, dataset: int, first: int, last: int) -> None:
    if session.get_bind().dialect.name == "sqlite":
        statement = text(
            f"INSERT INTO rows_text{values} FROM rows "
            "WHERE dataset_id = :dataset AND position BETWEEN :first AND :last"
        )
        session.execute(statement, {"dataset": dataset, "first": first, "last": last})


def contains(words: str, dataset: int, *, sqlite: bool) -> TextClause | None:
    """The SQL condition that a row's texts contain all of the words, or words that begin with them.

    Returns:
        None if `words` has no word to search for.
    """
    terms = _WORD.findall(words)[:_MOST_WORDS]
    if not terms:
        return None
    if not sqlite:
        # PostgreSQL chooses between scanning rows by position, which takes at most a fifth of a
        # second for 100,000 rows, and the index, where fetching and sorting all matches can take
        # seconds.
        query = " & ".join(f"{word}:*" for word in terms)
        return text("rows.words @@ to_tsquery('simple', :words)").bindparams(words=query)
    query = " ".join(f'"{word}"*' for word in terms)
    # The plus keeps SQLite from fetching every match to sort them afterwards. Ids rise with
    # positions, so that matches in other data sets can be skipped.
    condition = """
        +rows.id IN (
            SELECT rowid FROM rows_text WHERE rows_text MATCH :words
            AND rowid >= (SELECT id FROM rows WHERE dataset_id = :searched
                          ORDER BY position LIMIT 1)
            AND rowid <= (SELECT id FROM rows WHERE dataset_id = :searched
                          ORDER BY position DESC LIMIT 1))"""
    return text(condition).bindparams(words=query, searched=dataset)
