"""Data sets: the list, rows, downloads, the test set, the review queue and the archive."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, cast
from urllib.parse import quote

from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse

from tipstaff.errors import TipstaffError
from tipstaff_server.errors import RepositoryError
from tipstaff_trainer.desk.context import RequestContext
from tipstaff_trainer.desk.routing import Routes
from tipstaff_trainer.desk.views import labels_url
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.datasets import formats
from tipstaff_trainer.workspace.datasets.queries import FILTERS
from tipstaff_trainer.workspace.db.models import Dataset, LabelSet
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS, ScoredBy
from tipstaff_trainer.workspace.operations.suitable import in_words, lacking, untrainable
from tipstaff_trainer.workspace.review.queue import PILOT_ROWS
from tipstaff_trainer.workspace.review.selection import Kind

routes = Routes()

_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}
_CHUNK = 2**16
# Kinds of rows to queue; pilot rows are queued by a labelling job.
_KINDS: tuple[Kind, ...] = ("ranked", "disputed", "random")
_KINDS_IN_WORDS = (
    "Ranked rows have a label from a judge or a file and none from a person; disputed rows are "
    "those that people labelled differently. Random rows are never drawn twice, even if a file "
    "says that they were drawn."
)
# A larger download is written to a temporary file.
_IN_MEMORY = 2**22


@routes.get("/datasets")
def list_page(ctx: RequestContext, error: TipstaffError | str = "") -> Response:
    """The list of data sets, filtered by words or by the archive, and the upload form."""
    datasets = ctx.stores.datasets
    words, archived = ctx.text("words"), ctx.text("archived") == "yes"
    return ctx.page(
        "datasets.html",
        datasets=datasets.all(words=words, archived=archived),
        words=words,
        archived=archived,
        others=len(datasets.all(archived=not archived)),
        error=error,
    )


@routes.get("/datasets/{dataset:int}")
def show(ctx: RequestContext) -> Response:
    """A data set with its labels by one criterion: next steps, and rows."""
    labels = ctx.label_set()
    only, words = ctx.text("only", "all"), ctx.text("words")
    after, before = ctx.integer("after", -1), ctx.integer("before", None)
    page = ctx.stores.datasets.page(labels, only=only, words=words, after=after, before=before)
    return ctx.page(
        "dataset.html",
        labels=labels,
        dataset=labels.dataset,
        page=page,
        only=only,
        words=words,
        filters=FILTERS,
        formats=formats.FORMATS,
        tables=formats.TABLES,
        progress=ctx.stores.reviews.progress(labels),
        untrainable=untrainable(labels),
        jobs=ctx.stores.jobs.recent(dataset=labels.dataset_id, limit=5),
        pilot_rows=PILOT_ROWS,
        scorers=_scorer_options(ctx, labels),
        scored_by=ctx.text("scored_by"),
        criteria=ctx.stores.criteria.all(),
    )


@routes.get("/datasets/{dataset:int}/rows/{row:int}")
def show_row(ctx: RequestContext) -> Response:
    """A row with all its labels by one criterion."""
    labels = ctx.label_set()
    row = ctx.stores.datasets.row(ctx.path_number("row"), labels)
    log = ctx.stores.datasets.labels(row.id, labels)
    return ctx.page("row.html", labels=labels, row=row, log=log)


@routes.get("/datasets/{dataset:int}/download/{ending:str}")
def download(ctx: RequestContext) -> Response:
    """The data set as a file, with its labels by one criterion or by all."""
    labels = ctx.label_set()
    ending = ctx.request.path_params["ending"]
    together = ctx.text("together") == "yes"
    endings = formats.TABLES if together else formats.FORMATS
    if ending not in endings:
        raise WorkspaceError(f"there is no download as {ending!r}: {', '.join(endings)}")
    datasets = ctx.stores.datasets
    file = cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115  see _pieces
    try:
        if together:
            formats.dump_together(datasets, labels.dataset, file, ending)
        else:
            formats.dump(datasets, labels, file, ending, only=ctx.text("only", "all"))
        file.seek(0)
    except OSError as error:
        file.close()
        raise WorkspaceError(
            f"{labels.title}: can't be written to {tempfile.gettempdir()} on the desk's machine: "
            f"{error.strerror}. Make room there and try again"
        ) from error
    name = quote(f"{labels.dataset.name if together else labels.title}.{ending}")
    return StreamingResponse(
        _pieces(file),
        media_type=_TYPES[ending],
        headers={"content-disposition": f"attachment; filename*=UTF-8''{name}"},
    )


@routes.post("/datasets/{dataset:int}/split")
def split(ctx: RequestContext) -> Response:
    """Holds out a test set."""
    labels = ctx.label_set()
    dataset, share = labels.dataset, ctx.integer("percent", 20) / 100
    warnings = ctx.workspace.split(dataset, test_size=share, seed=ctx.integer("seed", 0))
    count = ctx.stores.datasets.get(dataset).test
    notice = " ".join([f"{count:,} of {dataset.rows:,} rows are held out for testing.", *warnings])
    return ctx.redirect(labels_url(labels), notice, "note" if warnings else "good")


@routes.post("/datasets/{dataset:int}/queue")
def queue(ctx: RequestContext) -> Response:
    """Adds rows to the review queue; starts a scoring job first if scores are needed."""
    labels = ctx.label_set()
    by = _scored_by(ctx.text("scored_by"))
    scored = ctx.stores.scores.counts(labels)
    if by is not None and scored.get(by, 0) < labels.dataset.rows:
        name, version = by
        job = ctx.workspace.score_dataset(
            labels.dataset,
            name or None,
            version=version or None,
            criterion=labels.criterion,
            who=ctx.who,
        )
        notice = "The rows are scored first. Add rows to the queue when the job is done."
        return ctx.redirect(f"/jobs/{job.id}", notice, "note")
    counts = {kind: ctx.integer(kind, 0) for kind in _KINDS}
    rows = ctx.stores.reviews.queue(
        labels,
        counts,
        rank_by=ctx.text("rank_by", "error"),  # type: ignore[arg-type]
        scored_by=by,
    )
    here = labels_url(labels, section="review" if rows else "datasets")
    requested = sum(counts.values())
    if rows and len(rows) == requested:
        return ctx.redirect(here, f"{len(rows):,} rows are in the review queue.")
    added = f"Only {len(rows):,} of {requested:,} rows were added" if rows else "No row was added"
    notice = f"{added}: there are no more rows of these kinds. {_KINDS_IN_WORDS}"
    return ctx.redirect(here, notice, "note")


@routes.post("/datasets/{dataset:int}/criteria")
def judge_by(ctx: RequestContext) -> Response:
    """Adds a criterion, or sets the criterion of labels that were imported without one."""
    dataset, criterion = _dataset(ctx), ctx.text("by")
    if ctx.text("action") == "name":
        labels = ctx.workspace.set_criterion(dataset, criterion)
        return ctx.redirect(labels_url(labels), f"The criterion of its labels is {criterion}.")
    labels = ctx.workspace.add_criterion(dataset, criterion)
    notice = f"{criterion} is added to {dataset.name}, with no labels of its own yet."
    return ctx.redirect(labels_url(labels), notice)


@routes.post("/datasets/{dataset:int}/archive")
def archive(ctx: RequestContext) -> Response:
    """Archives a data set, or restores it."""
    dataset = _dataset(ctx)
    if ctx.text("action") == "restore":
        ctx.workspace.restore_dataset(dataset)
        return ctx.redirect(f"/datasets/{dataset.id}", f"{dataset.name} is restored.")
    ctx.workspace.archive_dataset(dataset)
    return ctx.redirect("/datasets", f"{dataset.name} is archived with all its labels.", "note")


@routes.post("/datasets/{dataset:int}/delete")
def delete(ctx: RequestContext) -> Response:
    """Deletes an archived data set, if its name was entered."""
    dataset = _dataset(ctx)
    if ctx.text("name") != dataset.name:
        notice = "Nothing was deleted: the name that you entered is different."
        return ctx.redirect(f"/datasets/{dataset.id}", notice, "bad")
    ctx.stores.datasets.delete(dataset.id)
    response = ctx.redirect("/datasets", f"{dataset.name} is deleted with all its labels.", "note")
    response.background = BackgroundTask(ctx.stores.datasets.sweep)
    return response


def _scored_by(text: str) -> ScoredBy | None:
    """The scorer that a form names as `name/version`; None if it names none."""
    if not text:
        return None
    name, _, version = text.rpartition("/")
    if not version.isdecimal() or len(version) > 9:
        raise WorkspaceError(f"{text[:80]!r} is not an evaluator's version")
    return name, int(version)


def _scorer_options(ctx: RequestContext, labels: LabelSet) -> list[tuple[str, str, str]]:
    """The evaluators whose scores rows can be chosen by: `name/version`, text, what is to do first.

    Marks the version that is Online, whose mistakes matter most. A damaged version, and one that
    reads no field of the rows, is left out.
    """
    words: dict[ScoredBy, tuple[str, str]] = {}
    # The evaluators' page shows the error; this page works without a repository.
    with suppress(RepositoryError):
        for each in ctx.stores.evaluators.versions():
            if each.manifest is None:
                continue
            fields = each.manifest.fields
            missing = lacking(fields, labels.dataset)
            if len(missing) < len(fields):
                online = " (Online)" if each.serving else ""
                without = f", without {in_words(missing)}" if missing else ""
                text = f"{each.name} version {each.version}{online}"
                words[each.name, each.version] = text, without
    if not untrainable(labels):
        words[OTHER_ROWS] = "estimate from the other rows", ""
    scored, rows = ctx.stores.scores.counts(labels), labels.dataset.rows
    return [
        (
            f"{by[0]}/{by[1]}",
            text,
            "" if scored.get(by, 0) >= rows else f": scores the rows first{without}",
        )
        for by, (text, without) in words.items()
    ]


def _dataset(ctx: RequestContext) -> Dataset:
    return ctx.stores.datasets.get(ctx.path_number("dataset"))


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_CHUNK):
            yield piece
