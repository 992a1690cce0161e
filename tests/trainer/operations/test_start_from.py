"""Trainings that start from a trained evaluator."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import tiny_base, tiny_rows, train_bundle

from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.manifest import CARD_FILE, SEEN_FILE
from tipstaff_trainer.data import match_training_rows
from tipstaff_trainer.distil.checkpoints import WEIGHTS_FILE
from tipstaff_trainer.distil.run_folder import run_folder
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.errors import OtherRunError, TrainingError
from tipstaff_trainer.progress import Reporter


class Warnings(Reporter):
    def __init__(self) -> None:
        self.said: list[str] = []

    def warn(self, message, remedy="") -> None:
        self.said.append(str(message))


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    base = tiny_base("bert", tmp_path_factory.mktemp("bases") / "bert")
    return TrainSettings(base=str(base), epochs=1, max_length=48, learning_rate=1e-3)


@pytest.fixture(scope="module")
def first(settings, tmp_path_factory):
    out = tmp_path_factory.mktemp("first") / "bundle"
    train_bundle(tiny_rows(96), out, settings, name="first", criterion="is it right?")
    return out


def weights(folder):
    return load_file(run_folder(folder) / WEIGHTS_FILE)


def test_weights_encoding_and_line_are_taken_along(settings, first, tmp_path):
    # With a learning rate near zero, the new weights are the old ones.
    others = settings.model_copy(
        update={"max_length": 64, "marks": "off", "epochs": 1, "learning_rate": 1e-12}
    )
    second, third = tmp_path / "second", tmp_path / "third"
    train_bundle(tiny_rows(140)[96:], second, others, name="second", start_from=first)
    told, own = weights(first), weights(second)
    assert told.keys() == own.keys()
    for name in told:
        if not name.startswith("lexical_head"):
            torch.testing.assert_close(told[name], own[name], atol=1e-6, rtol=1e-4)
    assert not torch.equal(told["lexical_head.weights"], own["lexical_head.weights"])

    told, own = (Bundle.open(each).manifest for each in (first, second))
    assert own.encoding == told.encoding
    assert own.training.settings["max_length"] == 48
    assert Bundle.open(first).read("evidence.npz") == Bundle.open(second).read("evidence.npz")
    (ancestor,) = own.lineage
    assert (ancestor.name, ancestor.criterion) == ("first", "is it right?")
    assert ancestor.fingerprint == told.training.fingerprint

    reporter = Warnings()
    rows = tiny_rows(48)
    train_bundle(rows, third, others, name="third", start_from=second, reporter=reporter)
    # The first one has learnt these rows.
    assert any("validation rows, or rows of their groups" in each for each in reporter.said)
    bundle = Bundle.open(third)
    assert [each.name for each in bundle.manifest.lineage] == ["second", "first"]
    card = bundle.read(CARD_FILE).decode()
    assert "It started from the weights of second (" in card
    assert "which started from first (is it right?; " in card
    assert "started from" not in Bundle.open(first).read(CARD_FILE).decode()
    # What the first one learnt, the third one has learnt too.
    seen = match_training_rows(tiny_rows(96), bundle.read(SEEN_FILE), bundle.manifest.fields)
    assert seen.any(axis=1).all()


def test_an_interrupted_run_is_not_resumed_from_another_start(settings, first, tmp_path):
    out = tmp_path / "b"
    shutil.copytree(first, out)
    (out / "manifest.json").unlink()
    with pytest.raises(OtherRunError, match="interrupted run of other rows or settings"):
        train_bundle(tiny_rows(96), out, settings, start_from=first)


@pytest.mark.parametrize("fault", ["no weights", "no bundle", "another encoder", "a small one"])
def test_what_cannot_be_started_from_is_refused(fault, settings, first, tmp_path):
    folder = tmp_path / "from"
    shutil.copytree(first, folder)
    if fault == "no weights":
        (run_folder(folder) / WEIGHTS_FILE).unlink()
        message = "is missing"
    elif fault == "no bundle":
        (folder / "manifest.json").unlink()
        message = "manifest"
    elif fault == "another encoder":
        base = tiny_base("distilbert", tmp_path / "distilbert")
        settings = settings.model_copy(update={"base": str(base)})
        message = "trained from another encoder"
    else:
        manifest = folder / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"size": "full"', '"size": "small"'))
        message = "small evaluator"
    with pytest.raises(TrainingError, match=message) as raised:
        train_bundle(tiny_rows(48), tmp_path / "b", settings, start_from=folder)
    assert raised.value.field == "start_from"
