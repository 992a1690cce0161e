"""What a workspace remembers, as tables.

    Dataset ◀─ Row ◀─┬─ Label        by a criterion, only ever added
     ▲  ▲            ├─ RowLabel     what stands of a row's labels by one criterion
     │  │            ├─ ReviewItem   a row that waits for a person by one, or was seen by one
     │  │            └─ RowScore     what an evaluator's version says of a row
     │  └──────────────── LabelSet   a data set's labels by one criterion, counted
     └─────────────────── Job        work in the background

    Criterion, NamedCase             all else knows a criterion by its name

The same rows may be judged by several criteria, and none of them sees another's labels. What stands
of a row's labels and how many a data set has are written in the same transaction as the label, so
that no page has to scan for them.

Tables grow by adding: columns with a `server_default`, indexes and tables. `upgrading` puts them
into a workspace that was made before they were, and moves what is elsewhere by now.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    and_,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

JobState = Literal["queued", "running", "done", "failed", "stopped"]
JobKind = Literal["label", "train", "score", "evaluate", "serve"]

_NOT_DONE = text("state <> 'done'")
# SQLite counts rows up by itself only where the key is an INTEGER.
_Key = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Gives the moment its zone back."""
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


class Table(DeclarativeBase):
    """The base of all tables."""

    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


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

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
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

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    criterion: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(Text)
    expect: Mapped[str] = mapped_column(String(12))
    input: Mapped[str | None] = mapped_column(Text)
    output: Mapped[str | None] = mapped_column(Text)
    ground_truth: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text, default="")
    author: Mapped[str] = mapped_column(String(80), default="")
    created_at: Mapped[datetime] = mapped_column(default=now)


class Dataset(Table):
    """Rows to be judged, by one criterion or several.

    Attributes:
        name: Unique among the data sets.
        state: `loading` until all its rows are there, then `ready`; `archived` where it is laid
            aside, `deleted` until nothing is left of it.
        file: The name of the file they came from, as its owner calls it.
        fields: The fields that its rows have.
        extra: The names of its other columns.
        notes: What its owner should know about how the file was read.
        rows: How many there are.
        test: Rows that were split off for testing, whatever they are judged by.
        label_sets: Its labels, by criterion: at least one set, in the order they were added.
    """

    __tablename__ = "datasets"

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    state: Mapped[str] = mapped_column(String(8), default="ready", server_default="ready")
    file: Mapped[str] = mapped_column(String(200), default="")
    fields: Mapped[list[str]]
    extra: Mapped[list[str]]
    notes: Mapped[list[str]] = mapped_column(default=list)
    rows: Mapped[int] = mapped_column(default=0)
    test: Mapped[int] = mapped_column(default=0)
    author: Mapped[str] = mapped_column(String(80), default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    label_sets: Mapped[list[LabelSet]] = relationship(
        viewonly=True, lazy="selectin", order_by="LabelSet.created_at, LabelSet.criterion"
    )


class LabelSet(Table):
    """A data set's labels by one criterion.

    Attributes:
        criterion: The name of what is judged, whatever the version; empty where nobody has said
            what the labels of a file were given by, or there is no label yet.
        labelled: The rows with a label that stands.
        human: Of those, the ones whose label is a person's.
        judge: Of those, the ones whose label is a judge's.
        good: Of those, the ones whose label is 0.5 or more.
        disputed: Rows that people labelled differently.
        dataset: Whose rows they are.
    """

    __tablename__ = "label_sets"

    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    criterion: Mapped[str] = mapped_column(String(64), primary_key=True)
    labelled: Mapped[int] = mapped_column(default=0)
    human: Mapped[int] = mapped_column(default=0)
    judge: Mapped[int] = mapped_column(default=0)
    good: Mapped[int] = mapped_column(default=0)
    disputed: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    dataset: Mapped[Dataset] = relationship(viewonly=True, lazy="joined")

    def of(self, table: type[Label | ReviewItem | RowLabel]) -> ColumnElement[bool]:
        """The condition that something belongs to these labels."""
        return and_(table.dataset_id == self.dataset_id, table.criterion == self.criterion)

    @property
    def title(self) -> str:
        """For people: the data set, and the criterion where it has several."""
        if len(self.dataset.label_sets) == 1:
            return self.dataset.name
        return f"{self.dataset.name}, {self.criterion or 'no criterion'}"


class Row(Table):
    """One interaction of a data set.

    Attributes:
        position: In the data set, from 0; pages go by it.
        key: The interaction's id, as given or `content_id`.
        part: `test` where it was split off for testing, else `train`.
    """

    __tablename__ = "rows"
    __table_args__ = (
        Index("rows_position", "dataset_id", "position", unique=True),
        Index("rows_key", "dataset_id", "key", unique=True),
        Index("rows_part", "dataset_id", "part", "position"),
    )

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    position: Mapped[int]
    key: Mapped[str] = mapped_column(Text)
    input: Mapped[str | None] = mapped_column(Text)
    output: Mapped[str | None] = mapped_column(Text)
    ground_truth: Mapped[str | None] = mapped_column(Text)
    weight: Mapped[float] = mapped_column(default=1.0)
    group: Mapped[str] = mapped_column("row_group", Text, default="")
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)
    part: Mapped[str] = mapped_column(String(8), default="train")


