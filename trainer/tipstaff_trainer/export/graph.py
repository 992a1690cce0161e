"""Builds one graph of a bundle: written, compared with torch, calibrated, measured."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tipstaff_server.evaluator.calibration import calibrate
from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.fallback import score_of
from tipstaff_server.evaluator.manifest import Calibration, Graph, Ood, Parity, Precision
from tipstaff_server.evaluator.ood import THRESHOLD, OodMeter
from tipstaff_server.evaluator.session import Session
from tipstaff_trainer.data import Row
from tipstaff_trainer.errors import ExportError, ParityError, first_line
from tipstaff_trainer.evaluation.base import Metrics
from tipstaff_trainer.evaluation.calibration import fit_platt
from tipstaff_trainer.evaluation.fallback import fit_fallback
from tipstaff_trainer.evaluation.metrics import classification_metrics
from tipstaff_trainer.evaluation.ood import Representations, fit_ood, ood_scores
from tipstaff_trainer.evaluation.predict import Embeddings, Logits, graph_outputs
from tipstaff_trainer.export import parity
from tipstaff_trainer.export.golden import Candidates, choose_golden
from tipstaff_trainer.export.precision import convert_to_fp16, quantise_to_int8

Outputs = tuple[Logits, Embeddings]

_PROBES = 64


@dataclass(frozen=True, slots=True)
class RowSet:
    """Rows with their encodings and the trained model's logits in torch."""

    rows: Sequence[Row]
    encoded: Sequence[Encoded]
    torch: Logits

    @property
    def labels(self) -> npt.NDArray[np.float64]:
        """Probabilities in [0, 1], shape (n,)."""
        return np.array([row.label for row in self.rows], dtype=float)


@dataclass(frozen=True, slots=True)
class MeasuredGraph:
    """A graph of the bundle, and how it does on rows that it wasn't trained on.

    Attributes:
        graph: Its entry in the manifest.
        metrics: By name of the row set.
        outputs: Logits and embeddings of each row, by name of the row set.
    """

    graph: Graph
    metrics: dict[str, Metrics]
    outputs: Mapping[str, Outputs]


def build_graph(
    precision: Precision,
    *,
    fp32_file: Path,
    folder: Path,
    pad_id: int,
    row_sets: Mapping[str, RowSet],
    golden: Sequence[Candidates],
    wide: Sequence[str] = (),
) -> MeasuredGraph:
    """Writes a graph into `folder` and measures it through the server's session.

    Args:
        precision: The precision of the graph's linear layers.
        fp32_file: The exported model.
        folder: The folder for the graph's files.
        pad_id: The padding token's id.
        row_sets: By name: `train`, `validation` and perhaps `test`.
        golden: The interactions to choose from for servers to re-score.
        wide: Names of the linear layers of an int8 graph that stay in fp32.

    Raises:
        ExportError: The graph can't be made.
        ParityError: The graph's decisions differ from the trained model's.
    """
    file = folder / f"model.{precision}.onnx"
    try:
        _convert(precision, fp32_file, file, wide)
        session = Session(file.read_bytes(), pad_id=pad_id)
    except Exception as error:  # those of the converters and of onnxruntime have no common base
        raise ExportError(f"the {precision} graph can't be made: {first_line(error)}") from error
    outputs, calibration, difference = _faithful_outputs(session, precision, row_sets)

    def score(encoded: Sequence[Encoded]) -> npt.NDArray[np.float64]:
        logits, _ = graph_outputs(session, encoded, what="golden interactions")
        return _calibrated(logits, calibration)

    validation, train = row_sets["validation"], row_sets["train"]
    probes = [tokens for one in validation.encoded[:_PROBES] for tokens in one.runs][:_PROBES]
    others = _represented(validation, outputs["validation"])
    meter = fit_ood(_represented(train, outputs["train"]), others)
    graph = Graph(
        file=file.name,
        precision=precision,
        wide_layers=tuple(wide),
        # Dynamic int8 scales activations by the whole run, so batch-mates always matter.
        batch_invariant=precision != "int8" and session.is_batch_invariant(probes),
        calibration=calibration,
        parity=difference,
        ood=None if meter is None else _write_ood(folder / f"ood.{precision}.npz", meter, others),
        fallback=None if meter is None else fit_fallback(train.rows, train.encoded),
        golden=choose_golden(golden, score),
    )
    metrics = {
        name: classification_metrics(part.labels, _scores(graph, meter, part, outputs[name]))
        for name, part in row_sets.items()
        if name != "train"
    }
    return MeasuredGraph(graph, metrics, {name: outputs[name] for name in metrics})


