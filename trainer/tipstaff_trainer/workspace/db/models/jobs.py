"""Background jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from tipstaff_trainer.workspace.db.models.base import DatabaseModel, Key, now

JobState = Literal["queued", "running", "done", "failed", "stopped"]
JobKind = Literal["label", "train", "score", "evaluate", "serve"]


class Job(DatabaseModel):
    """A job, which runs in a process of its own.

    Attributes:
        kind: `label`, `train`, `score`, `evaluate` or `serve`.
        title: The job in words, for people.
        parameters: The job's request; resuming a job runs the same request again.
        state: `queued`, `running`, `done`, `failed` or `stopped`.
        pid: The process's id.
        pid_started: When that process started, in seconds since 1970: the system reuses pids.
        done: Rows or steps that are done, out of `total`; both are 0 where a job can't count.
        message: The current step, or why the job ended.
        result: What the job produced.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index("jobs_dataset", "dataset_id", "id"), Index("jobs_state", "state"))

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("datasets.id"))
    kind: Mapped[str] = mapped_column(String(8))
    title: Mapped[str] = mapped_column(String(200))
    parameters: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(8), default="queued")
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

    def __repr__(self) -> str:
        step = f", {self.message!r}" if self.message else ""
        return f"Job(id={self.id}, {self.title!r}, {self.state}{step})"
