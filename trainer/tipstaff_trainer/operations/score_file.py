"""Score file: any file that can be read, with score, verdict and reasons beside each row.

parts of the file → shards, scored by processes → part files, by a manifest → the output

A run that stops anywhere is resumed: shards whose part file is there are not scored again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from tipstaff.errors import TipstaffError, UsageError
from tipstaff.types import Interaction
from tipstaff_server.evaluator.bundle import read_manifest
from tipstaff_server.requests import Request, setting
from tipstaff_trainer.data.reading import STANDARD_INPUT
from tipstaff_trainer.data.streaming import TextReader, stream_tables
from tipstaff_trainer.data.table import Record
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.operations.outputs import check_new_file
from tipstaff_trainer.operations.score_parts import (
    UNREADABLE,
    join_parts,
    new_columns,
    write_part,
)
from tipstaff_trainer.operations.score_served import score_served
from tipstaff_trainer.operations.score_shard import ScoredRow, score_shard
from tipstaff_trainer.operations.sources import FileData
from tipstaff_trainer.progress import Reporter

_SHARD_ROWS = 1000
# Shards that wait for a process, so that none waits for rows.
_AHEAD = 3
_MANIFEST = "manifest.json"
# The version of the part files' format: a run resumes files of this version only.
_FORM = 2
ENDINGS = (".jsonl", ".csv")
Score = Callable[[Sequence[Interaction]], list[ScoredRow]]
Submit = Callable[[Sequence[Interaction]], Future[list[ScoredRow]]]
# What may differ in a run that resumes another.
_OF_A_RUN = {"processes", "token_file", "tls", "tls_ca"}


class ScoreFileRequest(Request):
    """Which file to score, with what, and where to write it."""

    data: FileData = setting(description="the rows to score")
    bundle: Path | None = setting(None, "the bundle that scores", unit="dir")
    target: str = setting("", "the address of a running server, in place of a bundle", unit="host")
    evaluator: str = setting("", "the evaluator of the server, where it has several", unit="name")
    token_file: Path | None = setting(
        None,
        "file with the token that the server wants (default: that in TIPSTAFF_TOKEN, if any)",
        unit="file",
    )
    tls: bool = setting(False, "encrypt, and trust the authorities that gRPC knows")
    tls_ca: Path | None = setting(
        None, "encrypt, and trust the authorities of this file", unit="file"
    )
    out: Path = setting(
        description="the file to write: .jsonl or .csv, with the rows' own columns", unit="file"
    )
    processes: int = setting(
        1, "processes that score, each with one thread", unit="processes", ge=1, le=256
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.bundle is None) == (not self.target):
            raise UsageError("give a bundle or a server, one of them", field="bundle")
        if self.bundle is not None and not self.bundle.is_dir():
            raise UsageError("no such folder", field="bundle", value=str(self.bundle))
        if self.target and self.processes > 1:
            raise UsageError("are for a bundle: a server has its own", field="processes")
        if self.out.suffix not in ENDINGS:
            raise UsageError(
                f"the name must end in {' or '.join(ENDINGS)}", field="out", value=str(self.out)
            )
        return self


@dataclass(frozen=True, slots=True)
class ScoredFile:
    """What was scored.

    Attributes:
        rows: How many rows the output has.
        verdicts: How many rows have each verdict; the empty one counts rows without a score.
        resumed: How many of them an earlier run had scored.
        unreadable: How many rows have no score since they can't be read; the output says why.
    """

    rows: int
    verdicts: Mapping[str, int]
    resumed: int
    unreadable: int = 0


def score_file(request: ScoreFileRequest, reporter: Reporter | None = None) -> ScoredFile:
    """Scores a file's rows in bounded memory, and writes the output whole.

    A row with a cell that can't be read has no score, and the reason; the others go on.

    Raises:
        UsageError: The output exists, or can't be written.
        DataError: The file can't be read, or none of its first rows, or the server doesn't answer;
            what was scored is kept.
        BundleError: The bundle is damaged.
    """
    reporter = reporter or Reporter()
    check_new_file(request.out, *ENDINGS)
    if request.bundle is not None:
        read_manifest(request.bundle)
    tables = stream_tables(request.data.data, _SHARD_ROWS)
    first = next(tables)
    file = str(request.data.data)
    reader = TextReader(first, file, mapping=request.data.mapping, form=request.data.form)
    reader.check(first.records)
    for warning in (*first.notes, *reader.warnings):
        reporter.warn(warning)
    folder = request.out.with_name(f"{request.out.name}.parts")
    known = _open_parts(folder, request)
    added = new_columns(first.columns)
    waiting: list[tuple[Path, Sequence[Record], _Shard | None]] = []
    parts: list[Path] = []
    done = resumed = 0

    def settle() -> None:
        nonlocal done, resumed
        part, records, shard = waiting.pop(0)
        if shard is None:
            resumed += len(records)
        else:
            write_part(part, records, shard.rows(), added)
        done += len(records)
        reporter.step(done, 0, f"{done:,} rows")

    # Only other processes score ahead: what this one has scored is written at once.
    ahead = _AHEAD * request.processes if request.processes > 1 else 0
    with ExitStack() as stack:
        submit = _workers(request, stack)
        try:
            for number, table in enumerate(chain([first], tables)):
                parts.append(folder / f"{number:08}.part")
                scored_before = known and parts[-1].exists()
                shard = None if scored_before else _submitted(table.records, reader, submit)
                waiting.append((parts[-1], table.records, shard))
                while len(waiting) > ahead:
                    settle()
            while waiting:
                settle()
        except TipstaffError:
            while waiting and (waiting[0][2] is None or waiting[0][2].scored):
                settle()
            raise
    summary = join_parts(parts, added, request.out)
    shutil.rmtree(folder)
    if summary.unreadable:
        reporter.warn(
            f"{summary.unreadable:,} of {done:,} rows can't be read and have no score; the first: "
            f"{summary.example}"
        )
    if len(summary.scorers) > 1:
        reporter.warn(
            "the server changed its evaluator meanwhile: rows were scored by "
            f"{' and by '.join(summary.scorers)}"
        )
    return ScoredFile(done, summary.verdicts, resumed, summary.unreadable)


@dataclass(frozen=True, slots=True)
class _Shard:
    """A shard on its way: the rows that are being scored, and why the others can't be."""

    future: Future[list[ScoredRow]]
    problems: Mapping[int, str]
    count: int

    @property
    def scored(self) -> bool:
        """Whether its rows are there."""
        return self.future.done() and self.future.exception() is None

    def rows(self) -> list[ScoredRow]:
        """The rows, once they are scored."""
        scored = iter(self.future.result())
        return [
            ScoredRow(None, "", UNREADABLE + self.problems[index])
            if index in self.problems
            else next(scored)
            for index in range(self.count)
        ]