def _convert(precision: Precision, source: Path, target: Path, wide: Sequence[str]) -> None:
    if precision == "int8":
        quantise_to_int8(source, target, wide=wide)
    elif precision == "fp16":
        convert_to_fp16(source, target)
    else:
        shutil.copyfile(source, target)


def _faithful_outputs(
    session: Session, precision: Precision, row_sets: Mapping[str, RowSet]
) -> tuple[dict[str, Outputs], Calibration, Parity]:
    """The graph's outputs by name of the row set, its calibration, and its parity with torch.

    Raises:
        ParityError: The graph's decisions differ from the trained model's.
    """
    validation = row_sets["validation"]
    # First, since they may refuse the graph, and are fewer.
    outputs = {"validation": _outputs(session, precision, "validation", validation)}
    weights = np.array([row.weight for row in validation.rows], dtype=float)
    calibration = fit_platt(outputs["validation"][0], validation.labels, weights)
    # The logit whose calibrated score is one half.
    cut = -calibration.intercept / calibration.slope

    def compare(names: Collection[str]) -> Parity:
        return parity.compare(
            {name: row_sets[name].torch for name in names},
            {name: outputs[name][0] for name in names},
            validation.labels,
            cut=cut,
        )

    parity.gate_auroc(compare(["validation"]), precision)
    for name, part in row_sets.items():
        if name != "validation":
            outputs[name] = _outputs(session, precision, name, part)
    difference = compare(row_sets.keys())
    parity.gate(difference, precision)
    return outputs, calibration, difference


def _calibrated(logits: Logits, calibration: Calibration) -> npt.NDArray[np.float64]:
    return np.array([calibrate(logit, calibration) for logit in logits])


def _outputs(session: Session, precision: Precision, name: str, part: RowSet) -> Outputs:
    """The graph's outputs for rows.

    Raises:
        ParityError: A logit is not a number, as after an overflow in fp16.
    """
    outputs = graph_outputs(session, part.encoded, what=f"{precision} graph, {name} rows")
    if broken := int((~np.isfinite(outputs[0])).sum()):
        raise ParityError(
            f"the {precision} graph gives no number on {broken} of {len(part.rows)} {name} rows"
        )
    return outputs


def _represented(part: RowSet, outputs: Outputs) -> Representations:
    return Representations.of(outputs[1], part.encoded)


def _write_ood(file: Path, meter: OodMeter, validation: Representations) -> Ood:
    file.write_bytes(meter.to_bytes())
    flagged = float((ood_scores(meter, validation) > THRESHOLD).mean())
    return Ood(file=file.name, n=len(validation.lengths), flagged=flagged)


def _scores(
    graph: Graph, meter: OodMeter | None, part: RowSet, outputs: Outputs
) -> npt.NDArray[np.float64]:
    """The scores that a server gives rows, shape (n,)."""
    if meter is None:
        return _calibrated(outputs[0], graph.calibration)
    unlike = ood_scores(meter, _represented(part, outputs))
    rows = zip(outputs[0].tolist(), part.encoded, unlike.tolist(), strict=True)
    return np.array([score_of(graph, logit, one, ood) for logit, one, ood in rows])
