from __future__ import annotations

import json
import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_training import tiny_base, tiny_tokenizer

from tipstaff_trainer.encoders import base
from tipstaff_trainer.encoders.base import DEFAULT_BASE, find_base
from tipstaff_trainer.errors import TrainingError


def test_the_default_is_the_official_minilm():
    base = find_base(DEFAULT_BASE)
    assert base.info.architecture == "bert"
    assert base.info.sha256.startswith("53aa51172d142c89")
    assert base.max_length == 512
    assert (base.special.cls, base.special.sep, base.special.pad) == (101, 102, 0)


def test_other_weights_under_the_default_name_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "model"
    shutil.copytree(base._default_folder(), folder)
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"!")
    monkeypatch.setattr(base, "_default_folder", lambda: folder)
    with pytest.raises(TrainingError, match="SHA-256"):
        find_base(DEFAULT_BASE)


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "deberta-v2", "modernbert"])
def test_dropout_is_what_is_asked_for_wherever_the_architecture_has_some(architecture, tmp_path):
    base = find_base(str(tiny_base(architecture, tmp_path / architecture)))

    def rates(**given):
        modules = base.load(**given).modules()
        return {module.p for module in modules if isinstance(module, torch.nn.Dropout)}

    assert rates() == {0.0}
    assert rates(dropout=0.25) == {0.25}


def test_a_folder_that_is_not_there_says_so():
    with pytest.raises(TrainingError, match="no such folder"):
        find_base("./nowhere")


def test_a_name_that_is_nowhere_says_so(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TrainingError, match="base no/such-model: is neither a folder"):
        find_base("no/such-model")


@pytest.mark.parametrize("kind", ["gpt2", "gpt2 without its head", "llama", "t5"])
def test_models_that_are_no_encoders_are_refused(kind, tmp_path):
    config = {
        "gpt2": transformers.GPT2Config(architectures=["GPT2LMHeadModel"]),
        "gpt2 without its head": transformers.GPT2Config(architectures=["GPT2Model"]),
        "llama": transformers.LlamaConfig(),
        "t5": transformers.T5Config(),
    }[kind]
    config.save_pretrained(tmp_path)
    with pytest.raises(TrainingError, match="not an encoder"):
        find_base(str(tmp_path))


@pytest.mark.parametrize("broken", ["missing", "cut short", "not weights", "of another size"])
def test_weights_that_cannot_be_loaded_are_one_line_that_names_the_folder(broken, tmp_path):
    folder = tiny_base("bert", tmp_path / "bert")
    weights = folder / "model.safetensors"
    if broken == "missing":
        weights.unlink()
    elif broken == "cut short":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif broken == "not weights":
        weights.write_text("version https://git-lfs.github.com/spec/v1")
    else:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 48}))
    with pytest.raises(TrainingError, match="weights can't be loaded") as error:
        find_base(str(folder)).load()
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("lacking", ["embeddings.word_embeddings.weight", "encoder.layer.0"])
def test_weights_that_lack_a_part_of_the_encoder_are_refused(lacking, tmp_path):
    folder = tiny_base("bert", tmp_path / "bert")
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: tensor for name, tensor in weights.items() if not name.startswith(lacking)},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(TrainingError, match=f"no weights for {lacking}"):
        find_base(str(folder)).load()


def test_an_encoder_without_its_pooler_is_whole(tmp_path):
    folder = tiny_base("bert", tmp_path / "bert")
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("pooler")}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    find_base(str(folder)).load()


def test_a_model_without_a_tokenizer_is_refused(tmp_path):
    folder = tiny_base("bert", tmp_path / "bert")
    for file in folder.glob("*token*"):
        file.unlink()
    with pytest.raises(TrainingError, match="tokenizer"):
        find_base(str(folder))


def test_a_tokenizer_without_framing_tokens_is_refused(tmp_path):
    folder = tiny_base("bert", tmp_path / "bert")
    tokenizer = tiny_tokenizer()
    tokenizer.cls_token = tokenizer.sep_token = None
    tokenizer.save_pretrained(folder)
    (folder / "special_tokens_map.json").write_text(json.dumps({"pad_token": "[PAD]"}))
    with pytest.raises(TrainingError, match="open and close"):
        find_base(str(folder))


def test_roberta_keeps_the_positions_it_starts_from_for_itself(tmp_path):
    base = find_base(str(tiny_base("roberta", tmp_path / "roberta")))
    assert base.config.max_position_embeddings == 130
    assert base.max_length == 129
