"""The manifest of a bundle: `manifest.json`.

A bundle's manifest is written last. Its form grows by adding fields only; a change that an older
reader would misread raises `SCHEMA_VERSION`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from tipstaff.types import FIELDS
from tipstaff.types import Field as FieldName
from tipstaff_server.evaluator.learnt import Learnt
from tipstaff_server.evaluator.quality import Probes, Quality

SCHEMA_VERSION: Final = 1
MANIFEST_FILE = "manifest.json"
TOKENIZER_FILE = "tokenizer.json"
CARD_FILE = "card.md"
# What lexical evidence needs.
EVIDENCE_FILE = "evidence.npz"
# What tells framing.
FRAMING_FILE = "framing.json"
# Hashes of the training rows; no server reads them.
SEEN_FILE = "seen.npy"

Precision = Literal["int8", "fp16", "fp32"]
# How shared words are marked; see `marks`.
Marks = Literal["forms", "words", "overlap", "off"]
EvaluatorName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Probability = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
# A bundle has no folders: this admits no name that could climb out of its own.
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class _Part(BaseModel):
    # Unknown fields are ignored, so that an older server reads a manifest that has grown.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Windows(_Part):
    """How an interaction that is too long for one run is read in several; see `windows`.

    Attributes:
        output: Most tokens of the output in a run.
        ground_truth: Most tokens of the ground truth in a run.
        max_runs: Most runs of one interaction. If it would take more, each window of the output is
            compared only with the windows of the ground truth that are nearest to it in wording.
        handicap: What a window of the ground truth that has none of the words of output and input
            gives up in logits against one that has them all, when the best window is chosen.
        close_up: Most tokens of the close-up of a ground truth of several windows: a run more, of
            the sentences that are nearest in wording; None where there is no such run.
    """

    output: int = Field(ge=4, le=8192)
    ground_truth: int = Field(ge=4, le=8192)
    max_runs: int = Field(ge=2, le=1024)
    handicap: float = Field(default=0.0, ge=0, le=1000)
    close_up: int | None = Field(default=None, ge=4, le=8192)


class Encoding(_Part):
    """How an interaction becomes token ids; see `encoding`.

    Attributes:
        order: The fields read, in the order of their layout: `[CLS] a [SEP] b [SEP] c [SEP]`.
        marks: `forms` and `words` mark words that output and ground_truth share, and words that
            they share with the input; `overlap` marks the former only; `off` marks none. The kinds
            differ in what a word is and when it is shared; see `marks`.
        max_length: Most tokens in one run, special tokens included.
        cls_id: Id of the token that opens the sequence.
        sep_id: Id of the token that closes each field.
        pad_id: Id that fills a batch's shorter sequences.
        windows: How interactions of more than `max_length` tokens are read; None if they are cut
            to that length.
        evidence: Name of the archive with what lexical evidence needs (see `evidence`); None if
            the graph takes none.
        fold_look_alikes: Whether letters that look like Latin ones are read as these; see
            `look_alikes`.
        framing: Name of the file that tells greetings, Markdown and the like around an output,
            which is read without them (see `framing`); None if all of it is read.
    """

    order: tuple[FieldName, ...] = Field(min_length=1)
    marks: Marks
    max_length: int = Field(ge=16, le=8192)
    cls_id: int = Field(ge=0)
    sep_id: int = Field(ge=0)
    pad_id: int = Field(ge=0)
    windows: Windows | None = None
    evidence: FileName | None = None
    fold_look_alikes: bool = False
    framing: FileName | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Encoding:
        if len(set(self.order)) != len(self.order):
            raise ValueError("a field occurs twice in `order`")
        if self.windows is not None:
            widest = sum(getattr(self.windows, name, 0) for name in self.order)
            if widest > self.max_length - 1 - len(self.order):
                raise ValueError("windows of output and ground truth don't fit into max_length")
        return self


class Calibration(_Part):
    """Platt scaling: score = sigmoid(slope * logit + intercept); see `calibration`, `fallback`.

    Attributes:
        slope: Positive, so that a better logit is never a worse score.
        intercept: Any number.
        method: How slope and intercept were fitted; `none` for the raw logit.
        n: Rows they were fitted on.
    """

    slope: float = Field(default=1.0, gt=0)
    intercept: float = 0.0
    method: Literal["none", "platt"] = "none"
    n: int = Field(default=0, ge=0)


class BundleCertificate(_Part):
    """A guarantee on the thresholds of one graph; `tipstaff.types.Certificate` explains the rest.

    Attributes:
        max_false_pass: 1 if there is no bound.
        max_false_block: 1 if there is no bound.
        n_bad: Rows that the bound on PASS rests on; None if not recorded.
        n_good: Rows that the bound on BLOCK rests on; None if not recorded.
        fingerprint: SHA-256 over all these rows, in order; None if not recorded.
        unseen_checked: Whether these rows were checked not to be training rows; False if the bundle
            doesn't know its training rows, None if not recorded.
        rows: What it was measured on: `plain` rows as people labelled them, or `probed`, half of
            them rewritten with a known effect on the label.
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
    rows: Literal["plain", "probed"] = "plain"


