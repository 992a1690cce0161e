"""Tiny encoders with random weights, as folders that `--base` takes, and rows to train them on."""

from __future__ import annotations

import random
from pathlib import Path

import torch
import transformers
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PretrainedConfig, PreTrainedTokenizerFast

from tipstaff import Interaction
from tipstaff_trainer.data import Row
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.operations.train import TrainingRows, TrainRequest, train
from tipstaff_trainer.progress import Reporter

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_WORDS = """the a of to in is was red blue green big small cat dog bird fish runs sleeps eats flies
yes no what who where when colour animal does do not one two three four five it""".split()
_SIZES = {
    "vocab_size": 400,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "pad_token_id": 0,
}


def configurations() -> dict[str, PretrainedConfig]:
    """A configuration for each architecture that Tipstaff supports."""
    return {
        "bert": transformers.BertConfig(**_SIZES),
        "distilbert": transformers.DistilBertConfig(
            vocab_size=_SIZES["vocab_size"], dim=32, n_layers=2, n_heads=2, hidden_dim=64
        ),
        "albert": transformers.AlbertConfig(embedding_size=16, **_SIZES),
        "roberta": transformers.RobertaConfig(
            type_vocab_size=1, max_position_embeddings=130, **_SIZES
        ),
        "deberta-v2": transformers.DebertaV2Config(
            relative_attention=True,
            pos_att_type=["p2c", "c2p"],
            position_buckets=16,
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            position_biased_input=False,
            type_vocab_size=0,
            **_SIZES,
        ),
        "modernbert": transformers.ModernBertConfig(
            global_attn_every_n_layers=2,
            local_attention=16,
            cls_token_id=2,
            bos_token_id=2,
            sep_token_id=3,
            eos_token_id=3,
            **_SIZES,
        ),
    }


def tiny_tokenizer(architecture: str = "bert") -> PreTrainedTokenizerFast:
    """A tokenizer of the architecture's kind: whole words, byte pairs, or word pieces."""
    if architecture in ("roberta", "modernbert"):
        tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer: trainers.Trainer = trainers.BpeTrainer(
            vocab_size=300, special_tokens=_SPECIAL, initial_alphabet=alphabet
        )
        tokenizer.train_from_iterator([" ".join(_WORDS)] * 3, trainer)
    elif architecture in ("albert", "deberta-v2"):
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=60, special_tokens=_SPECIAL, unk_token="[UNK]", show_progress=False
        )
        tokenizer.train_from_iterator([" ".join(_WORDS)] * 3, trainer)
    else:
        vocabulary = {word: index for index, word in enumerate([*_SPECIAL, *_WORDS])}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.Lowercase()
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def tiny_base(architecture: str, folder: Path) -> Path:
    """Writes a tiny encoder of an architecture into `folder`, unless the folder exists."""
    if not folder.exists():
        torch.manual_seed(0)
        model = transformers.AutoModel.from_config(configurations()[architecture])
        model.save_pretrained(folder)
        tiny_tokenizer(architecture).save_pretrained(folder)
    return folder


def tiny_rows(count: int) -> list[Row]:
    """Rows that a tiny encoder can learn: good if answer and truth have the same colour."""
    colours, animals = ("red", "blue", "green"), ("cat", "dog", "bird", "fish")
    generator = random.Random(0)
    rows = []
    for index in range(count):
        truth, animal = generator.choice(colours), generator.choice(animals)
        good = index % 2 == 0
        colour = truth if good else generator.choice([c for c in colours if c != truth])
        interaction = Interaction(
            f"what colour is the {animal}", f"it is {colour}", f"the {animal} is {truth}"
        )
        rows.append(
            Row(
                interaction,
                label=float(good),
                id=str(index),
                group=str(index // 2),
                label_source="judge",
            )
        )
    return rows


def train_bundle(
    rows,
    out,
    settings=None,
    *,
    fields=("input", "output", "ground_truth"),
    test=(),
    unlabelled=(),
    reporter=None,
    **request,
):
    """Trains on rows in memory, by default on none that are made of them; returns the bundle."""
    options = (settings or TrainSettings()).model_dump()
    for made in ("rewritten", "lengthened"):
        options[made] = options[made] or 0
    request = TrainRequest.parse({"name": "colours", **options, **request})
    source = TrainingRows(rows, fields, test, unlabelled)
    return train(request, lambda: source, out, reporter or Reporter()).bundle
