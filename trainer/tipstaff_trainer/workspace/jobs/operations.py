"""What the process of a job does: an operation on stored data, its results stored or published."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from tipstaff.errors import TipstaffError
from tipstaff_server import repository
from tipstaff_server.evaluator.bundle import Bundle, read_manifest
from tipstaff_server.evaluator.manifest import MANIFEST_FILE
from tipstaff_trainer.data import Data, Row
from tipstaff_trainer.operations.sources import StoredData
from tipstaff_trainer.progress import Reporter
from tipstaff_trainer.workspace.db.models import Job
from tipstaff_trainer.workspace.jobs.files import (
    BUNDLE_FOLDER,
    COMPARISON_FOLDER,
    REPORT_FOLDER,
)
from tipstaff_trainer.workspace.jobs.stored_rows import (
    StoredRows,
    UnscoredRows,
    read_labelled,
    read_training_rows,
    stored_source,
    to_data,
)
from tipstaff_trainer.workspace.labels.cases import outcome_values
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS
from tipstaff_trainer.workspace.stores import Stores

if TYPE_CHECKING:
    from tipstaff_trainer.operations.evaluate import EvaluateRequest

LEDGER_FILE = "ledger.sqlite"
Result = tuple[str, Mapping[str, Any]]


def run_label(stores: Stores, job: Job, reporter: Reporter) -> Result:
    """Has the judge label the rows; what was paid for is in the ledger."""
    from tipstaff_trainer.judge.ledger import Ledger
    from tipstaff_trainer.operations.label import LabelRequest, label, read_api_key
    from tipstaff_trainer.workspace.jobs.label_sink import LabelSink
    from tipstaff_trainer.workspace.labels.criteria import to_judge_criterion
    from tipstaff_trainer.workspace.review.examples import reviewed_examples

    request = LabelRequest.parse(job.parameters["request"])
    labels = stores.label_set(stored_source(request.data).dataset, request.criterion)
    criterion = stores.criteria.get(request.criterion, job.parameters["criterion_version"])
    ids = job.parameters["rows"]
    if request.only != "all":
        # Once for the whole job: a row that it labels is no longer unlabelled.
        ids = [row.id for row in stores.datasets.rows(labels, only=request.only)]
    rows = StoredRows(stores, labels, ids)
    if not len(rows):
        return "no row is left to label", {"labelled": 0, "failed": 0, "failures": []}
    stop = threading.Event()
    # The calls on their way are paid for: let them finish.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    sink = LabelSink(stores.database, labels, criterion.version)
    with Ledger(stores.folder / LEDGER_FILE) as ledger:
        try:
            outcome = label(
                request,
                rows,
                criterion=to_judge_criterion(criterion.name, criterion.criterion, criterion.prompt),
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
    result = {"labelled": sink.count, "failed": sink.failed, "failures": sink.failures}
    if outcome.stopped:
        stores.jobs.update(job.id, result=result)
        stores.jobs.finish(
            job.id, "stopped", f"{outcome.stopped}; {sink.count} rows are labelled so far"
        )
    failures = f", {sink.failed} could not be: {sink.failures[0]}" if sink.failed else ""
    return f"{sink.count} of {len(rows)} rows are labelled{failures}", result


def run_score(stores: Stores, job: Job, reporter: Reporter) -> Result:
    """Scores the rows that have no score yet, and stores each score as it comes."""
    from tipstaff_trainer.operations.score import ScoreRequest, score

    request = ScoreRequest.parse(job.parameters["request"])
    scorer = job.parameters["name"], job.parameters["version"]
    dataset = stores.datasets.get(stored_source(request.data).dataset)
    # An evaluator scores the same whatever the rows are judged by.
    labels = dataset.label_sets[0]
    if scorer == OTHER_ROWS:
        labels = stores.label_set(dataset, job.parameters["judged_by"])
        # The labels may have changed since; a version never does.
        stores.scores.delete(labels, scorer)
    rows = UnscoredRows(stores, labels, scorer)

    def store(part: Sequence[Row], scores: Sequence[float | None]) -> None:
        row_ids = [rows.row_ids.pop(row.id) for row in part]
        stores.scores.add(labels, scorer, dict(zip(row_ids, scores, strict=True)))

    score(request, rows, store, reporter)
    return f"{labels.dataset.rows:,} rows are scored", {"name": scorer[0], "version": scorer[1]}


def run_train(stores: Stores, job: Job, reporter: Reporter) -> Result:
    """Trains, publishes, and measures beside the version that serves, on the test rows."""
    from tipstaff_trainer.operations.train import Trained, TrainRequest, train

    request = TrainRequest.parse(job.parameters["request"])
    rows = read_training_rows(stores, request, reporter)
    out = stores.jobs.folder(job.id) / BUNDLE_FOLDER
    # A job that was stopped after its training has a bundle already.
    if (out / MANIFEST_FILE).exists():
        trained = Trained.of(Bundle.open(out), request.cases)
    else:
        trained = train(request, lambda: rows, out, reporter)
    for outcome in trained.outcomes:
        print(f"named case {outcome}: {'met' if outcome.met else 'FAILS'}", flush=True)
    name, version = request.name, _publish(trained.bundle, stores)
    serving = stores.evaluators.serving(name)
    versions = [version] if serving in (None, version) else [version, serving]
    source = stored_source(request.data)
    labels = stores.label_set(source.dataset, source.criterion)
    measured = {}
    if rows.test:
        data = to_data(f"{labels.title}, test rows", rows.test, rows.fields)
        measured = _measure(stores, job, name, versions, data, reporter)
    return f"{name} version {version} is ready", {
        "name": name,
        "version": version,
        "metrics": trained.bundle.manifest.metrics,
        "versions": versions,
        "measured": measured,
        "cases": [outcome_values(each) for each in trained.outcomes],
    }


def run_evaluate(stores: Stores, job: Job, reporter: Reporter) -> Result:
    """Measures versions of an evaluator on a data set's labelled rows, as served."""
    from tipstaff_trainer.operations.evaluate import EvaluateRequest

    request = EvaluateRequest.parse(job.parameters["request"])
    name, versions = job.parameters["name"], job.parameters["versions"]
    data = read_labelled(stores, stored_source(request.data))
    measured = _measure(stores, job, name, versions, data, reporter, request)
    return f"measured on {len(data.rows)} rows", {
        "name": name,
        "versions": versions,
        "measured": measured,
    }