class Policy(_Part):
    """The thresholds of the verdicts; see `policy`.

    Attributes:
        pass_at: PASS at this score and above.
        block_below: BLOCK below this score; at most `pass_at`.
        pass_on_partial: Whether an output may pass of which not all was scored.
        pass_on_ood: Whether an output may pass that is out of distribution.
        pass_on_unreadable: Whether an output may pass where a field's share of unread characters is
            above its limit; see `unread`.
        pass_on_not_learnt: Whether outputs may pass if the evaluator has not learnt; see `learnt`.
        block_on_ood: Whether an output may be blocked that is out of distribution.
        max_unread_output: The limit for the output.
        max_unread_other: The limit for each of the other fields.
        certificate: The guarantee on the thresholds; None without one.
    """

    pass_at: Probability = 0.5
    block_below: Probability = 0.5
    pass_on_partial: bool = False
    pass_on_ood: bool = False
    pass_on_unreadable: bool = False
    pass_on_not_learnt: bool = False
    block_on_ood: bool = False
    max_unread_output: Probability = 0.05
    max_unread_other: Probability = 0.25
    certificate: BundleCertificate | None = None

    @model_validator(mode="after")
    def _cuts_in_order(self) -> Policy:
        if self.block_below > self.pass_at:
            raise ValueError("block_below is above pass_at")
        return self


