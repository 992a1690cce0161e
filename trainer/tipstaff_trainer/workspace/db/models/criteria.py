"""What is judged, and the cases that evaluators of it are held to."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from tipstaff_trainer.workspace.db.models.base import Key, Table, now


class Criterion(Table):
    """What is judged, in words. A change is a new version; labels say which one they were given by.

    Attributes:
        name: As `faithfulness`.
        version: From 1.
        criterion: What is judged, in words.
        prompt: The judge's question, with the names of columns in braces.
        author: Who wrote this version.
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


class NamedCase(Table):
    """What evaluators for a criterion must or must not let through; see `evaluator.cases.Case`.

    Attributes:
        criterion: The name of the criterion that it is kept with, whatever the version.
        name: No other of the criterion has it.
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
