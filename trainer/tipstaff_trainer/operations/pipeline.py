"""A training run, from rows to a bundle.

    rows → split by group → distil → export → quantise → parity → calibrate → measure → bundle

Everything after `quantise` runs the graph through the server's session: what is measured is what
will be served.
"""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import transformers

from tipstaff.errors import TipstaffError
from tipstaff.types import FIELDS
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle, sha256_of
from tipstaff_server.evaluator.cases import CASES_FILE
from tipstaff_server.evaluator.encoding import Encoder
from tipstaff_server.evaluator.manifest import (
    CARD_FILE,
    EVIDENCE_FILE,
    SEEN_FILE,
    TOKENIZER_FILE,
    Encoding,
    Judge,
    Manifest,
    Precision,
    Training,
)
from tipstaff_trainer.data import (
    Row,
    check_split,
    fingerprint,
    hash_training_rows,
    split_rows,
    without_groups_of,
)
from tipstaff_trainer.data.origins import label_origins
from tipstaff_trainer.distil.checkpoints import WEIGHTS_FILE
from tipstaff_trainer.distil.dataset import EncodedRows
from tipstaff_trainer.distil.inference import torch_logits
from tipstaff_trainer.distil.lexical import LexicalHead, fit_lexical
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.distil.origin import Origin
from tipstaff_trainer.distil.run_folder import open_run
from tipstaff_trainer.distil.settings import ResolvedSettings
from tipstaff_trainer.distil.student import Start, layers_of, shrink, train_small
from tipstaff_trainer.distil.teacher import adopt_teacher
from tipstaff_trainer.distil.tracking import Tracker
from tipstaff_trainer.distil.training import train_model
from tipstaff_trainer.distil.weights import load_weights, save_weights
from tipstaff_trainer.encoders.base import DEFAULT_BASE, Base, find_base
from tipstaff_trainer.encoders.evidence import count_words
from tipstaff_trainer.encoders.unread import measure_unread
from tipstaff_trainer.errors import ExportError, one_line
from tipstaff_trainer.evaluation.learnt import measure_learnt
from tipstaff_trainer.evaluation.quality import (
    measure_quality,
    scored_outputs,
    without_pass,
)
from tipstaff_trainer.export.bundle_writer import cases_json, write_bundle
from tipstaff_trainer.export.golden import Candidates, candidates_of_rows, made_up_candidates
from tipstaff_trainer.export.graph import MeasuredGraph, RowSet
from tipstaff_trainer.export.graphs import GraphBuilder
from tipstaff_trainer.export.onnx_graph import export_fp32
from tipstaff_trainer.operations.encoding import (
    choose_encoding,
    practice_encoding,
    searched,
    warn_of_unread,
    with_rewritten,
)
from tipstaff_trainer.operations.origin import base_of, hashes_of, warn_of_seen
from tipstaff_trainer.operations.previous import scores_before
from tipstaff_trainer.operations.readable import check_readable
from tipstaff_trainer.operations.train import TrainingRows, TrainRequest
from tipstaff_trainer.probes.augment import suitable_lengthening, suitable_share
from tipstaff_trainer.probes.validation import probe_validation
from tipstaff_trainer.progress import Reporter
from tipstaff_trainer.report.card import model_card

