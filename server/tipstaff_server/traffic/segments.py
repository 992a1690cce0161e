"""The files that traffic is kept in: JSON lines, compressed, sealed with a checksum.

    TIME-WRITER-NUMBER.open                    being written, and locked by its writer
    TIME-WRITER-NUMBER-CHECKSUM.jsonl.gz       sealed: complete, on the disk, never changed again
    TIME-WRITER-NUMBER-half.jsonl.gz           left by a writer that died: readable up to some line

The first line describes the segment; each other line has a `kind`: `row`, `counts` or `feedback`.
Readers ignore kinds and fields that they don't know.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tipstaff_server.disk import sync

FORMAT = 1
OPEN = ".open"
SEALED = ".jsonl.gz"
_HALF = "half"
_NAME = re.compile(r"(\d{8}T\d{6}Z-[0-9a-f]{12}-\d{6})-([0-9a-f]{16}|half)\.jsonl\.gz")
# A line holds the texts of one interaction; a longer one is damage.
_LONGEST_LINE = 2**27
_ENCODER = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed segment.

    Attributes:
        path: Its file.
        identity: Its time, writer and number: the same whatever was erased from it since.
        checksum: The first 16 digits of the file's SHA-256; None for half a segment.
    """

    path: Path
    identity: str
    checksum: str | None


@dataclass(frozen=True, slots=True)
class Contents:
    """What could be read of a segment.

    Attributes:
        records: Its lines after the first.
        damage: Why no more could be read; empty if all was.
    """

    records: list[Record]
    damage: str = ""


def list_segments(folder: Path) -> list[Segment]:
    """The sealed segments of a folder, oldest first.

    Raises:
        OSError: The folder can't be read.
    """
    segments = []
    for path in sorted(folder.iterdir()):
        if match := _NAME.fullmatch(path.name):
            checksum = None if match[2] == _HALF else match[2]
            segments.append(Segment(path, match[1], checksum))
    return segments


def read_segment(segment: Segment) -> Contents:
    """Reads a segment as far as it can be read.

    Raises:
        OSError: The file can't be read at all.
    """
    data = segment.path.read_bytes()
    if segment.checksum is not None and checksum_of(data) != segment.checksum:
        damage = "its checksum differs: it was changed or cut off"
    else:
        damage = "" if segment.checksum else "its writer died before it was complete"
    records: list[Record] = []
    try:
        for line in _lines(data):
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError("not an object")
            records.append(record)
    except (ValueError, zlib.error) as error:
        damage = damage or f"line {len(records) + 1}: {error}"
    if not records or records[0].get("kind") != "segment":
        return Contents([], damage or "it has no first line")
    if (number := records[0].get("format")) != FORMAT:
        return Contents([], f"its format {number} is newer than this Tipstaff reads")
    return Contents(records[1:], damage)


def recover(folder: Path) -> list[Path]:
    """Renames what writers that died left open, so that it can be read.

    Raises:
        OSError: The folder can't be read or changed.
    """
    recovered = []
    for path in folder.glob(f"*{OPEN}"):
        with suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # its writer is alive
            half = path.with_name(f"{path.name.removesuffix(OPEN)}-{_HALF}{SEALED}")
            path.rename(half)
            recovered.append(half)
    return recovered


def checksum_of(data: bytes) -> str:
    """The checksum in a sealed segment's name."""
    return hashlib.sha256(data).hexdigest()[:16]


def seal(data: bytes, folder: Path, identity: str, replaces: Path) -> Path:
    """Writes a segment anew, with its checksum, in place of another file of it.

    Raises:
        OSError: It can't be written; the old file stays.
    """
    part = folder / f".{identity}.part"
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    path = folder / f"{identity}-{checksum_of(data)}{SEALED}"
    part.rename(path)
    if replaces != path:
        replaces.unlink(missing_ok=True)
    sync(folder)
    return path


def pack(records: list[Record]) -> bytes:
    """A segment's bytes: its first line and then records."""
    lines = [{"kind": "segment", "format": FORMAT}, *records]
    return gzip.compress("".join(map(to_line, lines)).encode(), compresslevel=6)


def to_line(record: Record) -> str:
    """One record as a line; lone surrogates, which UTF-8 can't hold, are escaped."""
    return _ENCODER.encode(record) + "\n"


def _lines(data: bytes) -> Iterator[bytes]:
    """The complete lines of compressed data, up to where it ends or breaks."""
    decompressor = zlib.decompressobj(wbits=31)
    rest = b""
    for start in range(0, len(data), 2**16):
        rest += decompressor.decompress(data[start : start + 2**16])
        *lines, rest = rest.split(b"\n")
        yield from lines
        if len(rest) > _LONGEST_LINE:
            raise ValueError("the line is too long")
    if not decompressor.eof:
        raise ValueError("the file ends in the middle")
