from __future__ import annotations

import pytest
import torch
from tiny_training import tiny_base, tiny_rows

from tipstaff_server.evaluator.encoding import Encoder
from tipstaff_server.evaluator.manifest import Encoding
from tipstaff_trainer.distil.dataset import EncodedRows
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.distil.training import train_model
from tipstaff_trainer.encoders.base import find_base


def train(start, settings, folder):
    """Trains on 32 tiny rows; gives the base encoder's weights to `start`."""
    base = find_base(settings.base)
    encoding = Encoding(
        order=("output", "ground_truth"), marks="words", max_length=64,
        cls_id=base.special.cls, sep_id=base.special.sep, pad_id=base.special.pad,
    )  # fmt: skip
    encoder = Encoder(base.tokenizer.to_str(), encoding)
    rows = tiny_rows(48)
    folder.mkdir()
    return train_model(
        lambda: start(EvaluatorModel(base.load(), marks="words")),
        EncodedRows.of(rows[:32], encoder),
        EncodedRows.of(rows[32:], encoder),
        settings.resolve(rows=48, hidden_size=32),
        folder,
        pad_id=base.special.pad,
    )


@pytest.mark.parametrize(
    ("architecture", "mark_weight"),
    [
        ("bert", "encoder.embeddings.token_type_embeddings.weight"),
        ("distilbert", "mark_embedding.weight"),
    ],
)
@pytest.mark.parametrize("freeze_words", [True, False])
def test_what_starts_from_nothing_learns_faster(architecture, mark_weight, freeze_words, tmp_path):
    settings = TrainSettings(
        base=str(tiny_base(architecture, tmp_path / "base")),
        epochs=2,
        batch_size=16,
        learning_rate=1e-6,
        head_rate_factor=1000,
        freeze_words=freeze_words,
    )
    started = []

    def start(model):
        started.append({name: each.clone() for name, each in model.state_dict().items()})
        return model

    trained = train(start, settings, tmp_path / "run")
    moved = {
        name: float((each - started[0][name]).abs().max())
        for name, each in trained.state_dict().items()
        if torch.is_floating_point(each)
    }
    fast = {name for name, distance in moved.items() if distance > 1e-4}
    assert fast == {"head.weight", "head.bias", mark_weight}
    words = "encoder.embeddings.word_embeddings.weight"
    assert (moved.pop(words) > 0) is not freeze_words
    assert any(0 < distance < 1e-5 for distance in moved.values())


@pytest.mark.parametrize("bf16", [True, False])
def test_every_thread_has_the_precision_that_was_asked_for(bf16, tmp_path):
    seen = set()

    def start(model):
        model.head.register_forward_hook(
            lambda module, _, out: seen.add((module.training, out.dtype))
        )
        return model

    base = str(tiny_base("bert", tmp_path / "base"))
    train(start, TrainSettings(base=base, epochs=1, batch_size=16, bf16=bf16), tmp_path / "run")
    wanted = torch.bfloat16 if bf16 else torch.float32
    assert seen == {(True, wanted), (False, wanted)}
