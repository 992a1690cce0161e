"""The settings of a training run: flat, typed, validated once."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import PositiveInt

from tipstaff_server.evaluator.manifest import Marks
from tipstaff_server.requests import Request, setting

_SMALL = 4000
_FEW = 700
# Rows of more words have fewer passes.
_MANY_WORDS = 250


def _window(field: str) -> Any:
    description = (
        f"tokens of {field} in one run; a longer text is read in windows (default: depends on the "
        "texts' lengths)"
    )
    return setting(None, description, unit="tokens", ge=4, le=8192)


def _label_weight(default: float, labels: str) -> Any:
    description = f"factor of the row weights of {labels}"
    return setting(default, description, title=f"Weight of {labels}", ge=0, le=1000)


class TrainSettings(Request):
    """How an evaluator is trained; `resolve` chooses the settings that are None."""

    base: str = setting(
        "all-MiniLM-L6-v2", "encoder to train: folder or hub id", title="Base encoder", common=True
    )
    size: Literal["full", "small"] | PositiveInt = setting(
        "full",
        "small: half of the encoder's layers, taught by the full evaluator; half the time, and "
        "nearly as good. A number: that many layers",
        common=True,
    )
    epochs: float | None = setting(
        None, "most passes over the data (default: fewer for more rows)", common=True, gt=0, le=200
    )
    learning_rate: float | None = setting(
        None, "the peak (default: smaller for more rows or wider encoders)", common=True, gt=0, lt=1
    )
    head_rate_factor: float | None = setting(
        None,
        "the head and the marks, which are not pre-trained, learn at this many times the learning "
        "rate (default: 10, or 3 from 4,000 rows on)",
        title="Head's rate factor",
        gt=0,
        le=1000,
    )
    batch_size: int | None = setting(
        None, "rows in a step (default: 16 under 700 rows, else 32)", unit="rows", ge=1, le=4096
    )
    warmup_ratio: float = setting(0.1, "share of steps that warm up", title="Warm-up", ge=0, lt=1)
    weight_decay: float = setting(0.01, "AdamW's weight decay", ge=0, lt=1)
    freeze_words: bool = setting(
        True,
        "keep the encoder's word embeddings fixed, so that words which the rows lack stay close to "
        "similar words which they have",
        title="Freeze word embeddings",
    )
    dropout: float = setting(0.0, "in the encoder and before the head, while training", ge=0, lt=1)
    patience: int = setting(
        3, "evaluations without improvement after which training stops", unit="evaluations", ge=1
    )
    max_length: int = setting(
        512, "tokens in one run", title="Max tokens", unit="tokens", common=True, ge=16, le=8192
    )
    output_window: int | None = _window("output")
    ground_truth_window: int | None = _window("ground truth")
    max_runs: int = setting(
        64, "most runs of a long interaction; 1 cuts it instead", unit="runs", ge=1, le=1024
    )
    marks: Marks = setting(
        "forms",
        "mark the words that output and ground truth share, and those of the input. words: whole "
        "words only. overlap: whole words, without those of the input",
    )
    evidence: bool = setting(
        True,
        "give the head what shared words, numbers and names say by themselves, where rows have an "
        "output and a ground truth",
        title="Lexical evidence",
    )
    skip_framing: bool | None = setting(
        None,
        "read outputs without greetings, polite endings, labels and Markdown around them (default: "
        "unless rows have no ground truth, or outputs with them are good more or less often)",
        title="Skip greetings and Markdown",
    )
    validation_size: float | None = setting(
        None,
        "share of the rows that stop and calibrate the training (default: 0.2, or 0.1 from 4,000 "
        "rows on)",
        title="Validation share",
        gt=0,
        lt=0.9,
    )
    rewritten: float | None = setting(
        None,
        "rewritten rows to train on besides, as a share of the rows: quoted, contradicted, echoed, "
        "reworded (default: 0.5 where rows have a ground truth, else 0)",
        title="Share of rewritten rows",
        ge=0,
        le=2,
    )
    lengthened: float | None = setting(
        None,
        "share of the rows of later passes whose ground truth is read among passages of other "
        "rows, as in an app that retrieves many (default: 0.1 of those whose ground truths are "
        "texts, 0 of short answers)",
        title="Share of lengthened rows",
        ge=0,
        le=1,
    )
    human_weight: float = _label_weight(2.0, "people's labels")
    judge_weight: float = _label_weight(1.0, "a judge's labels")
    other_weight: float = _label_weight(1.0, "other labels")
    seed: int = setting(0, "seeds the split, head and row order", common=True, ge=0, lt=2**32)
    bf16: bool | None = setting(
        None, "train in bfloat16 (default: where the machine has it in hardware)", title="bfloat16"
    )

    def resolve(
        self,
        *,
        rows: int,
        hidden_size: int,
        words: float = 0.0,
        rewritten: float = 0.0,
        lengthened: float = 0.0,
    ) -> ResolvedSettings:
        """Chooses the settings that are None.

        Small data needs more passes and larger steps to get as far, above all in the head, which
        starts untrained; such steps make a long run diverge. With a few hundred rows, batches are
        smaller, or there are too few steps. Long rows have fewer passes, so that they take minutes.
        Wide encoders diverge at learning rates that narrow ones need.

        Args:
            rows: The number of labelled rows, validation included.
            hidden_size: The base encoder's.
            words: The mean number of words of a row.
            rewritten: The share of rewritten rows that suits the rows.
            lengthened: The share of lengthened rows that suits the rows.
        """
        fewest = 4.0 if rows < _SMALL else 3.0
        passes = max(fewest, 5000 / rows) * min(1.0, _MANY_WORDS / max(words, 1.0))
        rate = 1e-4 if hidden_size <= 384 else 3e-5 if hidden_size <= 768 else 1e-5
        defaults = {
            "epochs": min(10.0, max(3.0, round(passes, 1))),
            "learning_rate": (2 if rows < _SMALL else 1) * rate,
            "head_rate_factor": 10.0 if rows < _SMALL else 3.0,
            "batch_size": 16 if rows < _FEW else 32,
            "rewritten": rewritten,
            "lengthened": lengthened,
            "validation_size": 0.2 if rows < _SMALL else 0.1,
        }
        # A request that inherits from these settings has further fields.
        chosen = self.model_dump(include=set(TrainSettings.model_fields), exclude_none=True)
        return ResolvedSettings.model_validate(defaults | chosen)


class ResolvedSettings(TrainSettings):
    """Settings with the defaults that depend on the data and the encoder."""

    epochs: float
    learning_rate: float
    head_rate_factor: float
    batch_size: int
    rewritten: float
    lengthened: float
    validation_size: float
