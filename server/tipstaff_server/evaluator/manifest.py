"""What a bundle says of itself: `manifest.json`.

A manifest is written once, last, and never changed. It grows by adding fields only; a change that
an older reader would misread raises `SCHEMA_VERSION`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from tipstaff.types import FIELDS
from tipstaff.types import Field as FieldName
from tipstaff_server.evaluator.marks import Marks

SCHEMA_VERSION: Final = 1
MANIFEST_FILE = "manifest.json"
TOKENIZER_FILE = "tokenizer.json"
CARD_FILE = "card.md"
# Hashes of what the evaluator was trained on, which no server reads.
SEEN_FILE = "seen.npy"

Precision = Literal["int8", "fp16", "fp32"]
EvaluatorName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Probability = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
# A bundle is flat: a name that could climb out of its folder is no file of it.
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class _Part(BaseModel):
    # Unknown fields are ignored, so that an older server reads a manifest that has grown.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Windows(_Part):
    """How an interaction that is too long for one run is read in several; see `windows`.

    Attributes:
        output: Tokens of the output in a run at most.
        ground_truth: Tokens of the ground truth in a run at most.
        max_runs: Of one interaction. Where it would take more, each window of the output is
            compared with those of the ground truth that are nearest to it in wording.
    """

    output: int = Field(ge=4, le=8192)
    ground_truth: int = Field(ge=4, le=8192)
    max_runs: int = Field(ge=2, le=1024)


class Encoding(_Part):
    """How an interaction becomes token ids; see `encoding`.

    Attributes:
        order: The fields read, in the order they are laid out: `[CLS] a [SEP] b [SEP] c [SEP]`.
        marks: `forms` and `words` mark the words that output and ground_truth share, and those that
            they have of the input; `overlap` the former only; `off` none. What a word is and when
            it is shared differs, see `marks`.
        max_length: Tokens in one run, special tokens included.
        cls_id: Id of the token that opens the sequence.
        sep_id: Id of the token that closes each field.
        pad_id: Id that fills a batch's shorter sequences.
        windows: How long outputs and ground truths are read; None where interactions of more than
            `max_length` tokens are cut to it.
    """

    order: tuple[FieldName, ...] = Field(min_length=1)
    marks: Marks
    max_length: int = Field(ge=16, le=8192)
    cls_id: int = Field(ge=0)
    sep_id: int = Field(ge=0)
    pad_id: int = Field(ge=0)
    windows: Windows | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Encoding:
        if len(set(self.order)) != len(self.order):
            raise ValueError("a field stands twice in `order`")
        if self.windows is not None:
            widest = sum(getattr(self.windows, name, 0) for name in self.order)
            if widest > self.max_length - 1 - len(self.order):
                raise ValueError("windows of output and ground truth don't fit into max_length")
        return self


class Calibration(_Part):
    """Platt scaling: score = sigmoid(slope * logit + intercept); see `calibration`.

    Attributes:
        slope: Positive, so that a better logit is never a worse score.
        intercept: Any number.
        method: How the two were found; `none` for the raw logit.
        n: Rows they were fitted on.
    """

    slope: float = Field(default=1.0, gt=0)
    intercept: float = 0.0
    method: Literal["none", "platt"] = "none"
    n: int = Field(default=0, ge=0)


class Certificate(_Part):
    """A guarantee on the cuts of one graph; `tipstaff.types.Certificate` explains the rest.

    Attributes:
        max_false_pass: 1 where nothing is promised of it.
        max_false_block: 1 where nothing is promised of it.
        n_bad: Rows that the promise on PASS rests on; None where nobody wrote it down.
        n_good: Rows that the promise on BLOCK rests on.
        fingerprint: SHA-256 over all these rows, in order.
        unseen_checked: Whether these rows were compared with those that the evaluator was trained
            on; False where the bundle doesn't know its training rows, None where nobody wrote it
            down.
    """

    max_false_pass: Probability
    max_false_block: Probability
    confidence: Probability
    n: int = Field(ge=1)
    date: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    n_bad: int | None = Field(default=None, ge=0)
    n_good: int | None = Field(default=None, ge=0)
    fingerprint: Sha256 | None = None
    unseen_checked: bool | None = None


class Policy(_Part):
    """Where the cuts are; see `policy`.

    Attributes:
        pass_at: PASS from this score on.
        block_below: BLOCK under this score; at most `pass_at`.
        pass_on_partial: Let an output pass of which not all was scored. Off unless named.
        pass_on_ood: Let an output pass that is out of distribution. Off unless named.
        certificate: The guarantee on the cuts; None when they carry none.
    """

    pass_at: Probability = 0.5
    block_below: Probability = 0.5
    pass_on_partial: bool = False
    pass_on_ood: bool = False
    certificate: Certificate | None = None

    @model_validator(mode="after")
    def _cuts_in_order(self) -> Policy:
        if self.block_below > self.pass_at:
            raise ValueError("block_below is above pass_at")
        return self


class Parity(_Part):
    """How far a graph, run by the server's session, is from the trained model in torch.

    Attributes:
        n: Rows compared.
        changed: Share of them whose calibrated score is on the other side of 0.5.
        changed_low: Lower end of that share's 95 % interval (Wilson), what the gate looks at.
        largest_logit_difference: Over all rows.
        auroc_torch: AUROC of the torch model on labelled validation rows; None under 200 of them.
        auroc_graph: AUROC of the graph on the same rows.
    """

    n: int = Field(ge=1)
    changed: Probability
    changed_low: Probability
    largest_logit_difference: float = Field(ge=0)
    auroc_torch: Probability | None = None
    auroc_graph: Probability | None = None


class Ood(_Part):
    """What tells interactions that are unlike the training data; see `ood`.

    Attributes:
        file: Name of the NumPy archive.
        n: Validation rows that its threshold was put by.
        flagged: Share of them above the threshold.
    """

    file: FileName
    n: int = Field(ge=1)
    flagged: Probability


class GoldenInteraction(_Part):
    """An interaction with the score it got where the bundle was made."""

    input: str | None = None
    output: str | None = None
    ground_truth: str | None = None
    score: Probability


class Graph(_Part):
    """One ONNX file and all that was measured with it; holds for no other.

    Attributes:
        file: Name of the ONNX file.
        precision: Of the weights in the linear layers.
        device: Where it was measured.
        batch_invariant: Whether batch-mates left every score alone, bit for bit, where the bundle
            was made; servers check it again. False for dynamic int8, which scales activations by
            the whole batch's range: it runs one request a run.
        calibration: From its logit to a score.
        policy: From a score to a verdict.
        parity: Its distance from torch.
        ood: How to tell what is unlike the training data; None where nothing tells.
        golden: Interactions re-scored when a server starts.
        golden_bound: Largest difference of a golden score that is still the same machine at work.
    """

    file: FileName
    precision: Precision
    device: Literal["cpu", "cuda"] = "cpu"
    batch_invariant: bool
    calibration: Calibration = Calibration()
    policy: Policy = Policy()
    parity: Parity | None = None
    ood: Ood | None = None
    golden: tuple[GoldenInteraction, ...] = ()
    golden_bound: float = Field(default=0.02, ge=0)

    @property
    def engine(self) -> str:
        """Graph and device, as in `int8/cpu`."""
        return f"{self.precision}/{self.device}"

    @property
    def files(self) -> tuple[FileName, ...]:
        """The files that are its own."""
        return (self.file,) if self.ood is None else (self.file, self.ood.file)


class BaseEncoder(_Part):
    """The pre-trained model that the evaluator grew from.

    Attributes:
        name: Path or hub id as the user gave it, or `all-MiniLM-L6-v2` for the embedded default.
        architecture: The configuration's `model_type`, as in `bert`.
        sha256: Of its weights file; None where they are several or not on this disk.
    """

    name: str
    architecture: str
    sha256: Sha256 | None = None


class Training(_Part):
    """What it was trained on, and how.

    Attributes:
        rows: Rows that the weights were fitted to.
        validation_rows: Rows that stopped training and fitted the calibration.
        fingerprint: SHA-256 over all training and validation rows, in order.
        label_sources: Rows by who labelled them.
        settings: The run's settings, as given and defaulted.
    """

    rows: int = Field(ge=1)
    validation_rows: int = Field(ge=0)
    fingerprint: Sha256
    label_sources: dict[str, int] = {}
    settings: dict[str, str | int | float | bool | list[str] | None] = {}


class Manifest(_Part):
    """One evaluator version.

    Attributes:
        schema_version: Of this file's form.
        name: The evaluator's.
        criterion: What it judges, in words; empty when nobody said.
        created_at: UTC, ISO 8601.
        tipstaff_version: That wrote it.
        base: What it grew from.
        encoding: How an interaction becomes token ids.
        graphs: One for each precision, the quickest on a CPU first; a server runs the one that
            suits its device.
        training: What it was trained on.
        metrics: Of the first graph through the server's code, by data set (`validation`, `test`).
        checksums: SHA-256 of every file of the bundle but this one.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    name: EvaluatorName
    criterion: str = ""
    created_at: str
    tipstaff_version: str
    base: BaseEncoder
    encoding: Encoding
    graphs: tuple[Graph, ...] = Field(min_length=1)
    training: Training
    metrics: dict[str, dict[str, float | int | None]] = {}
    checksums: dict[FileName, Sha256]

    @model_validator(mode="after")
    def _files_are_listed(self) -> Manifest:
        wanted = [TOKENIZER_FILE, *(file for graph in self.graphs for file in graph.files)]
        for name in wanted:
            if name not in self.checksums:
                raise ValueError(f"no checksum for {name}")
        return self

    @property
    def fields(self) -> tuple[FieldName, ...]:
        """The fields the evaluator reads, in the wire's order."""
        return tuple(name for name in FIELDS if name in self.encoding.order)
