"""Makes a trained evaluator's manifest: its files, what it was trained on, and how well it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle, sha256_of
from tipstaff_server.evaluator.manifest import (
    EVIDENCE_FILE,
    FRAMING_FILE,
    SEEN_FILE,
    TOKENIZER_FILE,
    Encoding,
    Judge,
    Manifest,
    Training,
)
from tipstaff_trainer.data import Row, fingerprint, hash_training_rows
from tipstaff_trainer.data.origins import label_origins
from tipstaff_trainer.distil.dataset import EncodedRows
from tipstaff_trainer.evaluation.learnt import measure_learnt
from tipstaff_trainer.evaluation.quality import measure_quality, scored_outputs, without_pass
from tipstaff_trainer.export.graph import MeasuredGraph
from tipstaff_trainer.operations.origin import hashes_of
from tipstaff_trainer.operations.plan import Plan
from tipstaff_trainer.operations.previous import scores_before
from tipstaff_trainer.operations.split import RowEncoders, Split
from tipstaff_trainer.operations.train import TrainingRows, TrainRequest
from tipstaff_trainer.probes.validation import probe_validation
from tipstaff_trainer.progress import Reporter


def write_files(
    out: Path,
    plan: Plan,
    encoders: RowEncoders,
    learnt: Sequence[Row],
    graphs: Sequence[MeasuredGraph],
) -> dict[str, str]:
    """Writes the files that the graphs need beside them, and the hashes of the training rows.

    Args:
        out: The bundle's folder, with the graphs' files.
        plan: The base encoder, and the evaluator that the run started from.
        encoders: What measures the lexical evidence, and tells framing.
        learnt: All rows that the evaluator may have learnt from.
        graphs: The graphs.

    Returns:
        The SHA-256 of each file, the graphs' among them.
    """
    (out / TOKENIZER_FILE).write_text(plan.base.tokenizer.to_str(), encoding="utf-8")
    learnt_before = None if plan.origin is None else hashes_of(plan.origin)
    (out / SEEN_FILE).write_bytes(hash_training_rows(learnt, learnt_before))
    files = [TOKENIZER_FILE, SEEN_FILE, *(file for each in graphs for file in each.graph.files)]
    for file, part in ((EVIDENCE_FILE, encoders.meter), (FRAMING_FILE, encoders.framing)):
        if part is not None:
            (out / file).write_bytes(part.to_bytes())
            files.append(file)
    return {file: sha256_of(out / file) for file in files}


def describe_training(
    rows: TrainingRows, weighted: Sequence[Row], plan: Plan, split: Split
) -> Training:
    """What an evaluator was trained on, and how.

    Args:
        rows: The rows as they came.
        weighted: Those to train on, each weighted by its label's source.
        plan: The settings, and what the base encoder can't read.
        split: The rows by their use.
    """
    origins = label_origins(weighted)
    return Training(
        rows=len(split.train),
        validation_rows=len(split.validation),
        fingerprint=fingerprint(rows.train),
        label_sources=Counter(row.label_source for row in weighted),
        judges=tuple(
            Judge(name=name, prompt=prompt, rows=count) for name, prompt, count in origins.judges
        ),
        reviewers=origins.reviewers,
        settings=plan.settings.model_dump(),
        unread=plan.unread,
    )


def make_manifest(
    request: TrainRequest,
    plan: Plan,
    training: Training,
    encoding: Encoding,
    graphs: Sequence[MeasuredGraph],
    checksums: dict[str, str],
) -> Manifest:
    """The manifest of an evaluator before its first graph is measured as it will be served.

    Args:
        request: The evaluator's name and criterion.
        plan: What it was trained from.
        training: What it was trained on.
        encoding: How it reads interactions.
        graphs: Its graphs, the quickest on a CPU first.
        checksums: The SHA-256 of each of its files.
    """
    return Manifest(
        name=request.name,
        criterion=request.criterion,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        tipstaff_version=version("tipstaff"),
        base=plan.base.info,
        encoding=encoding,
        graphs=tuple(each.graph for each in graphs),
        training=training,
        lineage=() if plan.origin is None else plan.origin.lineage(),
        metrics=graphs[0].metrics,
        checksums=checksums,
    )


def measure_bundle(
    bundle: Bundle,
    graph: MeasuredGraph,
    parts: Mapping[str, EncodedRows],
    split: Split,
    request: TrainRequest,
    reporter: Reporter,
) -> Manifest:
    """Measures an evaluator through the server's code, on rows that it wasn't trained on.

    Args:
        bundle: Its bundle, whose manifest is still to be written.
        graph: The graph that is measured.
        parts: The encoded rows whose outputs the graph has.
        split: The rows by their use.
        request: The version before, if any, and the seed.
        reporter: Takes warnings.

    Returns:
        The manifest with the quality, whether the evaluator has learnt, and the probes.
    """
    evaluator = Evaluator.of(bundle, precision=graph.graph.precision)
    scored = {
        name: scored_outputs(evaluator, parts[name].rows, parts[name].encoded, outputs)
        for name, outputs in graph.outputs.items()
    }
    learnt = measure_learnt(scored, split.train, scores_before(request.previous, reporter))
    if not learnt.verdict:
        scored = {name: without_pass(part, graph.graph.policy) for name, part in scored.items()}
    quality = {name: measure_quality(part) for name, part in scored.items()}
    probes = probe_validation(evaluator, split.validation, seed=request.seed, reporter=reporter)
    update = {"quality": quality, "learnt": learnt, "probes": probes}
    return bundle.manifest.model_copy(update=update)
