"""What a job's process does: an operation on stored data, its results stored or published."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from tipstaff.errors import TipstaffError
from tipstaff_server import repository
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle, read_manifest
from tipstaff_server.evaluator.manifest import MANIFEST_FILE
from tipstaff_server.requests import Request
from tipstaff_trainer.data import Data, Row
from tipstaff_trainer.errors import OtherRunError, WorkspaceError
from tipstaff_trainer.judge.ledger import Ledger
from tipstaff_trainer.operations.compare import CompareRequest, compare
from tipstaff_trainer.operations.evaluate import EvaluateRequest, evaluate
from tipstaff_trainer.operations.label import LabelRequest, check_key, label, read_api_key
from tipstaff_trainer.operations.score import ScoreRequest, score
from tipstaff_trainer.operations.train import Trained, TrainingRows, TrainRequest, train
from tipstaff_trainer.progress import Reporter
from tipstaff_trainer.workspace.db.models import Job, JobState
from tipstaff_trainer.workspace.jobs.files import BUNDLE_FOLDER, COMPARISON_FOLDER, REPORT_FOLDER
from tipstaff_trainer.workspace.labels.cases import outcome_values
from tipstaff_trainer.workspace.labels.criteria import to_judge_criterion
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS
from tipstaff_trainer.workspace.operations.examples import reviewed_examples
from tipstaff_trainer.workspace.operations.label_sink import LabelSink
from tipstaff_trainer.workspace.operations.stored_rows import (
    StoredRows,
    UnscoredRows,
    read_labelled,
    read_training_rows,
    stored_source,
    to_data,
)
from tipstaff_trainer.workspace.operations.traffic_rows import measure_on_traffic
from tipstaff_trainer.workspace.stores import Stores

LEDGER_FILE = "ledger.sqlite"


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """How a job ended.

    Attributes:
        message: For people.
        result: What the job produced.
        state: `done`; `stopped` before its end; or `failed`, as a labelling without a label.
    """

    message: str
    result: Mapping[str, Any]
    state: JobState = "done"


def run(stores: Stores, job: Job, reporter: Reporter) -> JobOutcome:
    """Runs a job's operation in this process.

    Raises:
        WorkspaceError: Another version of Tipstaff started the job.
        TipstaffError: The operation can't be done; see the operation.
    """
    model, operation = _OPERATIONS[job.kind]
    (values,) = _parameters(job, "request")
    return operation(stores, job, model.parse(values), reporter)


def request_model(kind: str) -> type[Request]:
    """The model of the requests of a kind of job; one without fields for a server."""
    return _OPERATIONS[kind][0] if kind in _OPERATIONS else Request


def _label(stores: Stores, job: Job, request: LabelRequest, reporter: Reporter) -> JobOutcome:
    """Has the judge label the rows; the ledger keeps the replies that were paid for."""
    ids, version = _parameters(job, "rows", "criterion_version")
    labels = stores.label_set(stored_source(request.data).dataset, request.criterion)
    criterion = stores.criteria.get(request.criterion, version)
    check_key(request)
    if ids is None:
        # Once for the whole job: a row that it labels is no longer unlabelled.
        ids = [row.id for row in stores.datasets.rows(labels, only=request.only)]
    rows = StoredRows(len(ids), partial(stores.datasets.some, ids, labels))
    if not len(rows):
        return JobOutcome("no row is left to label", {"labelled": 0, "failed": 0, "failures": []})
    stop = Event()
    # The calls on their way are paid for: let them finish.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    sink = LabelSink(stores.database, labels, criterion.version)
    with Ledger(stores.folder / LEDGER_FILE, account=f"job {job.id}") as ledger:
        try:
            labelled = label(
                request,
                rows,
                criterion=to_judge_criterion(criterion),
                ledger=ledger,
                examples=reviewed_examples(stores, labels, request.shots, reporter),
                api_key=read_api_key(request.key_variable),
                on_row=sink,
                reporter=reporter,
                stop=stop,
            )
        finally:
            sink.flush()
            # They were computed from the labels before.
            stores.scores.delete(labels, OTHER_ROWS)
    result = {
        "labelled": sink.count,
        "failed": sink.failed,
        "failures": sink.failures,
        "tokens": labelled.tokens,
        "cost": labelled.cost if request.priced else None,
    }
    if labelled.stopped and (sink.count or stop.is_set()):
        message = f"{labelled.stopped}; {sink.count} rows are labelled so far"
        return JobOutcome(message, result, "stopped")
    failures = f"{sink.failed} could not be: {sink.failures[0]}" if sink.failed else ""
    if not sink.count:
        why = labelled.stopped or failures or "no reply has come"
        return JobOutcome(f"no row is labelled: {why}", result, "failed")
    message = f"{sink.count} of {len(rows)} rows are labelled"
    return JobOutcome(", ".join(filter(None, [message, failures])), result)


def _score(stores: Stores, job: Job, request: ScoreRequest, reporter: Reporter) -> JobOutcome:
    """Scores the rows that have no score yet, and stores each score as it comes."""
    name, version = _parameters(job, "name", "version")
    source = stored_source(request.data)
    if (name, version) == OTHER_ROWS:
        labels = stores.label_set(source.dataset, source.criterion)
        # The labels may have changed since; a version never does.
        stores.scores.delete(labels, OTHER_ROWS)
    else:
        # An evaluator scores the same whatever the rows are judged by.
        labels = stores.datasets.get(source.dataset).label_sets[0]
        # Not the path in the request: the version may be archived since, the workspace moved.
        bundle = stores.evaluators.bundle(name, version)
        request = request.model_copy(update={"bundle": bundle})
    rows = UnscoredRows(stores, labels, (name, version))

    def store(part: Sequence[Row], scores: Sequence[float | None]) -> None:
        row_ids = [rows.row_ids.pop(row.id) for row in part]
        stores.scores.add(labels, (name, version), dict(zip(row_ids, scores, strict=True)))

    score(request, rows, store, reporter)
    message = f"{labels.dataset.rows:,} rows are scored"
    return JobOutcome(message, {"name": name, "version": version})


def _train(stores: Stores, job: Job, request: TrainRequest, reporter: Reporter) -> JobOutcome:
    """Trains, publishes, and measures beside the version that serves, on the test rows."""
    source = stored_source(request.data)
    labels = stores.label_set(source.dataset, source.criterion)
    rows = read_training_rows(stores, request, reporter)
    out = stores.jobs.folder(job.id) / BUNDLE_FOLDER
    # A job that was stopped after its training has a bundle already.
    if (out / MANIFEST_FILE).exists():
        trained = Trained.of(Bundle.open(out), request.cases)
    else:
        serving = stores.evaluators.serving(request.name)
        if serving is not None and request.previous is None:
            path = stores.evaluators.path(request.name, serving)
            request = request.model_copy(update={"previous": path})
        trained = _train_or_restart(request, rows, out, reporter)
    for outcome in trained.outcomes:
        reporter.note(f"named case {outcome}: {'met' if outcome.met else 'FAILS'}")
    name, version = request.name, _publish(trained.bundle, stores)
    versions = [version, *_compared_with(stores, name, version, reporter)]
    measured = {}
    if rows.test:
        data = to_data(f"{labels.title}, test rows", rows.test, rows.fields)
        to_measure = EvaluateRequest(bundle=trained.bundle.path, data=source)
        measured = _measure(stores, job, to_measure, name, versions, data, reporter)
    on_traffic = None
    if rows.traffic:
        evaluator = Evaluator.load(trained.bundle.path)
        on_traffic = measure_on_traffic(evaluator, rows.traffic)
    result = {
        "name": name,
        "version": version,
        "traffic": on_traffic,
        "metrics": trained.bundle.manifest.metrics,
        "versions": versions,
        "measured": measured,
        "cases": [outcome_values(each) for each in trained.outcomes],
    }
    return JobOutcome(f"{name} version {version} is ready", result)


def _evaluate(stores: Stores, job: Job, request: EvaluateRequest, reporter: Reporter) -> JobOutcome:
    """Measures versions of an evaluator on a data set's labelled rows, as served."""
    name, versions = _parameters(job, "name", "versions")
    data = read_labelled(stores, stored_source(request.data))
    measured = _measure(stores, job, request, name, versions, data, reporter)
    result = {"name": name, "versions": versions, "measured": measured}
    return JobOutcome(f"measured on {len(data.rows)} rows", result)