_PRECISIONS: tuple[Precision, ...] = get_args(Precision)
# Enough to measure a share of changed decisions to a quarter of a per cent, and ten rows for each
# dimension of the usual embeddings' covariance; more would cost a long run a tenth of its time.
_COMPARED_ROWS = 4000


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
    origin = None if request.start_from is None else Origin.open(request.start_from)
    base = find_base(request.base if origin is None else base_of(request, origin))
    unread = measure_unread(base.tokenizer, weighted, rows.fields)
    check_readable(unread, request, reporter)
    settings = request.resolve(
        rows=len(weighted),
        hidden_size=base.config.hidden_size,
        words=_mean_words(weighted),
        rewritten=suitable_share(weighted),
        lengthened=suitable_lengthening(weighted),
    )
    if origin is not None:
        origin.check(base.info, rows.fields)
        settings = origin.settings(settings)
    labelled = [*rows.train, *rows.unlabelled]
    identity = "" if origin is None else f"{origin.lineage()}"
    run = open_run(out, labelled, settings, rows.fields, restart=request.restart, origin=identity)

    train, validation = split_rows(weighted, settings.validation_size, seed=settings.seed)
    for warning in check_split(train, validation, settings.validation_size):
        reporter.warn(warning)
    encoding = choose_encoding(base, train, rows.fields, settings, reporter)
    if origin is not None:
        encoding = origin.encoding(encoding, settings)
        warn_of_seen(origin, {"validation": validation, "test": rows.test}, reporter)
        meter = origin.meter
    else:
        meter = None if encoding.evidence is None else count_words(base.tokenizer, train)
    encoder = Encoder(base.tokenizer.to_str(), encoding, meter)
    practice = Encoder(base.tokenizer.to_str(), practice_encoding(encoding), meter)
    encoded = {"train": EncodedRows.of(train, practice)} | {
        name: EncodedRows.of(part, encoder)
        for name, part in {"validation": validation, "test": rows.test}.items()
        if part
    }
    unlabelled = without_groups_of(rows.unlabelled, [*validation, *rows.test])
    warn_of_unread(encoded, reporter)
    encoded["train"] = with_rewritten(encoded["train"], practice, settings, learnt=True)
    if base.info.name != DEFAULT_BASE:
        _check_exportable(base, settings, reporter)
    if request.teacher is not None:
        adopt_teacher(
            request.teacher,
            run,
            base=base.info,
            encoding=encoding,
            fingerprint=fingerprint(rows.train),
            settings=settings,
        )

    more = EncodedRows.of(unlabelled, practice)
    # The best step is best with rewritten rows too; calibration and figures are of plain ones.
    selecting = with_rewritten(encoded["validation"], encoder, settings, learnt=False)
    fitted = {"train": searched(encoded["train"]), "validation": searched(selecting)}
    model = _distil(base, fitted, more, encoding, settings, run, request.tracker, reporter, origin)
    try:
        graphs = _build_graphs(model, encoded, encoder, request, out, run, reporter)
    except Exception as error:  # those of the exporter and of onnxruntime have no common base
        why = error.message if isinstance(error, TipstaffError) else one_line(error)
        raise ExportError(
            f"the model is trained, but {why}",
            remedy=f"its weights are kept in {run / WEIGHTS_FILE}: the same request starts from "
            "there, also with other {precisions}",
        ) from error
    (out / TOKENIZER_FILE).write_text(base.tokenizer.to_str(), encoding="utf-8")
    learnt_before = None if origin is None else hashes_of(origin)
    seen = hash_training_rows([*rows.train, *unlabelled], learnt_before)
    (out / SEEN_FILE).write_bytes(seen)
    files = [TOKENIZER_FILE, SEEN_FILE, *(file for each in graphs for file in each.graph.files)]
    if meter is not None:
        (out / EVIDENCE_FILE).write_bytes(meter.to_bytes())
        files.append(EVIDENCE_FILE)
    origins = label_origins(weighted)
    manifest = Manifest(
        name=request.name,
        criterion=request.criterion,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        tipstaff_version=version("tipstaff"),
        base=base.info,
        encoding=encoding,
        graphs=tuple(each.graph for each in graphs),
        training=Training(
            rows=len(train),
            validation_rows=len(validation),
            fingerprint=fingerprint(rows.train),
            label_sources=Counter(row.label_source for row in weighted),
            judges=tuple(
                Judge(name=name, prompt=prompt, rows=count)
                for name, prompt, count in origins.judges
            ),
            reviewers=origins.reviewers,
            settings=settings.model_dump(),
            unread=unread,
        ),
        lineage=() if origin is None else origin.lineage(),
        metrics=graphs[0].metrics,
        checksums={file: sha256_of(out / file) for file in files},
    )
    # Its manifest is still to be written.
    evaluator = Evaluator.of(Bundle(out, manifest), precision=graphs[0].graph.precision)
    scored = {
        name: scored_outputs(evaluator, encoded[name].rows, encoded[name].encoded, outputs)
        for name, outputs in graphs[0].outputs.items()
    }
    learnt = measure_learnt(scored, train, scores_before(request.previous, reporter))
    if not learnt.verdict:
        policy = graphs[0].graph.policy
        scored = {name: without_pass(part, policy) for name, part in scored.items()}
    quality = {name: measure_quality(part) for name, part in scored.items()}
    probes = probe_validation(evaluator, validation, seed=settings.seed, reporter=reporter)
    manifest = manifest.model_copy(update={"quality": quality, "learnt": learnt, "probes": probes})
    added = {CARD_FILE: model_card(manifest).encode()}
    if request.cases is not None:
        added[CASES_FILE] = cases_json(request.cases)
    if graphs[0].graph.calibration.method == "none":
        reporter.warn(
            "too few validation rows of both classes to calibrate on, so scores are not "
            "probabilities yet",
            remedy="label more rows",
        )
    write_bundle(out, manifest, added)
    return Bundle.open(out)


