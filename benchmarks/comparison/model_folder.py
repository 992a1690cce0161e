"""Writes the bundle's weights as a Hugging Face model folder, the form that peers can serve.

    config.json, modeling_evaluator.py, model.safetensors   for torch, with `trust_remote_code`
    onnx/model_quantized.onnx                               for onnxruntime, in int8
    tokenizer.json and its companions                       the bundle's own tokenizer

Peers batch, but the bundle's own int8 graph can't be batched. Their graph comes from the same
weights through the same export and quantisation, and keeps its attention mask. Peers get no lexical
evidence: what counting words costs, they save.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import onnx
from graph_variants import dynamic_int8
from safetensors.torch import load_model, save_file
from torch import Tensor

from tipstaff.errors import UsageError
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.manifest import TOKENIZER_FILE
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.encoders.base import find_base
from tipstaff_trainer.export.onnx_graph import export_fp32

WEIGHTS = Path("training") / "weights.safetensors"
GRAPH = Path("onnx") / "model_quantized.onnx"
_MODELING = Path(__file__).parent / "peers" / "modeling_evaluator.py"
# Prefixes of an EvaluatorModel's weights, and those of a BERT with a classifier in transformers.
_PREFIXES = {"encoder.": "bert.", "head.": "classifier."}
_RENAMED = {"marks": "token_type_ids", "logit": "logit_flat"}


def write_model_folder(bundle_path: Path, target: Path, base: str | None = None) -> Path:
    """Writes the folder that peers serve, from a bundle with an int8 graph and its weights.

    Args:
        bundle_path: The bundle.
        target: The folder; replaced when it exists.
        base: The base encoder's folder or name; None for the one in the manifest.

    Raises:
        UsageError: The bundle lacks its weights or its int8 graph, or isn't a BERT.
        TipstaffError: The bundle or its base encoder can't be loaded.
    """
    bundle = Bundle.open(bundle_path)
    weights = bundle_path / WEIGHTS
    if not weights.is_file():
        raise UsageError(
            f"{weights}: missing, and peers serve these weights: train the bundle again with this "
            "version of tipstaff, which stores them there"
        )
    if not any(graph.precision == "int8" for graph in bundle.manifest.graphs):
        raise UsageError(f"{bundle_path}: has no int8 graph, which the comparison needs")
    base_encoder = find_base(base or bundle.manifest.base.name)
    model = EvaluatorModel(base_encoder.load(), marks=bundle.manifest.encoding.marks).eval()
    if base_encoder.info.architecture != "bert" or model.mark_input != "token_types":
        raise UsageError(f"{bundle_path}: peers are set up for BERT with token types only")
    # Leaves out the lexical head.
    load_model(model, weights, strict=False)
    shutil.rmtree(target, ignore_errors=True)
    (target / GRAPH.parent).mkdir(parents=True)
    _write_config(Path(base_encoder.source), model, target)
    save_file(_renamed(model), target / "model.safetensors", metadata={"format": "pt"})
    _write_tokenizer(bundle, Path(base_encoder.source), target)
    onnx.save(rename_graph(_int8_graph(model)), target / GRAPH)
    return target


def _write_config(base: Path, model: EvaluatorModel, target: Path) -> None:
    shutil.copy(_MODELING, target)
    name = "EvaluatorForSequenceClassification"
    config = json.loads((base / "config.json").read_text())
    config |= {
        "architectures": [name],
        "auto_map": {"AutoModelForSequenceClassification": f"{_MODELING.stem}.{name}"},
        "id2label": {"0": "good"},
        "label2id": {"good": 0},
        "torch_dtype": "float32",
        "type_vocab_size": model.config.type_vocab_size,
    }
    (target / "config.json").write_text(json.dumps(config, indent=2))


def _renamed(model: EvaluatorModel) -> dict[str, Tensor]:
    tensors = {}
    for key, value in model.state_dict().items():
        # The evaluator uses the mean of the tokens, not the pooler.
        if not key.startswith("encoder.pooler."):
            prefix = next(old for old in _PREFIXES if key.startswith(old))
            tensors[_PREFIXES[prefix] + key.removeprefix(prefix)] = value.contiguous()
    return tensors


def _write_tokenizer(bundle: Bundle, base: Path, target: Path) -> None:
    # The base's tokenizer file may truncate and pad every text; the bundle's doesn't.
    (target / TOKENIZER_FILE).write_text(bundle.tokenizer_json())
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (base / name).is_file():
            shutil.copy(base / name, target)


def _int8_graph(model: EvaluatorModel) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        fp32 = Path(folder) / "fp32.onnx"
        export_fp32(model, fp32)
        return onnx.load(dynamic_int8(fp32, Path(folder) / "int8.onnx"))


def rename_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """Renames a graph's inputs and outputs as transformers does: `token_type_ids`, `logits`.

    Logits get the shape (batch, 1); the embedding is removed, since nobody reads it.
    """
    graph = model.graph
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = _RENAMED.get(name, name)
    for value in graph.input:
        value.name = _RENAMED.get(value.name, value.name)
    axis = onnx.helper.make_tensor("logits_axis", onnx.TensorProto.INT64, [1], [1])
    graph.initializer.append(axis)
    graph.node.append(onnx.helper.make_node("Unsqueeze", ["logit_flat", axis.name], ["logits"]))
    del graph.output[:]
    graph.output.append(
        onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 1])
    )
    onnx.checker.check_model(model)
    return model