_OPERATIONS: Mapping[str, tuple[type[Request], Callable[..., JobOutcome]]] = {
    "label": (LabelRequest, _label),
    "score": (ScoreRequest, _score),
    "train": (TrainRequest, _train),
    "evaluate": (EvaluateRequest, _evaluate),
}


def _parameters(job: Job, *names: str) -> list[Any]:
    """Some of a job's parameters.

    Raises:
        WorkspaceError: The job has none of that name.
    """
    if not job.parameters.keys() >= set(names):
        raise WorkspaceError(
            "another version of Tipstaff started this job, and it can't be resumed",
            remedy="start a new one",
        )
    return [job.parameters[name] for name in names]


def _measure(
    stores: Stores,
    job: Job,
    request: EvaluateRequest,
    name: str,
    versions: Sequence[int],
    data: Data,
    reporter: Reporter,
) -> dict[str, Any]:
    """Evaluates the first version, and compares it with the second where there is one.

    The report and the comparison are in the job's folder.

    Returns:
        Each version's metrics, by version as text.
    """
    from tipstaff_trainer.evaluation.metrics import classification_metrics
    from tipstaff_trainer.operations.subject import Subject

    folder = stores.jobs.folder(job.id)
    bundles = {
        f"{name} version {version}": stores.evaluators.bundle(name, version) for version in versions
    }
    (title, bundle), *others = bundles.items()
    request = request.model_copy(update={"bundle": bundle, "out": folder / REPORT_FOLDER})
    evaluated = evaluate(request, lambda: data, reporter, title=title).subject
    assert evaluated is not None
    subjects = [
        evaluated,
        *(
            Subject.load(path, data, title=title, precision=request.precision)
            for title, path in others
        ),
    ]
    if others:
        older = subjects[1]
        comparison = CompareRequest(
            first=older.bundle.path,
            second=bundle,
            data=stored_source(request.data),
            out=folder / COMPARISON_FOLDER,
        )
        compare(comparison, lambda: data, reporter, subjects=(older, evaluated))
    labels = [row.label for row in data.rows]
    return {
        str(version): classification_metrics(labels, subject.scored.scores)
        for version, subject in zip(versions, subjects, strict=True)
    }


