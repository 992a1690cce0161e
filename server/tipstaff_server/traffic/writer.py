"""Writes records to segments, in one thread of its own."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import logging
import os
import secrets
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tipstaff_server.disk import sync
from tipstaff_server.traffic.erase import erase_tombstones
from tipstaff_server.traffic.records import Drawn, Feedback
from tipstaff_server.traffic.segments import (
    FORMAT,
    OPEN,
    SEALED,
    Record,
    list_segments,
    recover,
    to_line,
)

log = logging.getLogger(__name__)

# A crash loses what came since the last flush: rows and feedback, and counts, which wait longer.
_FLUSH_SECONDS = 2.0
_COUNTS_SECONDS = 10.0
# Texts are short, and segments are kept for days: higher levels take twice the time for a tenth.
_LEVEL = 1
# After the disk has failed, until it is tried again.
_RETRY_SECONDS = 10.0
_SEGMENT_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept.

    Attributes:
        queue: Most records that wait to be written.
        segment_seconds: Age at which a segment is sealed.
        max_bytes: Size of the folder's segments above which the oldest are deleted.
        max_days: Age above which a segment is deleted.
    """

    queue: int = 1024
    segment_seconds: float = 60.0
    max_bytes: int = 2**30
    max_days: float = 30.0


class SegmentWriter:
    """Takes records from any thread and writes them; never blocks and never raises.

    Args:
        folder: The folder of segments; created if it doesn't exist.
        limits: How much is kept.
        header: What the first line of each segment says of its writer.
        record: Makes the record of a row or of feedback, in the writer's thread.
        collect_counts: The counts since it was called last, as records.
        on_lost: Called with each row and each record of counts that could not be written.

    Attributes:
        keeping: Whether the last write succeeded.
        deleted: Segments deleted by age or size.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        header: Record,
        *,
        record: Callable[[Drawn | Feedback], Record],
        collect_counts: Callable[[], list[Record]],
        on_lost: Callable[[Drawn | Record], None],
    ) -> None:
        self.keeping = True
        self.deleted = 0
        self._folder = folder
        self._limits = limits
        self._header = {"kind": "segment", "format": FORMAT, **header}
        self._record = record
        self._collect_counts = collect_counts
        self._counts_at = time.monotonic() + _COUNTS_SECONDS
        self._on_lost = on_lost
        self._queue: deque[Drawn | Feedback] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._identity = secrets.token_hex(6)
        self._number = 0
        self._segment: _OpenSegment | None = None
        self._retry_at = 0.0
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._thread.start()

    def put(self, subject: Drawn | Feedback) -> bool:
        """Queues a row or feedback; False if the queue is full or nothing can be written."""
        if not self.keeping or len(self._queue) >= self._limits.queue:
            return False
        self._queue.append(subject)
        return True

    @property
    def waiting(self) -> int:
        """Records in the queue."""
        return len(self._queue)

    def close(self, seconds: float = 5.0) -> None:
        """Writes and seals what is there, for so many seconds at most."""
        self._closing = True
        self._wake.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        self._try(self._recover)
        while not self._closing:
            # No signal for each record: waking up for every one would cost more than writing it.
            self._wake.wait(_FLUSH_SECONDS)
            self._guarded_step()
        self._guarded_step(last=True)

    def _guarded_step(self, *, last: bool = False) -> None:
        try:
            self._step(last=last)
        except BaseException as error:
            self._note_failure(error)

    def _step(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if not last and now < self._retry_at:
            return
        segment = self._segment
        ends = segment is not None and (
            segment.size > _SEGMENT_BYTES or now - segment.started > self._limits.segment_seconds
        )
        counts: list[Record] = []
        # Counts are as many as rows where traffic is thin, so they are written less often.
        if last or ends or now >= self._counts_at or not self.keeping:
            counts, self._counts_at = self._collect_counts(), now + _COUNTS_SECONDS
        subjects = []
        while self._queue:
            subjects.append(self._queue.popleft())
        if not self._try(lambda: self._write(subjects, counts)):
            self._lose(subjects, counts)
        if self._segment is not None and (last or ends):
            self._try(self._seal)

    def _lose(self, subjects: list[Drawn | Feedback], counts: list[Record]) -> None:
        """Keeps feedback, which was promised, for the next try; accounts for all else."""
        self._queue.extendleft(each for each in reversed(subjects) if isinstance(each, Feedback))
        for subject in subjects:
            if isinstance(subject, Drawn):
                self._on_lost(subject)
        for count in counts:
            self._on_lost(count)

    def _write(self, subjects: list[Drawn | Feedback], counts: list[Record]) -> None:
        if not subjects and not counts:
            if not self.keeping:
                # Nothing says whether the disk is well again but writing to it.
                self._open().flush()
            return
        segment = self._segment or self._open()
        failed: list[Drawn | Feedback] = []
        for each in subjects:
            try:
                record = self._record(each)
            except BaseException:
                log.exception("traffic: a row can't be written")
                if isinstance(each, Drawn):
                    failed.append(each)
                continue
            # One at a time: compressing lets other threads run.
            segment.write(record)
        for record in counts:
            segment.write(record)
        segment.flush()
        # Not before: if the segment can't be written, all subjects are lost together.
        self._lose(failed, [])

    def _open(self) -> _OpenSegment:
        self._number += 1
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        name = f"{stamp}-{self._identity}-{self._number:06d}"
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self.keeping:
            recover(self._folder)
        self._segment = _OpenSegment(self._folder, name, self._header)
        return self._segment

    def _seal(self) -> None:
        segment, self._segment = self._segment, None
        assert segment is not None
        segment.seal()
        erase_tombstones(self._folder)
        self._retain()

    def _retain(self) -> None:
        """Deletes the oldest segments beyond the limits."""
        sized = []
        for each in list_segments(self._folder):
            # Another server of this folder may have deleted it.
            with suppress(FileNotFoundError):
                sized.append((each.path, each.path.stat()))
        total = sum(stat.st_size for _, stat in sized)
        oldest = time.time() - self._limits.max_days * 86400
        for path, stat in sized:
            if total <= self._limits.max_bytes and stat.st_mtime >= oldest:
                break
            path.unlink(missing_ok=True)
            total -= stat.st_size
            self.deleted += 1

    def _recover(self) -> None:
        if self._folder.is_dir():
            for path in recover(self._folder):
                log.warning("traffic: an earlier server left %s unfinished", path.name)

    def _try(self, work: Callable[[], None]) -> bool:
        """Does work on the disk; notes whether it can be written to."""
        try:
            work()
        except BaseException as error:
            self._note_failure(error)
            return False
        if not self.keeping:
            log.info("traffic: %s can be written again", self._folder)
        self.keeping = True
        return True

    def _note_failure(self, error: BaseException) -> None:
        """Keeps nothing for a while; whatever the error is, it must not end the thread silently."""
        if self._segment is not None:
            self._segment.abandon()
            self._segment = None
        if self.keeping:
            why = error.strerror or error if isinstance(error, OSError) else type(error).__name__
            log.error(
                "traffic: nothing is kept, answers go on: %s: %s",
                self._folder,
                why,
                exc_info=None if isinstance(error, OSError) else error,
            )
        self.keeping = False
        self._retry_at = time.monotonic() + _RETRY_SECONDS


class _OpenSegment:
    """A segment that is being written."""

    def __init__(self, folder: Path, name: str, header: Record) -> None:
        self.started = time.monotonic()
        self._folder = folder
        self._name = name
        self._path = folder / f"{name}{OPEN}"
        self._hash = hashlib.sha256()
        # Unbuffered: what can't be written must not be tried again when the file is closed.
        self._file: BinaryIO = self._path.open("xb", buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._bytes = io.BytesIO()
        self._stream = gzip.GzipFile(fileobj=self._bytes, mode="wb", compresslevel=_LEVEL, mtime=0)
        self.size = 0
        self._stream.write(to_line({**header, "started": time.time()}).encode())
        self.flush()

    def write(self, record: Record) -> None:
        """Appends a record."""
        self._stream.write(to_line(record).encode())

    def flush(self) -> None:
        """Hands all that was written to the operating system, readable up to here."""
        self._stream.flush(zlib.Z_SYNC_FLUSH)
        self._put()

    def seal(self) -> None:
        """Completes the file, and gives it its name once it is on the disk."""
        self._stream.close()
        self._put()
        os.fsync(self._file.fileno())
        checksum = self._hash.hexdigest()[:16]
        self._path.rename(self._folder / f"{self._name}-{checksum}{SEALED}")
        self._file.close()
        sync(self._folder)

    def abandon(self) -> None:
        """Lets go of a file that can't be written; what it holds is recovered later.

        Without what was written last, which is accounted for as lost.
        """
        try:
            os.ftruncate(self._file.fileno(), self.size)
            self._file.close()
        except OSError:
            log.debug("traffic: %s can't be closed", self._path)

    def _put(self) -> None:
        data = self._bytes.getvalue()
        self._bytes.seek(0)
        self._bytes.truncate()
        self._hash.update(data)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self.size += len(data)
