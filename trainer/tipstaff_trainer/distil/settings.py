"""The settings of a training run: flat, typed, validated once."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from tipstaff_server.evaluator.marks import Marks
from tipstaff_server.requests import Request, setting

_SMALL = 4000
_FEW = 700


class TrainSettings(Request):
    """How an evaluator is trained. None: `resolve` chooses by the data and the encoder."""

    base: str = setting(
        "all-MiniLM-L6-v2", title="Base encoder", common=True, description="a folder or a hub id"
    )
    size: Literal["full", "small"] | PositiveInt = setting(
        "full",
        common=True,
        description="small: half of the encoder's layers, taught by the full evaluator; half the "
        "time, and nearly as good. A number: that many layers",
    )
    epochs: float | None = setting(
        None,
        common=True,
        gt=0,
        le=200,
        description="passes over the data at most (default: fewer for more rows)",
    )
    learning_rate: float | None = setting(
        None,
        common=True,
        gt=0,
        lt=1,
        description="its peak (default: smaller for more rows and for wider encoders)",
    )
    head_rate_factor: float | None = setting(
        None,
        title="Head's rate factor",
        gt=0,
        le=1000,
        description="the head and the marks, which are not pre-trained, learn at this many times "
        "the learning rate (default: 10, or 3 from 4,000 rows on)",
    )
    batch_size: int | None = setting(
        None,
        unit="rows",
        ge=1,
        le=4096,
        description="rows in a step (default: 16 under 700 rows, else 32)",
    )
    warmup_ratio: float = setting(
        0.1, title="Warm-up", ge=0, lt=1, description="share of the steps that warm up"
    )
    weight_decay: float = setting(0.01, ge=0, lt=1, description="AdamW's weight decay")
    freeze_words: bool = setting(
        True,
        title="Freeze word embeddings",
        description="keep the encoder's word embeddings fixed, so that words which the rows lack "
        "keep their places beside those that they have",
    )
    dropout: float = setting(
        0.0, ge=0, lt=1, description="in the encoder and before the head, while training"
    )
    patience: int = setting(
        3,
        unit="evaluations",
        ge=1,
        description="evaluations without improvement after which training stops",
    )
    max_length: int = setting(
        512,
        title="Max tokens",
        unit="tokens",
        common=True,
        ge=16,
        le=8192,
        description="tokens in one run",
    )
    output_window: int | None = setting(
        None,
        unit="tokens",
        ge=4,
        le=8192,
        description="tokens of an output in one run; a longer one is read in windows (default: by "
        "the length of the outputs)",
    )
    ground_truth_window: int | None = setting(
        None,
        unit="tokens",
        ge=4,
        le=8192,
        description="tokens of a ground truth in one run; a longer one is read in windows "
        "(default: by the length of the ground truths)",
    )
    max_runs: int = setting(
        16,
        unit="runs",
        ge=1,
        le=1024,
        description="runs of a long interaction at most; 1 cuts it instead",
    )
    marks: Marks = setting(
        "forms",
        description="mark the words that output and ground truth share, and those of the input. "
        "words: whole words only. overlap: whole words, without those of the input",
    )
    validation_size: float | None = setting(
        None,
        title="Validation share",
        gt=0,
        lt=0.9,
        description="share of the rows that stop and calibrate the training (default: 0.2, or 0.1 "
        "from 4,000 rows on)",
    )
    human_weight: float = setting(
        2.0,
        title="Weight of people's labels",
        ge=0,
        le=1000,
        description="what a person's label counts, times the row's own weight",
    )
    judge_weight: float = setting(
        1.0,
        title="Weight of a judge's labels",
        ge=0,
        le=1000,
        description="what a judge's label counts, likewise",
    )
    other_weight: float = setting(
        1.0,
        title="Weight of other labels",
        ge=0,
        le=1000,
        description="what any other label counts, likewise",
    )
    seed: int = setting(
        0, common=True, ge=0, lt=2**32, description="of the split, the head and the row order"
    )
    bf16: bool | None = setting(
        None,
        title="bfloat16",
        description="train in bfloat16 (default: where the machine has it in hardware)",
    )

    def resolve(self, *, rows: int, hidden_size: int) -> ResolvedSettings:
        """Chooses what was left open.

        Small data needs more passes and larger steps to get as far, above all in the head, which
        starts untrained; such steps make a long run diverge. With a few hundred rows, batches are
        smaller, or there are too few steps. Wide encoders break at learning rates that narrow ones
        need.

        Args:
            rows: Labelled rows at hand, validation included.
            hidden_size: The base encoder's.
        """
        defaults = {
            "epochs": min(10.0, max(3.0, round(5000 / rows, 1))),
            "learning_rate": (2 if rows < _SMALL else 1)
            * (1e-4 if hidden_size <= 384 else 3e-5 if hidden_size <= 768 else 1e-5),
            "head_rate_factor": 10.0 if rows < _SMALL else 3.0,
            "batch_size": 16 if rows < _FEW else 32,
            "validation_size": 0.2 if rows < _SMALL else 0.1,
        }
        # A request has further fields.
        names = set(TrainSettings.model_fields)
        chosen = self.model_dump(include=names, exclude_none=True)
        return ResolvedSettings.model_validate(defaults | chosen)


class ResolvedSettings(TrainSettings):
    """Settings with nothing left to the data or the encoder."""

    epochs: float
    learning_rate: float
    head_rate_factor: float
    batch_size: int
    validation_size: float
