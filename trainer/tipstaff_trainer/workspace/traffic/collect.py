"""Reads servers' segments into the workspace, each exactly once.

    folder → segments that are new → parsed, outside of any transaction → batches of some thousand
    records, a transaction each

A segment's identity, its rows, its counts and its feedback are written in one transaction: whatever
interrupts it, the segment is there as a whole or not at all. A row that came in another segment
already is left out by its key, evaluator and version.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tipstaff_server.traffic.erase import id_hash, is_erased, read_tombstones
from tipstaff_server.traffic.segments import Record, Segment, list_segments, read_segment
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import TrafficErased, TrafficSegment
from tipstaff_trainer.workspace.db.rows import batched, insert_all
from tipstaff_trainer.workspace.traffic.counts import (
    Counted,
    add_counts,
    parse_counts,
    prune_minutes,
)
from tipstaff_trainer.workspace.traffic.feedback import (
    add_feedback,
    parse_feedback,
    resolve_feedback,
)
from tipstaff_trainer.workspace.traffic.rows import NewRow, add_rows, parse_row

# A server whose clock is further ahead than this is named.
_CLOCK_SECONDS = 300.0
_IDENTITIES_AT_ONCE = 500
# Segments are written together up to so many records: enough to share a commit, and soon over, as
# reviewers wait for it.
_RECORDS_AT_ONCE = 5000


@dataclass
class Collected:
    """What a collection brought.

    Attributes:
        segments: Segments collected.
        rows: Rows, by evaluator.
        repeated: Rows that were there already, from a copied segment.
        erased: Rows and feedback left out, as their requests were erased.
        answers: Answers counted, drawn or not.
        feedback: Pieces of feedback.
        notes: What is odd, in words: damaged segments, clocks that are ahead.
    """

    segments: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    erased: int = 0
    answers: int = 0
    feedback: int = 0
    notes: list[str] = field(default_factory=list)

    def in_words(self) -> str:
        """The numbers in a line, without the notes."""
        parts = [
            f"{self.segments} segments: {self.answers:,} answers counted",
            f"{self.rows.total():,} rows",
            f"{self.feedback:,} pieces of feedback",
        ]
        if self.repeated:
            parts.append(f"{self.repeated:,} rows there already")
        if self.erased:
            parts.append(f"{self.erased:,} erased")
        return ", ".join(parts)


def collect(
    database: Database, folders: Sequence[Path], criteria: Mapping[str, str] | None = None
) -> Collected:
    """Collects what is new in servers' folders; several collectors may run at once.

    Args:
        database: The workspace's database.
        folders: Folders of segments.
        criteria: The criterion that each evaluator judges by, for data sets that are new.

    Raises:
        WorkspaceError: A folder can't be read, or the database can't be written.
    """
    collected = Collected()
    for folder in folders:
        try:
            segments, tombstones = list_segments(folder), read_tombstones(folder)
        except OSError as error:
            raise WorkspaceError(f"{folder}: can't be read: {error.strerror}") from error
        _note_erased(database, tombstones)
        known = _collected(database, segments)
        fresh = (each for each in segments if each.identity not in known)
        for batch in _batches(filter(None, (_parse(each, collected) for each in fresh))):
            _write(database, batch, collected, criteria or {})
            database.let_others_write()
    if collected.segments:
        with database.writing() as session:
            prune_minutes(session, time.time())
    return collected


@dataclass(slots=True)
class _Parsed:
    """A segment's records that can be stored, by kind, each with the record it was parsed from.

    Attributes:
        segment: The segment.
        damage: Why no more of it could be read; empty if all was.
        size: Its records, of any kind.
    """

    segment: Segment
    damage: str
    size: int
    rows: list[tuple[Record, NewRow]] = field(default_factory=list)
    counts: list[Counted] = field(default_factory=list)
    feedback: list[tuple[Record, Mapping[str, Any]]] = field(default_factory=list)


def _parse(segment: Segment, collected: Collected) -> _Parsed | None:
    """Reads a segment; None if it can't be collected, which is noted."""
    try:
        contents = read_segment(segment)
    except FileNotFoundError:
        return None  # deleted by the server meanwhile, as too old
    except OSError as error:
        collected.notes.append(f"{segment.path}: not collected: {error.strerror}")
        return None
    if contents.damage and segment.checksum is not None:
        # Perhaps a copy that is not complete yet: it is tried again next time.
        collected.notes.append(f"{segment.path}: not collected: {contents.damage}")
        return None
    if contents.damage:
        collected.notes.append(
            f"{segment.path}: {len(contents.records)} records up to where it breaks off: "
            f"{contents.damage}"
        )
    parsed = _Parsed(segment, contents.damage, len(contents.records))
    try:
        for record in contents.records:
            kind = record.get("kind")
            if kind == "row":
                parsed.rows.append((record, parse_row(record)))
            elif kind == "counts":
                parsed.counts.append(parse_counts(record))
            elif kind == "feedback":
                parsed.feedback.append((record, parse_feedback(record)))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        collected.notes.append(
            f"{segment.path}: not collected: a record lacks what this Tipstaff reads ({error})"
        )
        return None
    return parsed


