"""Makes a bundle in milliseconds, without torch: real files, a real graph, random weights.

The weights are multiples of 1/64 and are summed before any division, so every sum is exact in fp32
in any order: if two scores of one interaction differ, the server is at fault.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from tipstaff.types import FIELDS, Field, Interaction
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import write_manifest
from tipstaff_server.evaluator.cases import CASES, CASES_FILE, Case
from tipstaff_server.evaluator.evidence import NAMES, EvidenceMeter
from tipstaff_server.evaluator.framing import Framing
from tipstaff_server.evaluator.learnt import Learnt
from tipstaff_server.evaluator.manifest import (
    EVIDENCE_FILE,
    FRAMING_FILE,
    SEEN_FILE,
    BaseEncoder,
    Calibration,
    Encoding,
    GoldenInteraction,
    Graph,
    Manifest,
    Marks,
    Ood,
    Policy,
    Training,
    Windows,
)
from tipstaff_server.evaluator.marks import KINDS
from tipstaff_server.evaluator.ood import Distance, OodMeter

WORDS = """the a of to and in is it you we refund order parcel shipping card payment account
password reset email phone late lost broken return days week money back free paris london
capital france england city yes no please thanks sorry help support agent human water boils at
degrees 100 90 14 30 can not will must may open closed monday sunday hours price costs euro
""".split()
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
HIDDEN = 16
GOLDEN = (
    Interaction("capital of france", "paris is the capital", "paris"),
    Interaction("refund my order", "no refund", "refund in 14 days"),
)


def make_bundle(
    path: Path,
    *,
    name: str = "tiny",
    seed: int = 0,
    order: tuple[Field, ...] = ("output", "ground_truth", "input"),
    max_length: int = 64,
    windows: Windows | None = None,
    marks: Marks = "overlap",
    precision: str = "fp32",
    batch_invariant: bool = True,
    policy: Policy | None = None,
    bias: float = 0.0,
    run_cost: int = 0,
    golden_shift: float = 0.0,
    cases: tuple[Case, ...] | None = None,
    ood: OodMeter | None = None,
    seen: bytes | None = None,
    drops: bool = False,
    evidence: bool = False,
    vocabulary: int | None = None,
    framing: Framing | bytes | None = None,
    calibrated: bool = True,
    learnt: Learnt | None = None,
) -> Path:
    """Writes a bundle into folder `path`.

    Args:
        path: The folder; created if missing.
        name: The evaluator's name.
        seed: The seed of the weights.
        order: The fields that the evaluator reads, in order.
        max_length: The most tokens in one run.
        windows: How long texts are read; None to truncate them.
        marks: Which words are marked.
        precision: The graph's precision in the manifest.
        batch_invariant: The graph's batch invariance in the manifest.
        policy: The thresholds; both 0.5 when None.
        bias: Added to every logit; NaN makes every logit NaN.
        run_cost: Products with a 512 × 512 matrix that slow each run down, whatever its size.
        ood: Computes out-of-distribution scores; None for an evaluator without them.
        golden_shift: Added to the golden scores, so that the graph no longer gives them.
        cases: Named cases; None for a bundle without a list of cases.
        seen: Hashes of the training rows; None for a bundle without them.
        drops: Whether the tokenizer drops the characters that BERT's drops.
        evidence: Whether the sum of the lexical evidence is added to the logit.
        vocabulary: The number of tokens that the evidence knows, 0 for a broken file; None for the
            tokenizer's own.
        framing: Tells what is skipped around an output; bytes for a broken file.
        calibrated: Whether the manifest says that the score is calibrated; it is the same score.
        learnt: How it compares with simpler rules; None for a bundle that doesn't say.
    """
    path.mkdir(parents=True, exist_ok=True)
    graph_file = f"model.{precision}.onnx"
    (path / "tokenizer.json").write_text(word_tokenizer(drops=drops).to_str())
    onnx.save(_model(seed, bias, run_cost, KINDS[marks], evidence), str(path / graph_file))
    (path / "card.md").write_text(f"# {name}\n")
    files = ["tokenizer.json", graph_file, "card.md"]
    if cases is not None:
        (path / CASES_FILE).write_bytes(CASES.dump_json(cases))
        files.append(CASES_FILE)
    if seen is not None:
        (path / SEEN_FILE).write_bytes(seen)
        files.append(SEEN_FILE)
    if ood is not None:
        files.append("ood.npz")
        (path / "ood.npz").write_bytes(ood.to_bytes())
    if evidence:
        files.append(EVIDENCE_FILE)
        size = len(SPECIAL) + len(set(WORDS)) if vocabulary is None else vocabulary
        (path / EVIDENCE_FILE).write_bytes(evidence_meter(size).to_bytes() if size else b"broken")
    if framing is not None:
        files.append(FRAMING_FILE)
        data = framing if isinstance(framing, bytes) else framing.to_bytes()
        (path / FRAMING_FILE).write_bytes(data)
    graph = Graph.model_validate(
        {
            "file": graph_file,
            "precision": precision,
            "batch_invariant": batch_invariant,
            "calibration": Calibration(method="platt", n=100) if calibrated else Calibration(),
            "policy": policy or Policy(),
            "ood": None if ood is None else Ood(file="ood.npz", n=100, flagged=0.01),
        }
    )
    manifest = Manifest(
        name=name,
        criterion="The answer is right.",
        created_at="2026-01-01T00:00:00+00:00",
        tipstaff_version="0.1.0",
        base=BaseEncoder(name="random", architecture="tiny"),
        encoding=Encoding(
            order=order,
            marks=marks,
            max_length=max_length,
            cls_id=2,
            sep_id=3,
            pad_id=0,
            windows=windows,
            evidence=EVIDENCE_FILE if evidence else None,
            framing=None if framing is None else FRAMING_FILE,
        ),
        graphs=(graph,),
        training=Training(rows=1, validation_rows=0, fingerprint="0" * 64),
        learnt=learnt,
        metrics={"test": {"n": 100, "accuracy": 0.9, "roc_auc": 0.95}},
        checksums={file: hashlib.sha256((path / file).read_bytes()).hexdigest() for file in files},
    )
    write_manifest(path, manifest)
    if np.isfinite(bias) and not isinstance(framing, bytes):
        evaluator = Evaluator.load(path)
        golden = tuple(
            GoldenInteraction(
                **{field: item.get(field) for field in FIELDS},
                score=min(1.0, evaluator.score(item).score + golden_shift),
            )
            for item in GOLDEN
        )
        graph = graph.model_copy(update={"golden": golden})
        write_manifest(path, manifest.model_copy(update={"graphs": (graph,)}))
    return path


def ood_meter(*, longest: int) -> OodMeter:
    """A meter that flags exactly the interactions whose output has more than `longest` tokens."""
    whitening = np.zeros((3, 3), dtype=np.float32)
    whitening[0, 0] = 1 / np.log1p(longest)
    return OodMeter(
        Distance(np.zeros(HIDDEN, dtype=np.float32), np.zeros((HIDDEN, HIDDEN), dtype=np.float32)),
        Distance(np.zeros(3, dtype=np.float32), whitening),
    )


def evidence_meter(vocabulary: int) -> EvidenceMeter:
    """A meter to which all words weigh the same."""
    return EvidenceMeter(
        np.ones(vocabulary, dtype=np.float32), np.zeros(vocabulary, dtype=np.uint8)
    )


def word_tokenizer(*, drops: bool = False) -> Tokenizer:
    vocabulary = {word: index for index, word in enumerate((*SPECIAL, *dict.fromkeys(WORDS)))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer() if drops else normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    # Like a real tokenizer, it finds special tokens in any text unless the encoder forbids it.
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


def break_tokenizer(bundle: Path) -> Path:
    """Gives a bundle a tokenizer that loads, and panics once it encodes a text."""
    file, manifest = bundle / "tokenizer.json", bundle / "manifest.json"
    tokenizer = json.loads(file.read_text())
    # A trie of one unit, which leads far out of it.
    charsmap = base64.b64encode(struct.pack("<II", 4, 0x003FFC00) + b"abc\0").decode()
    tokenizer["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": charsmap}
    file.write_text(json.dumps(tokenizer))
    described = json.loads(manifest.read_text())
    described["checksums"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(described))
    return bundle


def _model(seed: int, bias: float, run_cost: int, kinds: int, evidence: bool) -> onnx.ModelProto:
    random = np.random.default_rng(seed)
    words = len(SPECIAL) + len(set(WORDS))

    def coarse(*shape: int) -> np.ndarray:
        return (random.integers(-64, 65, shape) / 64).astype(np.float32)

    constants = {
        "word_embeddings": coarse(words, HIDDEN),
        "mark_embeddings": coarse(kinds, HIDDEN),
        "weight": coarse(HIDDEN, 1),
        "bias": np.asarray([bias], dtype=np.float32),
        "axis_1": np.asarray([1], dtype=np.int64),
        "axis_2": np.asarray([2], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["word_embeddings", "input_ids"], ["words"]),
        helper.make_node("Gather", ["mark_embeddings", "marks"], ["marked"]),
        helper.make_node("Add", ["words", "marked"], ["tokens"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "axis_2"], ["mask_3d"]),
        helper.make_node("Mul", ["tokens", "mask_3d"], ["seen"]),
        helper.make_node("ReduceSum", ["seen", "axis_1"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "axis_1"], ["count"], keepdims=1),
        helper.make_node("Div", ["sum", "count"], ["embedding"]),
        helper.make_node("MatMul", ["sum", "weight"], ["weighed"]),
        helper.make_node("Div", ["weighed", "count"], ["mean"]),
        helper.make_node("Add", ["mean", "bias"], ["raw"]),
    ]
    last = "raw"
    if run_cost:
        constants["ones"] = np.ones((1, 512), dtype=np.float32)
        constants["slow_weight"] = np.full((512, 512), 1 / 512, dtype=np.float32)
        constants["zero"] = np.zeros(1, dtype=np.float32)
        nodes += [
            helper.make_node("ReduceMax", ["mask"], ["one"], keepdims=0),
            helper.make_node("Mul", ["ones", "one"], ["slow_0"]),
            *(
                helper.make_node("MatMul", [f"slow_{step}", "slow_weight"], [f"slow_{step + 1}"])
                for step in range(run_cost)
            ),
            helper.make_node("ReduceMax", [f"slow_{run_cost}"], ["largest"], keepdims=0),
            helper.make_node("Mul", ["largest", "zero"], ["nothing"]),
            helper.make_node("Add", ["raw", "nothing"], ["slow"]),
        ]
        last = "slow"
    if evidence:
        nodes += [
            helper.make_node("ReduceSum", ["evidence", "axis_1"], ["lexical"], keepdims=1),
            helper.make_node("Add", [last, "lexical"], ["with_evidence"]),
        ]
        last = "with_evidence"
    nodes.append(helper.make_node("Squeeze", [last, "axis_1"], ["logit"]))
    tokens = ["batch", "length"]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, tokens)
            for name in ("input_ids", "attention_mask", "marks")
        ]
        + [
            helper.make_tensor_value_info("evidence", TensorProto.FLOAT, ["batch", len(NAMES)])
            for _ in range(evidence)
        ],
        [
            helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["batch"]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", HIDDEN]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    return model