class Parity(_Part):
    """How a graph, run by the server's session, differs from the trained model in torch.

    Attributes:
        n: Rows compared.
        changed: Share of them whose calibrated score is on the other side of 0.5.
        changed_low: Lower end of that share's 95 % interval (Wilson), which the parity check uses.
        largest_logit_difference: The largest over all rows.
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
    """What detects interactions that are unlike the training data; see `ood`.

    Attributes:
        file: Name of the NumPy archive.
        n: Validation rows that its threshold was chosen on.
        flagged: Share of them above the threshold.
    """

    file: FileName
    n: int = Field(ge=1)
    flagged: Probability


class Fallback(_Part):
    """What words say of interactions that are unlike the training data; see `fallback`.

    Attributes:
        slope: Of the log-odds in the share of the output's words that the ground truth has.
        intercept: The log-odds where it has none of them.
    """

    slope: float = Field(ge=0)
    intercept: float


class GoldenInteraction(_Part):
    """An interaction with the score that it got on the machine that made the bundle."""

    input: str | None = None
    output: str | None = None
    ground_truth: str | None = None
    score: Probability


class Graph(_Part):
    """One ONNX file and what was measured with it, which holds for no other file.

    Attributes:
        file: Name of the ONNX file.
        precision: Precision of the weights in the linear layers.
        wide_layers: Names of the linear layers that stayed in fp32, since the graph would lose too
            much with them in `precision`.
        device: The device that it was measured on.
        batch_invariant: Whether batch-mates left every score the same, bit for bit, where the
            bundle was made; servers check it again. False for dynamic int8, which scales
            activations by the range of the whole batch: it runs one request at a time.
        calibration: From its logit to a score.
        policy: From a score to a verdict.
        parity: How it differs from torch.
        ood: The detector of interactions unlike the training data; None without one.
        fallback: What words say of those; None where the encoder alone scores them.
        golden: Interactions that are scored again when a server starts.
        golden_bound: Largest difference of a golden score that counts as measured.
    """

    file: FileName
    precision: Precision
    wide_layers: tuple[str, ...] = ()
    device: Literal["cpu", "cuda"] = "cpu"
    batch_invariant: bool
    calibration: Calibration = Calibration()
    policy: Policy = Policy()
    parity: Parity | None = None
    ood: Ood | None = None
    fallback: Fallback | None = None
    golden: tuple[GoldenInteraction, ...] = ()
    golden_bound: float = Field(default=0.02, ge=0)

    @property
    def engine(self) -> str:
        """Graph and device, as in `int8/cpu`."""
        return f"{self.precision}/{self.device}"

    @property
    def files(self) -> tuple[FileName, ...]:
        """The files that belong to this graph."""
        return (self.file,) if self.ood is None else (self.file, self.ood.file)


class BaseEncoder(_Part):
    """The pre-trained model that the evaluator was trained from.

    Attributes:
        name: Path or hub id as the user gave it, or `all-MiniLM-L6-v2` for the embedded default.
        architecture: The configuration's `model_type`, as in `bert`.
        sha256: Checksum of its weights file; None if there are several or none on this disk.
    """

    name: str
    architecture: str
    sha256: Sha256 | None = None


class UnreadText(_Part):
    """What of one field's training text the encoder can't read; see `unread`.

    Attributes:
        share: Share of its characters.
        scripts: The same share by the characters' script, the largest first.
    """

    share: Probability
    scripts: dict[str, Probability] = {}


class Judge(_Part):
    """A judge that labelled rows.

    Attributes:
        name: Its model; empty if the rows don't say.
        prompt: Hash of its prompt, as `tipstaff label` writes it; empty if the rows don't say.
        rows: How many rows have its label.
    """

    name: str = ""
    prompt: str = ""
    rows: int = Field(ge=1)


class Training(_Part):
    """What it was trained on, and how.

    Attributes:
        rows: Rows that the weights were fitted to.
        validation_rows: Rows for early stopping and for the calibration.
        fingerprint: SHA-256 over all training and validation rows, in order.
        label_sources: Number of rows by who labelled them.
        judges: The judges among them, the most rows first; empty in bundles from before it was
            recorded.
        reviewers: How many people labelled rows; None if not recorded.
        settings: The run's settings, defaults included.
        unread: What the encoder can't read, by field; fields that it reads whole are left out.
    """

    rows: int = Field(ge=1)
    validation_rows: int = Field(ge=0)
    fingerprint: Sha256
    label_sources: dict[str, int] = {}
    judges: tuple[Judge, ...] = ()
    reviewers: int | None = Field(default=None, ge=1)
    settings: dict[str, str | int | float | bool | list[str] | None] = {}
    unread: dict[FieldName, UnreadText] = {}


class Ancestor(_Part):
    """An evaluator whose weights another one was trained from.

    Attributes:
        name: Its name.
        criterion: What it judges, in words; empty if not set.
        created_at: UTC, ISO 8601.
        rows: Rows that its weights were fitted to.
        fingerprint: SHA-256 over its training and validation rows, in order.
    """

    name: EvaluatorName
    criterion: str = ""
    created_at: str
    rows: int = Field(ge=1)
    fingerprint: Sha256


class Manifest(_Part):
    """One evaluator version.

    Attributes:
        schema_version: Version of the manifest's form.
        name: The evaluator's name.
        criterion: What it judges, in words; empty if not set.
        created_at: UTC, ISO 8601.
        tipstaff_version: The version of tipstaff that wrote the bundle.
        base: The model it was trained from.
        encoding: How an interaction becomes token ids.
        graphs: One for each precision, the quickest on a CPU first; a server runs the one that
            suits its device.
        training: What it was trained on.
        lineage: The evaluators that it was trained from, the nearest first; empty if from the base
            encoder alone.
        metrics: The first graph's, measured through the server's code, by data set (`validation`,
            `test`).
        quality: The main ones again with their 95 % intervals, by data set; empty in bundles of an
            older tipstaff.
        learnt: How the first graph compares with simpler rules; None if not recorded, as in bundles
            of an older tipstaff.
        probes: What rewriting outputs does to the first graph's verdicts; None if not measured.
        checksums: SHA-256 of every file of the bundle except the manifest.
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
    lineage: tuple[Ancestor, ...] = ()
    metrics: dict[str, dict[str, float | int | None]] = {}
    quality: dict[str, Quality] = {}
    learnt: Learnt | None = None
    probes: Probes | None = None
    checksums: dict[FileName, Sha256]

    @model_validator(mode="after")
    def _files_are_listed(self) -> Manifest:
        needed = [TOKENIZER_FILE, *(file for graph in self.graphs for file in graph.files)]
        needed += filter(None, (self.encoding.evidence, self.encoding.framing))
        for name in needed:
            if name not in self.checksums:
                raise ValueError(f"no checksum for {name}")
        return self

    @property
    def fields(self) -> tuple[FieldName, ...]:
        """The fields the evaluator reads, in the wire's order."""
        return tuple(name for name in FIELDS if name in self.encoding.order)
