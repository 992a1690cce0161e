"""Work in the background."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from tipstaff_trainer.workspace.db.models.base import Key, Table, now

JobState = Literal["queued", "running", "done", "failed", "stopped"]
JobKind = Literal["label", "train", "score", "evaluate", "serve"]


class Job(Table):
    """Work in a process of its own.

    Attributes:
        kind: `label`, `train`, `score`, `evaluate` or `serve`.
        title: For people.
        parameters: What to do; a job is resumed by doing it again.
        state: `queued`, `running`, `done`, `failed` or `stopped`.
        host: Where its process runs (`jobs.this_host`); empty where an older Tipstaff started it.
        folder: The workspace's there, with what the job has made so far.
        heard_at: When its process last said that it is alive.
        pid: Of its process.
        pid_started: When that process began, in seconds since 1970: a pid alone is used again.
        done: Of `total`; 0 of 0 where it can't say.
        message: What it is at, or why it ended.
        result: What came of it.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index("jobs_dataset", "dataset_id", "id"), Index("jobs_state", "state"))

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("datasets.id"))
    kind: Mapped[str] = mapped_column(String(8))
    title: Mapped[str] = mapped_column(String(200))
    parameters: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(8), default="queued")
    host: Mapped[str] = mapped_column(Text, default="", server_default="")
    folder: Mapped[str] = mapped_column(Text, default="", server_default="")
    heard_at: Mapped[datetime | None]
    pid: Mapped[int | None]
    pid_started: Mapped[float | None]
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    message: Mapped[str] = mapped_column(Text, default="")
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    author: Mapped[str] = mapped_column(String(80), default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.state in ("queued", "running")