def run_serve(stores: Stores, job: Job, reporter: Reporter) -> NoReturn:
    """Becomes the server, in this very process, so that stopping the job stops it."""
    sys.stdout.flush()
    environment = {
        **os.environ,
        "TIPSTAFF_REPOSITORY": str(stores.repository),
        "TIPSTAFF_POLL_SECONDS": "0.5",
        "TIPSTAFF_LISTEN": job.parameters["listen"],
        "TIPSTAFF_METRICS_LISTEN": "off",
    }
    os.execve(sys.executable, [sys.executable, "-m", "tipstaff", "serve"], environment)


def _measure(
    stores: Stores,
    job: Job,
    name: str,
    versions: Sequence[int],
    data: Data,
    reporter: Reporter,
    request: EvaluateRequest | None = None,
) -> dict[str, Any]:
    """Evaluates the first version, and compares it with the second where there is one.

    The report and the comparison are in the job's folder.

    Args:
        stores: The workspace's.
        job: The job that measures.
        name: The evaluator's.
        versions: The version to measure, then others to measure beside it.
        data: Labelled rows.
        reporter: Takes what to know before believing the numbers.
        request: What the report shows.

    Returns:
        Each version's metrics, by version as text.
    """
    from tipstaff_trainer.evaluation.metrics import classification_metrics
    from tipstaff_trainer.operations.compare import CompareRequest, compare
    from tipstaff_trainer.operations.evaluate import EvaluateRequest, evaluate
    from tipstaff_trainer.operations.subject import Subject

    folder = stores.jobs.folder(job.id)
    first, *others = versions
    source = request.data if request else StoredData(dataset=job.dataset_id)
    settings = request or EvaluateRequest(bundle=stores.evaluators.path(name, first), data=source)
    settings = settings.model_copy(
        update={"bundle": stores.evaluators.path(name, first), "out": folder / REPORT_FOLDER}
    )
    titles = {version: f"{name} version {version}" for version in versions}
    evaluation = evaluate(settings, lambda: data, reporter, title=titles[first])
    assert evaluation.subject is not None
    subjects = {first: evaluation.subject} | {
        version: Subject.load(stores.evaluators.path(name, version), data, title=titles[version])
        for version in others
    }
    if others:
        older = subjects[others[0]]
        comparison = CompareRequest(
            first=older.bundle.path,
            second=evaluation.subject.bundle.path,
            data=source,
            out=folder / COMPARISON_FOLDER,
        )
        compare(comparison, lambda: data, reporter, subjects=(older, evaluation.subject))
    labels = [row.label for row in data.rows]
    return {
        str(version): classification_metrics(labels, subject.scored.scores)
        for version, subject in subjects.items()
    }


def _publish(bundle: Bundle, stores: Stores) -> int:
    """The bundle's version; published once, however often the job is resumed."""
    name = bundle.manifest.name
    for version in repository.versions(stores.repository, name):
        # Another version's damage is no reason to fail.
        with suppress(TipstaffError):
            if read_manifest(stores.evaluators.path(name, version)) == bundle.manifest:
                return version
    return repository.publish(bundle.path, stores.repository)
