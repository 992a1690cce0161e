"""A training run, from rows to a bundle.

    rows → split by group → distil → export → quantise → parity → calibrate → measure → bundle

Its stages are the modules `plan`, `split`, `distillation`, `graphs` and `manifest`, in this order.
Everything after `quantise` runs the graph through the server's session: what is measured is what
will be served.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import transformers

from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.cases import CASES_FILE
from tipstaff_server.evaluator.manifest import CARD_FILE, Encoding, Graph, Manifest
from tipstaff_trainer.data import Row, fingerprint
from tipstaff_trainer.distil.teacher import adopt_teacher
from tipstaff_trainer.export.bundle_writer import cases_json, write_bundle
from tipstaff_trainer.operations.distillation import distil
from tipstaff_trainer.operations.graphs import build_graphs, check_exportable
from tipstaff_trainer.operations.manifest import (
    describe_training,
    make_manifest,
    measure_bundle,
    write_files,
)
from tipstaff_trainer.operations.plan import Plan, make_plan
from tipstaff_trainer.operations.split import (
    encode_parts,
    make_encoders,
    make_fit_data,
    split_by_use,
)
from tipstaff_trainer.operations.train import TrainingRows, TrainRequest
from tipstaff_trainer.progress import Reporter
from tipstaff_trainer.report.card import model_card


def run_pipeline(
    request: TrainRequest,
    rows: TrainingRows,
    weighted: Sequence[Row],
    out: Path,
    reporter: Reporter,
) -> Bundle:
    """Trains an evaluator and writes its bundle; see `train`.

    Args:
        request: What to train, and how.
        rows: The rows.
        weighted: The rows to train on, each weighted by its label's source, without those of
            weight 0.
        out: The bundle's folder.
        reporter: Takes notes and warnings.
    """
    _quiet_libraries()
    plan = make_plan(request, rows, weighted, out, reporter)
    split = split_by_use(rows, weighted, plan.settings, reporter)
    encoders = make_encoders(plan, split, rows.fields, reporter)
    parts = encode_parts(split, encoders, plan.settings, reporter)
    encoding = encoders.encoding

    # Both refuse now what would fail after hours of training.
    check_exportable(plan.base, plan.settings, reporter)
    if request.teacher is not None:
        _adopt_teacher(request.teacher, plan, encoding, rows.train)
    fit_data = make_fit_data(parts, split.unlabelled, encoders, plan.settings)
    evidence = encoding.evidence is not None
    model = distil(plan, fit_data, evidence=evidence, tracker=request.tracker, reporter=reporter)

    graphs = build_graphs(model, parts, encoders.serving, request, out, plan.run, reporter)
    checksums = write_files(out, plan, encoders, [*rows.train, *split.unlabelled], graphs)
    training = describe_training(rows, weighted, plan, split)
    manifest = make_manifest(request, plan, training, encoding, graphs, checksums)
    # Its manifest is still to be written.
    bundle = Bundle(out, manifest)
    manifest = measure_bundle(bundle, graphs[0], parts, split, request, reporter)
    return _write(out, manifest, graphs[0].graph, request, reporter)


def _adopt_teacher(teacher: Path, plan: Plan, encoding: Encoding, rows: Sequence[Row]) -> None:
    adopt_teacher(
        teacher,
        plan.run,
        base=plan.base.info,
        encoding=encoding,
        fingerprint=fingerprint(rows),
        settings=plan.settings,
    )


def _write(
    out: Path, manifest: Manifest, graph: Graph, request: TrainRequest, reporter: Reporter
) -> Bundle:
    """Completes the bundle with its manifest, card and named cases."""
    added = {CARD_FILE: model_card(manifest).encode()}
    if request.cases is not None:
        added[CASES_FILE] = cases_json(request.cases)
    if graph.calibration.method == "none":
        reporter.warn(
            "too few validation rows of both classes to calibrate on, so scores are not "
            "probabilities yet",
            remedy="label more rows",
        )
    write_bundle(out, manifest, added)
    return Bundle.open(out)


def _quiet_libraries() -> None:
    """Keeps out of the log what users can't act on."""
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    for noisy in ("optimum", "accelerate", "huggingface_hub", "torch.onnx", "onnxruntime"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