def _submitted(records: Sequence[Record], reader: TextReader, submit: Submit) -> _Shard:
    texts: list[Interaction] = []
    problems = {}
    for index, record in enumerate(records):
        read = reader.read_or_reason(record)
        if isinstance(read, str):
            problems[index] = read
        else:
            texts.append(read)
    return _Shard(submit(texts), problems, len(records))


def _workers(request: ScoreFileRequest, stack: ExitStack) -> Submit:
    """Scores shards in processes, or in this one where there is one, or on a server."""
    if request.bundle is None:
        served = score_served(
            request.target,
            request.evaluator or None,
            stack,
            token=request.token_file,
            tls=request.tls,
            tls_ca=request.tls_ca,
        )
        return lambda texts: _now(served, texts)
    bundle = request.bundle
    if request.processes == 1:
        return lambda texts: _now(lambda each: score_shard(bundle, each), texts)
    # A fork would copy the threads' locks of this process.
    pool = stack.enter_context(
        ProcessPoolExecutor(request.processes, mp_context=get_context("spawn"))
    )
    return lambda texts: pool.submit(score_shard, bundle, texts)


def _now(score: Score, texts: Sequence[Interaction]) -> Future[list[ScoredRow]]:
    future: Future[list[ScoredRow]] = Future()
    future.set_result(score(texts))
    return future


def _open_parts(folder: Path, request: ScoreFileRequest) -> bool:
    """Makes the folder of the part files; returns whether it holds those of the same request."""
    data = request.data.data
    values: dict[str, Any] = {"request": request.model_dump(mode="json", exclude=_OF_A_RUN)}
    if data != STANDARD_INPUT:
        state = data.stat()
        values |= {"size": state.st_size, "modified": state.st_mtime_ns}
    if request.bundle is not None:
        manifest = (request.bundle / "manifest.json").read_bytes()
        values["bundle"] = hashlib.sha256(manifest).hexdigest()
    path = folder / _MANIFEST
    text = json.dumps({"form": _FORM, "shard_rows": _SHARD_ROWS, **values}, sort_keys=True)
    try:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return data != STANDARD_INPUT
        if folder.exists() and not path.exists() and any(folder.iterdir()):
            raise UsageError(
                "is where parts of the output would be kept, and wasn't made by this command",
                field="out",
                value=str(folder),
                remedy="choose another name, or remove it",
            )
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"can't be written: {error.strerror}", field="out", value=str(folder)
        ) from error
    return False
