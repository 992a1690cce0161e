"""The settings of a training run: flat, typed, validated once."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from tipstaff_server.evaluator.marks import Marks

_SMALL = 4000
_FEW = 700


class TrainSettings(BaseModel):
    """How an evaluator is trained. None means: chosen by the data or the encoder, see `resolve`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = Field("all-MiniLM-L6-v2", description="base encoder: a folder or a hub id")
    size: Literal["full", "small"] | PositiveInt = Field(
        "full",
        description="small: half of the encoder's layers, taught by the full evaluator; half the "
        "time, and nearly as good. A number: so many layers",
    )
    epochs: float | None = Field(None, gt=0, le=200, description="passes over the data at most")
    learning_rate: float | None = Field(None, gt=0, lt=1, description="peak learning rate")
    head_rate_factor: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="times the learning rate, for the head and the marks, which start from nothing",
    )
    batch_size: int | None = Field(None, ge=1, le=4096, description="rows a step")
    warmup_ratio: float = Field(0.1, ge=0, lt=1, description="share of the steps that warm up")
    weight_decay: float = Field(0.01, ge=0, lt=1, description="AdamW's weight decay")
    freeze_words: bool = Field(
        True,
        description="keep the encoder's word embeddings as they are, so that words which the rows "
        "lack keep their places beside those that they have",
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="in the encoder and before the head, while training"
    )
    patience: int = Field(
        3, ge=1, description="evaluations without improvement after which training stops"
    )
    max_length: int = Field(512, ge=16, le=8192, description="tokens in one run")
    output_window: int | None = Field(
        None, ge=4, le=8192, description="tokens of an output in one run, windows beyond"
    )
    ground_truth_window: int | None = Field(
        None, ge=4, le=8192, description="tokens of a ground truth in one run, windows beyond"
    )
    max_runs: int = Field(
        16, ge=1, le=1024, description="runs of a long interaction at most; 1 cuts it instead"
    )
    marks: Marks = Field(
        "forms",
        description="mark the words that output and ground truth share, and those of the input; "
        "words: not where one is part of another; overlap: those of the input neither",
    )
    validation_size: float | None = Field(
        None, gt=0, lt=0.9, description="share of the rows that stop and calibrate the training"
    )
    human_weight: float = Field(
        2.0, ge=0, le=1000, description="what a person's label counts, times the row's own weight"
    )
    judge_weight: float = Field(1.0, ge=0, le=1000, description="the same for a judge's label")
    other_weight: float = Field(1.0, ge=0, le=1000, description="the same for any other label")
    seed: int = Field(0, ge=0, lt=2**32, description="of the split, the head and the row order")
    bf16: bool | None = Field(None, description="train in bfloat16")

    def resolve(self, *, rows: int, hidden_size: int) -> ResolvedSettings:
        """Fills what was left open.

        Small data needs more passes and larger steps to get as far, above all where nothing is
        learnt yet; what hurries there goes astray in a long run. Of a few hundred rows, batches are
        smaller, or there are too few steps. Wide encoders break at learning rates that narrow ones
        need.

        Args:
            rows: Labelled rows at hand, validation included.
            hidden_size: Of the base encoder.
        """
        open_ones = {
            "epochs": min(10.0, max(3.0, round(5000 / rows, 1))),
            "learning_rate": (2 if rows < _SMALL else 1)
            * (1e-4 if hidden_size <= 384 else 3e-5 if hidden_size <= 768 else 1e-5),
            "head_rate_factor": 10.0 if rows < _SMALL else 3.0,
            "batch_size": 16 if rows < _FEW else 32,
            "validation_size": 0.2 if rows < _SMALL else 0.1,
        }
        return ResolvedSettings.model_validate(open_ones | self.model_dump(exclude_none=True))


class ResolvedSettings(TrainSettings):
    """Settings with nothing left to the data or the encoder."""

    epochs: float
    learning_rate: float
    head_rate_factor: float
    batch_size: int
    validation_size: float
