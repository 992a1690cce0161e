"""What servers keep of their traffic, once it is collected.

The texts of a row of traffic are a row of a data set, so that it is reviewed, searched and trained
on like any other. Times are in seconds since 1970, as the servers write them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from tipstaff_trainer.workspace.db.models.base import DatabaseModel, now

MINUTE = 60
HOUR = 3600
DAY = 86400


class TrafficSource(DatabaseModel):
    """An evaluator's traffic.

    Attributes:
        dataset_id: The data set of its rows.
    """

    __tablename__ = "traffic_sources"

    evaluator: Mapped[str] = mapped_column(String(64), primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))


class TrafficSegment(DatabaseModel):
    """A segment that was collected, so that it never is again.

    Attributes:
        identity: Its time, writer and number.
        records: Its records.
        damage: Why not all of it could be read; empty if all was.
    """

    __tablename__ = "traffic_segments"

    identity: Mapped[str] = mapped_column(String(40), primary_key=True)
    records: Mapped[int]
    damage: Mapped[str] = mapped_column(Text, default="")
    collected_at: Mapped[datetime] = mapped_column(default=now)


class TrafficRow(DatabaseModel):
    """One answer that was drawn to be kept.

    Attributes:
        key: The row's id, made by the server.
        row_id: The row with its texts.
        request_id: The caller's id, which others may share.
        at: When it was answered.
        day: The days from 1970 until then.
        band: The tenth of the score, from 0.
        probability: That with which it was drawn.
        rank: The draw divided by the probability, in [0, 1); rows are reviewed in this order.
        policy: The version of the rates and the salt.
        seconds: From arrival to answer.
        coverage: The least share of a field's tokens that was scored.
    """

    __tablename__ = "traffic_rows"
    __table_args__ = (
        Index("traffic_rows_at", "evaluator", "at"),
        Index("traffic_rows_rank", "evaluator", "day", "rank"),
        Index("traffic_rows_request", "evaluator", "request_id"),
        Index("traffic_rows_row", "row_id"),
    )

    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    evaluator: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    row_id: Mapped[int] = mapped_column(ForeignKey("rows.id"))
    request_id: Mapped[str] = mapped_column(Text)
    at: Mapped[float]
    day: Mapped[int]
    caller: Mapped[str] = mapped_column(String(80))
    verdict: Mapped[str] = mapped_column(String(8))
    band: Mapped[int]
    score: Mapped[float]
    logit: Mapped[float | None]
    probability: Mapped[float]
    rank: Mapped[float]
    policy: Mapped[str] = mapped_column(String(12))
    engine: Mapped[str] = mapped_column(String(32))
    ood: Mapped[float | None]
    coverage: Mapped[float]
    seconds: Mapped[float | None]
    cached: Mapped[bool]
    reasons: Mapped[list[str]]
    attributes: Mapped[dict[str, Any]]


class TrafficCount(DatabaseModel):
    """Counts of all answers of a stratum in a minute, an hour or a day, kept or not.

    Attributes:
        span: Seconds that it covers: a minute, an hour or a day.
        start: When these begin.
        n: Answers.
        drawn: Of these, those drawn to be kept.
        dropped: Of the drawn, those that were lost.
        expected_bad: The sum of 1 − score.
        expected_bad_squared: The sum of its square.
        seconds: Sum of the times from arrival to answer.
    """

    __tablename__ = "traffic_counts"
    evaluator: Mapped[str] = mapped_column(String(64), primary_key=True)
    span: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    caller: Mapped[str] = mapped_column(String(80), primary_key=True)
    verdict: Mapped[str] = mapped_column(String(8), primary_key=True)
    band: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    n: Mapped[int] = mapped_column(BigInteger)
    drawn: Mapped[int] = mapped_column(BigInteger)
    dropped: Mapped[int] = mapped_column(BigInteger)
    expected_bad: Mapped[float]
    expected_bad_squared: Mapped[float]
    seconds: Mapped[float]


class TrafficHour(DatabaseModel):
    """The verdicts of an hour, of all callers and scores together: what spikes are found in.

    Attributes:
        start: When the hour begins.
    """

    __tablename__ = "traffic_hours"

    evaluator: Mapped[str] = mapped_column(String(64), primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    verdict: Mapped[str] = mapped_column(String(8), primary_key=True)
    n: Mapped[int] = mapped_column(BigInteger)
    expected_bad: Mapped[float]
    expected_bad_squared: Mapped[float]


class TrafficPolicy(DatabaseModel):
    """When rows were drawn by a version of the rates and the salt.

    Attributes:
        first_at: The time of its first row.
        last_at: The time of its last row.
    """

    __tablename__ = "traffic_policies"

    evaluator: Mapped[str] = mapped_column(String(64), primary_key=True)
    policy: Mapped[str] = mapped_column(String(12), primary_key=True)
    first_at: Mapped[float]
    last_at: Mapped[float]


class TrafficAttribute(DatabaseModel):
    """An attribute of a kept row, to find the rows with a value of it."""

    __tablename__ = "traffic_attributes"
    __table_args__ = (Index("traffic_attributes_row", "key"),)

    evaluator: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(256), primary_key=True)
    at: Mapped[float] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class TrafficReason(DatabaseModel):
    """How many answers of an hour had a reason.

    Attributes:
        start: When the hour begins.
    """

    __tablename__ = "traffic_reasons"

    evaluator: Mapped[str] = mapped_column(String(64), primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    caller: Mapped[str] = mapped_column(String(80), primary_key=True)
    reason: Mapped[str] = mapped_column(String(32), primary_key=True)
    n: Mapped[int] = mapped_column(BigInteger)


class TrafficFeedback(DatabaseModel):
    """What somebody, or something downstream, found of an output; the latest of each source.

    Attributes:
        server_key: The row that the server knew it to be about; empty if it knew none.
        key: The collected row that it is about; None while there is none.
    """

    __tablename__ = "traffic_feedback"
    __table_args__ = (
        Index("traffic_feedback_key", "evaluator", "key"),
        Index("traffic_feedback_at", "evaluator", "at"),
    )

    evaluator: Mapped[str] = mapped_column(String(64), primary_key=True)
    request_id: Mapped[str] = mapped_column(Text, primary_key=True)
    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    good: Mapped[bool]
    note: Mapped[str] = mapped_column(Text)
    at: Mapped[float]
    server_key: Mapped[str] = mapped_column(String(32))
    key: Mapped[str | None] = mapped_column(String(32))


class TrafficErased(DatabaseModel):
    """A request whose rows were erased, so that no later segment brings them back.

    Attributes:
        hash: The SHA-256 of the request's id.
        at: Rows up to this time are erased.
    """

    __tablename__ = "traffic_erased"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[float]
