"""Training as a job: a data set's labelled rows to the next version in the repository."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import transformers

from tipstaff.errors import TipstaffError
from tipstaff.types import Field
from tipstaff_server import repository
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle, read_manifest
from tipstaff_server.evaluator.cases import CASES, Case, run_cases
from tipstaff_server.evaluator.manifest import MANIFEST_FILE
from tipstaff_trainer.data import Row, check_trainable
from tipstaff_trainer.data.rows import narrow
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.operations.train import train_evaluator
from tipstaff_trainer.workspace.db.models import Job, LabelSet
from tipstaff_trainer.workspace.db.rows import to_data_row
from tipstaff_trainer.workspace.job_calls import BUNDLE_FOLDER
from tipstaff_trainer.workspace.jobs.measuring import measure
from tipstaff_trainer.workspace.labels.cases import outcome_values
from tipstaff_trainer.workspace.workspace import Workspace


def run(workspace: Workspace, job: Job) -> tuple[str, dict[str, Any]]:
    """Trains, publishes, and measures it beside the version that serves, on the test rows."""
    _quiet_libraries()
    given = job.parameters
    name, fields = given["name"], tuple(given["fields"])
    labels = workspace.label_set(int(given["dataset"]), given.get("judged_by"))
    rows = _narrowed(_to_train_on(workspace, labels, relabel=given.get("relabel", False)), fields)
    test_rows = _narrowed(workspace.datasets.labelled(labels, part="test"), fields)
    settings = TrainSettings.model_validate(given["settings"])
    # The full evaluator, which teaches the small one, labels them.
    unlabelled = [] if settings.size == "full" else _unlabelled(workspace, labels, fields)
    print(f"{len(rows)} rows to train on, {len(test_rows)} to test on", flush=True)
    if unlabelled:
        print(f"{len(unlabelled)} rows without a label to learn from too", flush=True)
    # A job of an older Tipstaff says nothing of cases.
    cases = None if given.get("cases") is None else CASES.validate_python(tuple(given["cases"]))
    for warning in check_trainable(rows):
        print(f"warning: {warning}", flush=True)
    out = workspace.jobs.folder(job.id) / BUNDLE_FOLDER
    if (out / MANIFEST_FILE).exists():
        bundle = Bundle.open(out)  # it was stopped after the training
    else:
        bundle = train_evaluator(
            rows,
            name=name,
            out=out,
            fields=fields,
            settings=settings,
            test_rows=test_rows,
            unlabelled=unlabelled,
            criterion=given["criterion"],
            cases=cases,
        )
    version = _published(bundle, workspace)
    serving = workspace.evaluators.serving(name)
    versions = [version] if serving in (None, version) else [version, serving]
    measured = (
        measure(workspace, job, name, versions, test_rows, data=f"{labels.title}, test rows")
        if test_rows
        else {}
    )
    return f"{name} version {version} is in the repository", {
        "name": name,
        "version": version,
        "metrics": bundle.manifest.metrics,
        "versions": versions,
        "measured": measured,
        "cases": _outcomes(bundle, cases or ()),
    }


def _to_train_on(workspace: Workspace, labels: LabelSet, *, relabel: bool) -> list[Row]:
    if not relabel:
        return workspace.datasets.labelled(labels, part="train")
    # Only now: it is seldom asked for, and takes a while to import.
    from tipstaff_trainer.workspace.jobs.relabelled import relabelled

    stored = workspace.datasets.rows(labels)
    return relabelled([row for row in stored if row.label is not None and row.part == "train"])


def _outcomes(bundle: Bundle, cases: Sequence[Case]) -> list[dict[str, Any]]:
    """What became of the named cases, for people."""
    if not cases:
        return []
    outcomes = run_cases(Evaluator.load(bundle.path), cases)
    for outcome in outcomes:
        print(f"named case {outcome}: {'met' if outcome.met else 'FAILS'}", flush=True)
    return [outcome_values(each) for each in outcomes]


def _unlabelled(workspace: Workspace, labels: LabelSet, fields: Sequence[Field]) -> list[Row]:
    rows = [
        to_data_row(row)
        for row in workspace.datasets.rows(labels, only="unlabelled")
        if row.part == "train"
    ]
    return _narrowed(rows, fields)


def _published(bundle: Bundle, workspace: Workspace) -> int:
    """The bundle's version; published once, however often the job is gone on with."""
    name = bundle.manifest.name
    for version in repository.versions(workspace.repository, name):
        path = repository.bundle_path(workspace.repository, name, version)
        # Another version's damage is no matter of this one's.
        with suppress(TipstaffError):
            if read_manifest(path) == bundle.manifest:
                return version
    return repository.publish(bundle.path, workspace.repository)


def _narrowed(rows: Sequence[Row], fields: Sequence[Field]) -> list[Row]:
    narrowed = [replace(row, interaction=narrow(row.interaction, fields)) for row in rows]
    return [
        row for row in narrowed if any((row.interaction.get(name) or "").strip() for name in fields)
    ]


def _quiet_libraries() -> None:
    """Leaves the log to what users can act on."""
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    for noisy in ("optimum", "accelerate", "huggingface_hub", "torch.onnx", "onnxruntime"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