def _mean_words(rows: Sequence[Row]) -> float:
    texts = (row.interaction.get(name) or "" for row in rows for name in FIELDS)
    return sum(len(text.split()) for text in texts) / len(rows)


def _distil(
    base: Base,
    encoded: Mapping[str, EncodedRows],
    unlabelled: EncodedRows,
    encoding: Encoding,
    settings: ResolvedSettings,
    run: Path,
    tracker: Tracker,
    reporter: Reporter,
    origin: Origin | None,
) -> EvaluatorModel:
    rows = encoded["train"].one_pass()
    fit = fit_lexical(rows.rows, rows.encoded) if encoding.evidence else None

    def start() -> EvaluatorModel:
        encoder = base.load(dropout=settings.dropout)
        lexical = None if fit is None else LexicalHead(encoder.config.hidden_size, fit)
        model = EvaluatorModel(
            encoder, marks=settings.marks, dropout=settings.dropout, lexical=lexical
        )
        return model if origin is None else origin.load(model)

    def train(start: Start, training: EncodedRows, folder: Path) -> EvaluatorModel:
        return train_model(
            start,
            training,
            encoded["validation"],
            settings,
            folder,
            pad_id=base.special.pad,
            tracker=tracker,
            reporter=reporter,
        )

    if (run / WEIGHTS_FILE).exists():
        model = start().eval()
        if settings.size != "full":
            model = shrink(model, layers_of(model, settings.size))
        load_weights(model, run)
        reporter.note(f"the model is trained already: its weights are in {run / WEIGHTS_FILE}")
        return model
    if settings.size == "full":
        model = train(start, encoded["train"], run)
    else:
        model = train_small(
            train,
            start,
            encoded["train"],
            unlabelled,
            size=settings.size,
            run=run,
            pad_id=base.special.pad,
        )
    save_weights(model, run)
    return model


def _build_graphs(
    model: EvaluatorModel,
    encoded: Mapping[str, EncodedRows],
    encoder: Encoder,
    request: TrainRequest,
    out: Path,
    run: Path,
    reporter: Reporter,
) -> list[MeasuredGraph]:
    """Exports the model and measures each graph, the quickest on a CPU first."""
    # A sample is enough to compare graphs and to fit the out-of-distribution detector.
    seen = encoded["train"].one_pass()
    compared = {**encoded, "train": seen.sample(_COMPARED_ROWS, seed=request.seed)}
    pad_id = encoder.encoding.pad_id
    row_sets = {
        name: RowSet(part.rows, part.encoded, torch_logits(model, part.encoded, pad_id=pad_id))
        for name, part in compared.items()
    }
    with tempfile.TemporaryDirectory(dir=run) as folder:
        file = Path(folder) / "model.onnx"
        export_fp32(model, file, reporter=reporter)
        builder = GraphBuilder(
            fp32_file=file,
            work=Path(folder),
            folder=out,
            pad_id=pad_id,
            row_sets=row_sets,
            golden=_golden(encoder, encoded["validation"], request),
            reporter=reporter,
        )
        return builder.build([each for each in _PRECISIONS if each in request.precisions])


def _golden(encoder: Encoder, validation: EncodedRows, request: TrainRequest) -> list[Candidates]:
    if request.golden_texts == "rows":
        return candidates_of_rows(validation.rows, validation.encoded, request.golden)
    return made_up_candidates(encoder, request.golden)


def _check_exportable(base: Base, settings: ResolvedSettings, reporter: Reporter) -> None:
    """Exports the untrained model, to fail now rather than after hours of training."""
    with tempfile.TemporaryDirectory() as folder:
        model = EvaluatorModel(base.load(), marks=settings.marks).eval()
        export_fp32(model, Path(folder) / "model.onnx", reporter=reporter)


def _quiet_libraries() -> None:
    """Keeps out of the log what users can't act on."""
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    for noisy in ("optimum", "accelerate", "huggingface_hub", "torch.onnx", "onnxruntime"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
