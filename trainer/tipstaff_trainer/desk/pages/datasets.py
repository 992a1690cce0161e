"""Data sets: the list, one with its rows, a row, splits, downloads, the queue and the archive."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, cast
from urllib.parse import quote

from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tipstaff_server.errors import RepositoryError
from tipstaff_trainer.desk.asked import Asked
from tipstaff_trainer.desk.routing import get, post
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace import formats
from tipstaff_trainer.workspace.candidates import Kind, ScoredBy
from tipstaff_trainer.workspace.datasets import FILTERS
from tipstaff_trainer.workspace.reviews import PILOT_ROWS
from tipstaff_trainer.workspace.scores import OTHER_ROWS
from tipstaff_trainer.workspace.tables import Dataset

_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}
_CHUNK = 2**16
# What people can ask for; a pilot is asked for with a judge.
_KINDS: tuple[Kind, ...] = ("ranked", "disputed", "random")
# A download is held in memory up to this size, then in a file.
_IN_MEMORY = 2**22


def routes() -> list[Route]:
    """The addresses of data sets."""
    return [
        get("/datasets", show_all),
        get("/datasets/{dataset:int}", show),
        get("/datasets/{dataset:int}/rows/{row:int}", show_row),
        get("/datasets/{dataset:int}/download/{ending:str}", download),
        post("/datasets/{dataset:int}/split", split),
        post("/datasets/{dataset:int}/queue", queue),
        post("/datasets/{dataset:int}/copy", copy),
        post("/datasets/{dataset:int}/archive", archive),
        post("/datasets/{dataset:int}/delete", delete),
    ]


def show_all(asked: Asked) -> Response:
    """Every data set, and where to bring another."""
    return list_page(asked)


def list_page(asked: Asked, error: str = "") -> Response:
    """Every data set, or those with some words, or those of the archive."""
    datasets = asked.workspace.datasets
    words, archived = asked.text("words"), asked.text("archived") == "yes"
    return asked.page(
        "datasets.html",
        status=400 if error else 200,
        datasets=datasets.all(words=words, archived=archived),
        words=words,
        archived=archived,
        others=len(datasets.all(archived=not archived)),
        error=error,
    )


def show(asked: Asked) -> Response:
    """One data set: what can be done with it next, and its rows."""
    dataset = _dataset(asked)
    only = asked.text("only", "all")
    page = asked.workspace.datasets.page(
        dataset.id,
        only=only,
        words=asked.text("words"),
        after=asked.whole("after", -1) or 0,
        before=asked.whole("before"),
    )
    jobs = asked.workspace.jobs.recent(dataset=dataset.id, limit=5)
    return asked.page(
        "dataset.html",
        dataset=dataset,
        page=page,
        only=only,
        words=asked.text("words"),
        filters=FILTERS,
        formats=formats.FORMATS,
        progress=asked.workspace.reviews.progress(dataset.id),
        jobs=jobs,
        pilot_rows=PILOT_ROWS,
        scorers=_scorers(asked, dataset),
        scored_by=asked.text("scored_by"),
        criteria=asked.workspace.criteria.all(),
    )


def show_row(asked: Asked) -> Response:
    """One row with all that was ever said of it."""
    dataset = _dataset(asked)
    row = asked.workspace.datasets.row(asked.number("row"))
    if row.dataset_id != dataset.id:
        raise WorkspaceError(f"there is no row {row.id} in {dataset.name}")
    return asked.page(
        "row.html", dataset=dataset, row=row, labels=asked.workspace.datasets.labels(row.id)
    )


def download(asked: Asked) -> Response:
    """The data set as a file."""
    dataset = _dataset(asked)
    ending = asked.request.path_params["ending"]
    if ending not in formats.FORMATS:
        raise WorkspaceError(f"there is no download as {ending!r}: {', '.join(formats.FORMATS)}")
    file = cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115  see _pieces
    formats.dump(asked.workspace.datasets, dataset.id, file, ending, only=asked.text("only", "all"))
    file.seek(0)
    name = quote(f"{dataset.name}.{ending}")
    return StreamingResponse(
        _pieces(file),
        media_type=_TYPES[ending],
        headers={"content-disposition": f"attachment; filename*=UTF-8''{name}"},
    )


def split(asked: Asked) -> Response:
    """Sets rows aside for testing."""
    dataset = _dataset(asked)
    percent = asked.whole("percent", 20) or 0
    warnings = asked.workspace.split(
        dataset, test_size=percent / 100, seed=asked.whole("seed", 0) or 0
    )
    count = asked.workspace.datasets.get(dataset).test
    notice = f"{count:,} of {dataset.rows:,} rows are set aside for testing."
    return asked.go(
        f"/datasets/{dataset.id}", " ".join([notice, *warnings]), "note" if warnings else "good"
    )


def queue(asked: Asked) -> Response:
    """Puts rows before people; has them scored first, where they are to be compared with scores."""
    dataset = _dataset(asked)
    by = _scored_by(asked.text("scored_by"))
    if by is not None and asked.workspace.scores.given(dataset.id).get(by, 0) < dataset.rows:
        name, version = by
        job = asked.workspace.score_dataset(
            dataset, name or None, version=version or None, who=asked.who
        )
        return asked.go(
            f"/jobs/{job.id}", "The rows are scored first; then choose among them.", "note"
        )
    wanted: dict[Kind, int] = {kind: asked.whole(kind, 0) or 0 for kind in _KINDS}
    rows = asked.workspace.reviews.queue(
        dataset.id,
        wanted,
        rank_by=asked.text("rank_by", "error"),  # type: ignore[arg-type]
        scored_by=by,
    )
    if not rows:
        return asked.go(
            f"/datasets/{dataset.id}",
            "No row was added: none is left of the kinds that you asked for. Ranked rows are those "
            "that a judge or a file has labelled; disputed ones those that people disagree on.",
            "note",
        )
    return asked.go(f"/review/{dataset.id}", f"{len(rows):,} rows wait for review.")


def copy(asked: Asked) -> Response:
    """Makes a data set of the same rows, for another criterion."""
    dataset = _dataset(asked)
    made = asked.workspace.copy_dataset(
        dataset, name=asked.text("name"), criterion=asked.text("criterion"), who=asked.who
    )
    return asked.go(
        f"/datasets/{made.id}", f"{made.rows:,} rows of {dataset.name} are in {made.name}."
    )


def archive(asked: Asked) -> Response:
    """Lays a data set aside, or brings it back."""
    dataset = _dataset(asked)
    if asked.text("action") == "restore":
        asked.workspace.restore_dataset(dataset)
        return asked.go(f"/datasets/{dataset.id}", f"{dataset.name} is back.")
    asked.workspace.archive_dataset(dataset)
    return asked.go("/datasets", f"{dataset.name} is in the archive, with all its labels.", "note")


def delete(asked: Asked) -> Response:
    """Deletes a data set of the archive, if its name was typed."""
    dataset = _dataset(asked)
    if asked.text("name") != dataset.name:
        return asked.go(
            f"/datasets/{dataset.id}", "Nothing was deleted: type its name as it stands.", "bad"
        )
    asked.workspace.datasets.delete(dataset.id)
    response = asked.go("/datasets", f"{dataset.name} is deleted with all its labels.", "note")
    response.background = BackgroundTask(asked.workspace.datasets.sweep)
    return response


def _scored_by(text: str) -> ScoredBy | None:
    """Whose scores a form asks for, as `name/version`; None for nobody's."""
    if not text:
        return None
    name, _, version = text.rpartition("/")
    if not version.isdecimal() or len(version) > 9:
        raise WorkspaceError(f"{text[:80]!r} is no version of an evaluator")
    return name, int(version)


def _scorers(asked: Asked, dataset: Dataset) -> list[tuple[str, str, bool]]:
    """Whose scores rows can be chosen by: as `name/version`, in words, and whether they are there.

    Which version is online is said, as it is the one whose mistakes matter.
    """
    given = asked.workspace.scores.given(dataset.id)
    found = []
    # A repository that can't be read is told where evaluators are; rows are seen all the same.
    with suppress(RepositoryError):
        found = [
            ((each.name, version), each.serving == version)
            for each in asked.workspace.evaluators.published()
            for version in reversed(each.versions)
        ]
    words = [
        (by, f"{by[0]} version {by[1]}{' (Online)' if online else ''}") for by, online in found
    ] + [(OTHER_ROWS, "what the other rows say")]
    return [(f"{by[0]}/{by[1]}", word, given.get(by, 0) >= dataset.rows) for by, word in words]


def _dataset(asked: Asked) -> Dataset:
    return asked.workspace.datasets.get(asked.number("dataset"))


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_CHUNK):
            yield piece