def _train_or_restart(
    request: TrainRequest, rows: TrainingRows, out: Path, reporter: Reporter
) -> Trained:
    """Trains; begins anew where the labels have changed since the training was interrupted."""
    try:
        return train(request, lambda: rows, out, reporter)
    except OtherRunError:
        reporter.warn("the rows or labels have changed since it was interrupted: it begins anew")
        return train(request.model_copy(update={"restart": True}), lambda: rows, out, reporter)


def _compared_with(stores: Stores, name: str, version: int, reporter: Reporter) -> list[int]:
    """The version that is Online, to measure a new one beside; none if it is damaged."""
    serving = stores.evaluators.serving(name)
    if serving in (None, version):
        return []
    try:
        Bundle.open(stores.evaluators.path(name, serving))
    except TipstaffError as error:
        reporter.warn(f"not compared with version {serving}, which is Online: {error}")
        return []
    return [serving]


def _publish(bundle: Bundle, stores: Stores) -> int:
    """The bundle's version; published once, however often the job is resumed."""
    name = bundle.manifest.name
    for version in repository.versions(stores.repository, name):
        # Another version's damage is no reason to fail.
        with suppress(TipstaffError):
            if read_manifest(stores.evaluators.path(name, version)) == bundle.manifest:
                return version
    return repository.publish(bundle.path, stores.repository)
