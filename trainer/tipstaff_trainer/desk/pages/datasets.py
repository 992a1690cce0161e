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
from tipstaff_trainer.desk.context import Asked
from tipstaff_trainer.desk.routing import get, post
from tipstaff_trainer.desk.views import address
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.datasets import formats
from tipstaff_trainer.workspace.datasets.queries import FILTERS
from tipstaff_trainer.workspace.db.models import Dataset, LabelSet
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS, ScoredBy
from tipstaff_trainer.workspace.review.queue import PILOT_ROWS
from tipstaff_trainer.workspace.review.selection import Kind

_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}
_CHUNK = 2**16
# What people can ask for; a pilot is asked for with a judge.
_KINDS: tuple[Kind, ...] = ("ranked", "disputed", "random")
_KINDS_IN_WORDS = (
    "Ranked rows are those that a judge or a file has labelled and no person has; disputed ones "
    "those that people disagree on."
)
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
        post("/datasets/{dataset:int}/criteria", judge_by),
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
    """One data set by one criterion: what can be done with it next, and its rows."""
    labels = asked.label_set()
    only = asked.text("only", "all")
    page = asked.workspace.datasets.page(
        labels,
        only=only,
        words=asked.text("words"),
        after=asked.whole("after", -1) or 0,
        before=asked.whole("before"),
    )
    return asked.page(
        "dataset.html",
        labels=labels,
        dataset=labels.dataset,
        page=page,
        only=only,
        words=asked.text("words"),
        filters=FILTERS,
        formats=formats.FORMATS,
        tables=formats.TABLES,
        progress=asked.workspace.reviews.progress(labels),
        jobs=asked.workspace.jobs.recent(dataset=labels.dataset_id, limit=5),
        pilot_rows=PILOT_ROWS,
        scorers=_scorers(asked, labels),
        scored_by=asked.text("scored_by"),
        criteria=asked.workspace.criteria.all(),
    )


def show_row(asked: Asked) -> Response:
    """One row with all that was ever said of it by one criterion."""
    labels = asked.label_set()
    row = asked.workspace.datasets.row(asked.number("row"), labels)
    given = asked.workspace.datasets.labels(row.id, labels)
    return asked.page("row.html", labels=labels, row=row, given=given)


def download(asked: Asked) -> Response:
    """The data set as a file, with its labels by one criterion or by all of them."""
    labels = asked.label_set()
    ending = asked.request.path_params["ending"]
    together = asked.text("together") == "yes"
    endings = formats.TABLES if together else formats.FORMATS
    if ending not in endings:
        raise WorkspaceError(f"there is no download as {ending!r}: {', '.join(endings)}")
    datasets, only = asked.workspace.datasets, asked.text("only", "all")
    file = cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115  see _pieces
    try:
        if together:
            formats.dump_together(datasets, labels.dataset, file, ending)
        else:
            formats.dump(datasets, labels, file, ending, only=only)
        file.seek(0)
    except OSError as error:
        file.close()
        raise WorkspaceError(
            f"{labels.title}: can't be written to {tempfile.gettempdir()}, where the desk runs: "
            f"{error.strerror}. Make room there and ask again"
        ) from error
    name = quote(f"{labels.dataset.name if together else labels.title}.{ending}")
    return StreamingResponse(
        _pieces(file),
        media_type=_TYPES[ending],
        headers={"content-disposition": f"attachment; filename*=UTF-8''{name}"},
    )


def split(asked: Asked) -> Response:
    """Sets rows aside for testing."""
    labels = asked.label_set()
    percent = asked.whole("percent", 20) or 0
    dataset = labels.dataset
    warnings = asked.workspace.split(
        dataset, test_size=percent / 100, seed=asked.whole("seed", 0) or 0
    )
    count = asked.workspace.datasets.get(dataset).test
    notice = f"{count:,} of {dataset.rows:,} rows are set aside for testing."
    return asked.go(address(labels), " ".join([notice, *warnings]), "note" if warnings else "good")


def queue(asked: Asked) -> Response:
    """Puts rows before people; has them scored first, where they are to be compared with scores."""
    labels = asked.label_set()
    by = _scored_by(asked.text("scored_by"))
    given = asked.workspace.scores.counts(labels)
    if by is not None and given.get(by, 0) < labels.dataset.rows:
        name, version = by
        job = asked.workspace.score_dataset(
            labels.dataset,
            name or None,
            version=version or None,
            criterion=labels.criterion,
            who=asked.who,
        )
        return asked.go(
            f"/jobs/{job.id}", "The rows are scored first; then choose among them.", "note"
        )
    wanted: dict[Kind, int] = {kind: asked.whole(kind, 0) or 0 for kind in _KINDS}
    rows = asked.workspace.reviews.queue(
        labels,
        wanted,
        rank_by=asked.text("rank_by", "error"),  # type: ignore[arg-type]
        scored_by=by,
    )
    if not rows:
        return asked.go(
            address(labels),
            "No row was added: none is left of the kinds that you asked for. " + _KINDS_IN_WORDS,
            "note",
        )
    asked_for = sum(wanted.values())
    if len(rows) < asked_for:
        return asked.go(
            address(labels, room="review"),
            f"{len(rows):,} of the {asked_for:,} rows that you asked for wait for review. "
            f"{_KINDS_IN_WORDS} A draw takes no row that was drawn before, here or where the file "
            "comes from.",
            "note",
        )
    return asked.go(address(labels, room="review"), f"{len(rows):,} rows wait for review.")


def judge_by(asked: Asked) -> Response:
    """Has the rows judged by a criterion too, or says by which their labels were given."""
    dataset, criterion = _dataset(asked), asked.text("by")
    if asked.text("action") == "name":
        labels = asked.workspace.set_criterion(dataset, criterion)
        return asked.go(address(labels), f"Its labels are by {criterion}.")
    labels = asked.workspace.add_criterion(dataset, criterion)
    return asked.go(
        address(labels),
        f"{dataset.name} is judged by {criterion}: nothing that was said of its rows by another "
        "criterion counts here.",
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


def _scorers(asked: Asked, labels: LabelSet) -> list[tuple[str, str, bool]]:
    """Whose scores rows can be chosen by: as `name/version`, in words, and whether they are there.

    Which version is online is said, as it is the one whose mistakes matter.
    """
    given = asked.workspace.scores.counts(labels)
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
    rows = labels.dataset.rows
    return [(f"{by[0]}/{by[1]}", word, given.get(by, 0) >= rows) for by, word in words]


def _dataset(asked: Asked) -> Dataset:
    return asked.workspace.datasets.get(asked.number("dataset"))


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_CHUNK):
            yield piece
