"""Criteria, and the named cases kept with them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from tipstaff_trainer.workspace.db.models.base import DatabaseModel, Key, now


class StoredCriterion(DatabaseModel):
    """One version of a criterion. A change adds a version; labels name the version they used.

    Attributes:
        name: As `faithfulness`.
        version: From 1.
        criterion: The criterion in words, as a statement that holds for a good output.
        prompt: The question to the judge; a column's name in braces stands for its text.
        author: The person who saved this version.
    """

    __tablename__ = "criteria"
    __table_args__ = (Index("criteria_name", "name", "version", unique=True),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    criterion: Mapped[str] = mapped_column(Text)
    prompt: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(String(80), default="")
    created_at: Mapped[datetime] = mapped_column(default=now)


class NamedCase(DatabaseModel):
    """A test case for evaluators of a criterion; see `evaluator.cases.Case`.

    Attributes:
        criterion: The criterion's name; a case belongs to all of its versions.
        name: Unique for the criterion.
    """

    __tablename__ = "cases"
    __table_args__ = (Index("cases_name", "criterion", "name", unique=True),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    criterion: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(Text)
    expect: Mapped[str] = mapped_column(String(12))
    input: Mapped[str | None] = mapped_column(Text)
    output: Mapped[str | None] = mapped_column(Text)
    ground_truth: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text, default="")
    author: Mapped[str] = mapped_column(String(80), default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