class RowLabel(Table):
    """What stands of a row's labels by one criterion; there from the first of them on.

    Attributes:
        dataset_id: The row's, as is `position`: pages of rows with some label go by them.
        label: What stands (`labels.standing`); None where nothing does any more.
        label_source: Who it is from: `human`, `judge`, `other`; empty where none stands.
        selection: How the row came to be labelled.
        disputed: Whether people labelled it differently.
        judge_label: The judge's latest label; None where it gave none.
        last_label: The latest label's id: what a reviewer's label is over.
    """

    __tablename__ = "row_labels"
    __table_args__ = (
        Index("row_labels_source", "dataset_id", "criterion", "label_source", "position"),
        Index("row_labels_disputed", "dataset_id", "criterion", "disputed", "position"),
    )

    row_id: Mapped[int] = mapped_column(ForeignKey("rows.id"), primary_key=True)
    criterion: Mapped[str] = mapped_column(String(64), primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    position: Mapped[int]
    label: Mapped[float | None]
    label_source: Mapped[str] = mapped_column(String(8), default="")
    selection: Mapped[str] = mapped_column(String(12), default="unknown")
    disputed: Mapped[bool] = mapped_column(default=False)
    judge_label: Mapped[float | None]
    last_label: Mapped[int] = mapped_column(BigInteger, default=0)


class Label(Table):
    """One label, as somebody gave it; never changed, never removed.

    Attributes:
        criterion: The name of what was judged; see `LabelSet`.
        value: In [0, 1]; None takes back the same person's labels before it.
        source: `human`, `judge` or `other`.
        who: The person, the judge's model, or the file.
        over: The latest label that whoever gave this one had seen, 0 for none.
        crossed: Whether another label had come meanwhile, which this one was not given over.
        reason: The judge's, or a person's note.
        details: What else is known, as the kind of soft label and the prompt's hash.
    """

    __tablename__ = "labels"
    __table_args__ = (
        Index("labels_row", "row_id", "id"),
        Index("labels_who", "dataset_id", "source", "who"),
    )

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    row_id: Mapped[int] = mapped_column(ForeignKey("rows.id"))
    criterion: Mapped[str] = mapped_column(String(64), default="", server_default="")
    value: Mapped[float | None]
    source: Mapped[str] = mapped_column(String(8))
    who: Mapped[str] = mapped_column(String(200))
    selection: Mapped[str] = mapped_column(String(12), default="unknown")
    over: Mapped[int] = mapped_column(BigInteger, default=0)
    crossed: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str] = mapped_column(Text, default="")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)


class ReviewItem(Table):
    """A row in the review queue of one criterion.

    Attributes:
        criterion: The name of what a person is to judge; see `LabelSet`.
        selection: Why a person should see it: `pilot`, `uncertain`, `disputed` or `random`.
        why: What was said of it that makes it so, in words; empty where nothing was.
        rank: Its place in the queue, the lowest first.
        state: `waiting`, `done` or `skipped`.
        holder: Who has it on their screen, and until when (`held_until`); then others may have it.
    """

    __tablename__ = "review_items"
    __table_args__ = (
        Index("review_items_place", "dataset_id", "criterion", "state", "rank"),
        Index("review_items_row", "row_id"),
        # A row is asked about once at a time; it may come again when somebody has seen it.
        Index(
            "review_items_once",
            *("row_id", "criterion"),
            unique=True,
            sqlite_where=_NOT_DONE,
            postgresql_where=_NOT_DONE,
        ),
    )

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    row_id: Mapped[int] = mapped_column(ForeignKey("rows.id"))
    criterion: Mapped[str] = mapped_column(String(64), default="", server_default="")
    selection: Mapped[str] = mapped_column(String(12))
    why: Mapped[str] = mapped_column(Text, default="", server_default="")
    rank: Mapped[int]
    state: Mapped[str] = mapped_column(String(8), default="waiting")
    holder: Mapped[str] = mapped_column(String(80), default="")
    held_until: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class RowScore(Table):
    """What a version of an evaluator says of a row, kept to choose rows for review by.

    Attributes:
        evaluator: Its name; `~` and a criterion for what the other rows' labels by that say,
            which no evaluator does.
        version: Its version; 0 where it is none.
        score: In [0, 1]; None where it reads nothing that the row has.
    """

    __tablename__ = "scores"
    __table_args__ = (Index("scores_row", "row_id"),)

    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    evaluator: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    row_id: Mapped[int] = mapped_column(ForeignKey("rows.id"), primary_key=True)
    score: Mapped[float | None]


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

    id: Mapped[int] = mapped_column(_Key, primary_key=True)
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