def _batches(segments: Iterable[_Parsed]) -> Iterator[list[_Parsed]]:
    batch: list[_Parsed] = []
    size = 0
    for each in segments:
        batch.append(each)
        size += max(1, each.size)
        if size >= _RECORDS_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _write(
    database: Database,
    batch: Sequence[_Parsed],
    collected: Collected,
    criteria: Mapping[str, str],
) -> None:
    with database.writing() as session:
        # One collector at a time; SQLite has one writer anyway.
        database.lock_dataset(session, 0)
        identities = [each.segment.identity for each in batch]
        query = select(TrafficSegment.identity).where(TrafficSegment.identity.in_(identities))
        there = set(session.scalars(query))
        new: dict[str, _Parsed] = {}
        for each in batch:
            # A folder may hold a copy of a segment, and another collector may have come first.
            if each.segment.identity not in there:
                new.setdefault(each.segment.identity, each)
        erased = {each.hash: each.at for each in session.scalars(select(TrafficErased))}
        all_rows = [each for one in new.values() for each in one.rows]
        all_feedback = [each for one in new.values() for each in one.feedback]
        rows = [row for record, row in all_rows if not is_erased(record, erased)]
        feedback = [each for record, each in all_feedback if not is_erased(record, erased)]
        counts = [each for one in new.values() for each in one.counts]
        by_evaluator, repeated = add_rows(session, rows, criteria)
        add_counts(session, counts)
        added = add_feedback(session, feedback)
        resolve_feedback(session, feedback, [row.values for row in rows])
        segments = [
            {"identity": identity, "records": each.size, "damage": each.damage}
            for identity, each in new.items()
        ]
        insert_all(session, TrafficSegment, segments)
    collected.segments += len(new)
    collected.rows.update(by_evaluator)
    collected.repeated += repeated
    collected.erased += len(all_rows) + len(all_feedback) - len(rows) - len(feedback)
    collected.answers += sum(int(sums[0]) for _, _, sums, _ in counts)
    collected.feedback += added
    for each in new.values():
        _check_clock(each, collected)


def _check_clock(parsed: _Parsed, collected: Collected) -> None:
    times = [row.values["at"] for _, row in parsed.rows]
    ahead = max(times, default=0.0) - time.time()
    if ahead > _CLOCK_SECONDS:
        collected.notes.append(f"{parsed.segment.path}: its server's clock is {ahead:.0f} s ahead")


def _collected(database: Database, segments: Sequence[Segment]) -> set[str]:
    identities = [segment.identity for segment in segments]
    known: set[str] = set()
    for some in batched(identities, _IDENTITIES_AT_ONCE):
        query = select(TrafficSegment.identity).where(TrafficSegment.identity.in_(some))
        known.update(database.scalars(query))
    return known


def _note_erased(database: Database, tombstones: Mapping[str, float]) -> None:
    if not tombstones:
        return
    with database.writing() as session:
        values = [{"hash": key, "at": at} for key, at in tombstones.items()]
        insert_all(session, TrafficErased, values, unless_there=True)
        for key, at in tombstones.items():
            later = update(TrafficErased).where(TrafficErased.hash == key, TrafficErased.at < at)
            session.execute(later.values(at=at))


def mark_erased(session: Session, request_ids: Sequence[str], at: float) -> None:
    """Notes that requests were erased, so that no segment brings them back."""
    for request_id in request_ids:
        session.merge(TrafficErased(hash=id_hash(request_id), at=at))
