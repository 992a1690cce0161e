"""Erases what a request's id names from a folder of traffic, also from what is sealed later."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tipstaff_server.traffic.segments import (
    OPEN,
    Record,
    list_segments,
    pack,
    read_segment,
    seal,
)

# Lists what was erased, as hashes of the ids with the time of each: rows that came before are
# erased as soon as their segment is sealed, and collectors skip them.
TOMBSTONES = "erased.jsonl"


@dataclass(frozen=True, slots=True)
class Erased:
    """What erasing has done in one folder.

    Attributes:
        rows: Rows erased.
        feedback: Pieces of feedback erased.
        segments: Segments that were written anew.
        open: Segments that servers are still writing; they are cleaned when they are sealed.
        unreadable: Damaged segments, which may still hold something.
    """

    rows: int
    feedback: int
    segments: int
    open: int
    unreadable: tuple[str, ...]


def id_hash(request_id: str) -> str:
    """What a tombstone holds in place of the id, which may name a person."""
    return hashlib.sha256(request_id.encode("utf-8", "replace")).hexdigest()


def erase(folder: Path, request_ids: Collection[str]) -> Erased:
    """Erases all rows and feedback of some requests, up to now.

    Raises:
        OSError: The folder can't be read or written; calling it again goes on.
    """
    now = time.time()
    with (folder / TOMBSTONES).open("a", encoding="utf-8") as file:
        for request_id in request_ids:
            file.write(json.dumps({"id": id_hash(request_id), "at": now}) + "\n")
    return _clean(folder, read_tombstones(folder))


def erase_tombstones(folder: Path) -> None:
    """Erases from sealed segments what was asked for while they were written."""
    if tombstones := read_tombstones(folder):
        _clean(folder, tombstones)


def read_tombstones(folder: Path) -> dict[str, float]:
    """When each id was erased last, by `id_hash`; empty without any.

    Raises:
        OSError: The list can't be read.
    """
    path = folder / TOMBSTONES
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {entry["id"]: float(entry["at"]) for entry in map(json.loads, lines)}


def is_erased(record: Record, tombstones: Mapping[str, float]) -> bool:
    """Whether a row or feedback was erased: others may bear the same id since."""
    if record.get("kind") not in ("row", "feedback"):
        return False
    erased_at = tombstones.get(id_hash(str(record.get("request", ""))))
    return erased_at is not None and float(record.get("at", 0)) <= erased_at


def _clean(folder: Path, tombstones: Mapping[str, float]) -> Erased:
    rows = feedback = rewritten = 0
    unreadable = []
    for segment in list_segments(folder):
        contents = read_segment(segment)
        if contents.damage and segment.checksum is not None:
            unreadable.append(segment.path.name)
            continue
        erased = [each for each in contents.records if is_erased(each, tombstones)]
        if not erased:
            continue
        kept = [each for each in contents.records if not is_erased(each, tombstones)]
        seal(pack(kept), folder, segment.identity, segment.path)
        rows += sum(each["kind"] == "row" for each in erased)
        feedback += sum(each["kind"] == "feedback" for each in erased)
        rewritten += 1
    still_open = sum(1 for _ in folder.glob(f"*{OPEN}"))
    return Erased(rows, feedback, rewritten, still_open, tuple(unreadable))
