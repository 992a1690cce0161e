"""Starts operations on stored data as jobs, once what can be checked now is checked.

A job's row holds the operation's request, and what was chosen when it started.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from tipstaff.errors import UsageError
from tipstaff.types import Field
from tipstaff_server.errors import BundleError
from tipstaff_server.evaluator.bundle import read_manifest
from tipstaff_server.evaluator.cases import Case
from tipstaff_trainer.data.columns import check_fields, resolve
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.operations.evaluate import EvaluateRequest
from tipstaff_trainer.operations.label import LabelRequest, check_key
from tipstaff_trainer.operations.score import ScoreRequest
from tipstaff_trainer.operations.train import TrainRequest
from tipstaff_trainer.workspace.db.models import Dataset, Job, JobKind, LabelSet
from tipstaff_trainer.workspace.labels.criteria import check_columns
from tipstaff_trainer.workspace.labels.label_sets import choose_label_set
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS
from tipstaff_trainer.workspace.operations.stored_rows import fields_to_read, stored_source
from tipstaff_trainer.workspace.operations.suitable import check_readable, check_trainable_labels
from tipstaff_trainer.workspace.stores import Stores


def start_label(stores: Stores, request: LabelRequest, *, who: str = "") -> Job:
    """Has a judge label a data set.

    Returns:
        The job; one that does the same already rather than a second, as for all jobs here.

    Raises:
        WorkspaceError: There is no such data set or criterion, or nothing to label; the rows lack
            a column that the criterion's question names; or the criterion can't be added.
        UsageError: The endpoint's key is not set.
    """
    source = stored_source(request.data)
    dataset = stores.datasets.get(source.dataset)
    criterion = stores.criteria.get(request.criterion)
    check_columns(criterion, dataset)
    check_key(request)
    # The data set is not judged by the criterion before all is checked.
    labels = LabelSet(dataset_id=dataset.id, criterion=criterion.name)
    rows, which = None, "all rows" if request.only == "all" else f"the {request.only} rows"
    if not stores.datasets.page(labels, only=request.only, size=1).rows:
        raise WorkspaceError(f"{dataset.name}: there are no rows of the kind {request.only!r}")
    labels = stores.add_criterion(dataset, criterion.name)
    if request.pilot:
        rows = stores.reviews.pilot(labels)
        if not rows:
            raise WorkspaceError(
                f"{labels.title}: people have labelled every row, or have yet to review it"
            )
        which = f"{len(rows)} rows"
    title = f"Label {which} of {dataset.name}: {criterion.name}"
    chosen = {"rows": rows, "criterion_version": criterion.version}
    return _start(stores, "label", title, request, labels, who, chosen)


def start_score(
    stores: Stores, request: ScoreRequest, *, name: str | None, version: int | None, who: str = ""
) -> Job:
    """Has an evaluator's version, or the other rows, score every row.

    Raises:
        WorkspaceError: There is no such data set or version.
    """
    source = stored_source(request.data)
    dataset = stores.datasets.get(source.dataset)
    # An evaluator scores the same whatever the rows are judged by.
    any_criterion = name is not None and source.criterion is None
    labels = dataset.label_sets[0] if any_criterion else choose_label_set(dataset, source.criterion)
    if name is None:
        scorer, title = OTHER_ROWS, f"{labels.title} with the other rows"
    else:
        scorer = name, stores.evaluators.find(name, version)
        _check_readable(stores, *scorer, dataset)
        title = f"{dataset.name} with {name} version {scorer[1]}"
        request = request.model_copy(update={"bundle": stores.evaluators.path(*scorer)})
    chosen = {
        "name": scorer[0],
        "version": scorer[1],
        "other_rows_of": labels.criterion if name is None else None,
    }
    title = f"Score the rows of {title}"
    return _start(stores, "score", title, request, labels, who, chosen)


def start_train(stores: Stores, request: TrainRequest, *, who: str = "") -> Job:
    """Trains an evaluator on a data set's labels and publishes it as its next version.

    Raises:
        WorkspaceError: There are no labels, or too few to relabel from.
        UsageError: A field is not in the data, or a named case has no text that is read.
    """
    source = stored_source(request.data)
    labels = stores.label_set(source.dataset, source.criterion)
    dataset = labels.dataset
    fields = fields_to_read(source, dataset)
    columns = resolve(dataset.fields, {}, labelled=False, file=dataset.name)
    check_fields(fields, columns, file=dataset.name)
    check_trainable_labels(labels)
    if request.relabel:
        _check_reviewed(stores, labels)
    cases = stores.cases.of(labels.criterion) if request.cases is None else request.cases
    _check_cases(cases, fields)
    criterion = stores.criteria.get(labels.criterion).criterion if labels.criterion else ""
    # None, not (): a bundle that doesn't mention cases must meet those of the serving version.
    request = request.model_copy(
        update={
            "data": source.model_copy(update={"columns": fields}),
            "criterion": request.criterion or criterion,
            "cases": tuple(cases) or None,
        }
    )
    title = f"Train {request.name} on {labels.title}"
    return _start(stores, "train", title, request, labels, who, {"name": request.name})


def start_evaluate(
    stores: Stores,
    request: EvaluateRequest,
    *,
    name: str,
    versions: Sequence[int] = (),
    who: str = "",
) -> Job:
    """Measures versions of an evaluator on a data set's labels.

    Raises:
        WorkspaceError: There are no such labels, or no such evaluator.
    """
    source = stored_source(request.data)
    labels = stores.label_set(source.dataset, source.criterion)
    numbers = [stores.evaluators.find(name, each) for each in versions or (None,)]
    for number in numbers:
        _check_readable(stores, name, number, labels.dataset)
    title, chosen = f"Measure {name} on {labels.title}", {"name": name, "versions": numbers}
    return _start(stores, "evaluate", title, request, labels, who, chosen)


def _start(
    stores: Stores,
    kind: JobKind,
    title: str,
    request: LabelRequest | ScoreRequest | TrainRequest | EvaluateRequest,
    labels: LabelSet,
    who: str,
    chosen: dict[str, Any],
) -> Job:
    # Named: the data set may be judged by more criteria when the job runs.
    source = stored_source(request.data).model_copy(update={"criterion": labels.criterion})
    request = request.model_copy(update={"data": source})
    parameters = {"request": request.model_dump(mode="json"), **chosen}
    return stores.jobs.start(kind, title, parameters, dataset=labels.dataset_id, who=who)


def _check_readable(stores: Stores, name: str, version: int, dataset: Dataset) -> None:
    """Checks that a version reads a field of a data set; a damaged one fails later, in its job."""
    with suppress(BundleError):
        manifest = read_manifest(stores.evaluators.path(name, version))
        check_readable(manifest.fields, dataset, f"{name} version {version}")


def _check_cases(cases: Sequence[Case], fields: Sequence[Field]) -> None:
    for case in cases:
        if all(case.interaction.get(field) is None for field in fields):
            raise UsageError(
                f'named case "{case.name}" has none of {", ".join(fields)}, which the evaluator '
                "is to read",
                remedy="give it one, or remove it",
            )


def _check_reviewed(stores: Stores, labels: LabelSet) -> None:
    """Checks that enough rows were drawn and reviewed to relabel from; the job looks closer.

    Raises:
        WorkspaceError: There are too few.
    """
    # Imported here: sklearn, which it needs, takes a while.
    from tipstaff_trainer.label_quality.relabelling import FEWEST_DRAWN

    reviewed = stores.datasets.reviewed_draw(labels)
    if reviewed < FEWEST_DRAWN:
        raise WorkspaceError(
            f"{labels.title}: people reviewed {reviewed} of the judge's rows that were drawn at "
            "random, which is too few to relabel from",
            remedy=f"review at least {FEWEST_DRAWN}, better 200, that are added to the queue as "
            "random",
        )
