from __future__ import annotations

import math

import numpy as np
import pytest
from tiny_bundle import make_bundle, word_tokenizer

from tipstaff import Interaction
from tipstaff_server.errors import BundleError
from tipstaff_server.evaluator import Evaluator, session
from tipstaff_server.evaluator.evidence import (
    NAMES,
    NEGATION,
    NUMBER,
    SENTENCE_END,
    EvidenceMeter,
)
from tipstaff_server.evaluator.manifest import Windows
from tipstaff_server.evaluator.session import Session

# A vocabulary of letters; "1" and "2" are numbers, "n" negates, "." ends a sentence.
VOCABULARY = "abcdefgh12n."
KINDS = {"1": NUMBER, "2": NUMBER, "n": NEGATION, ".": SENTENCE_END}


def meter(**weights: float) -> EvidenceMeter:
    return EvidenceMeter(
        np.array([weights.get(letter, 1.0) for letter in VOCABULARY], dtype=np.float32),
        np.array([KINDS.get(letter, 0) for letter in VOCABULARY], dtype=np.uint8),
    )


def ids_of(text: str) -> list[int]:
    return [VOCABULARY.index(letter.lower()) for letter in text if letter != " "]


def measure(output: str, truth: str = "", query: str = "", **weights: float) -> dict[str, float]:
    capitals = ids_of("".join(filter(str.isupper, output)))
    values = meter(**weights).measure(*map(ids_of, (output, truth, query)), capitals)
    names = (
        "ours theirs our_new their_new worst best our_pairs their_pairs numbers_missing "
        "number_found capitals_missing capital_found we_negate they_negate missing heaviest"
    ).split()
    assert len(values) == len(NAMES) == len(names)
    assert values.dtype == np.float32
    return dict(zip(names, values.tolist(), strict=True))


def test_shares_are_of_weights_and_count_repeated_words():
    found = measure("a a b c", "a d", a=2, b=3)
    assert found["ours"] == pytest.approx(4 / 8)
    assert found["theirs"] == pytest.approx(2 / 3)


def test_new_words_are_those_that_the_input_lacks():
    found = measure("a b c", "a d b", "a")
    assert found["our_new"] == pytest.approx(1 / 2)
    assert found["their_new"] == pytest.approx(1 / 2)


def test_the_worst_sentence_of_the_output_and_the_best_of_the_ground_truth_count():
    found = measure("a b. c d", "a b c.")
    assert found["worst"] == pytest.approx(1 / 2)
    found = measure("a b c d", "a e. a b c e. d d d")
    assert found["best"] == pytest.approx(3 / 4)
    assert found["ours"] == 1


def test_pairs_of_words_tell_order():
    assert measure("a b c", "a b c")["our_pairs"] == 1
    assert measure("a c b", "a b c")["our_pairs"] == 0
    assert measure("a b", "a b c d")["their_pairs"] == pytest.approx(1 / 3)


def test_numbers_and_capitals_and_negations():
    found = measure("A 1 n b", "a 2")
    assert found["numbers_missing"] == pytest.approx(math.log(2))
    assert found["number_found"] == 0
    assert found["capitals_missing"] == 0
    assert found["capital_found"] == 1
    assert (found["we_negate"], found["they_negate"]) == (1, 0)
    found = measure("B 1", "a 1 n")
    assert (found["numbers_missing"], found["number_found"]) == (0, 1)
    assert found["capitals_missing"] == pytest.approx(math.log(2))
    assert (found["we_negate"], found["they_negate"]) == (0, 1)


def test_words_that_the_input_has_are_neither_missing_nor_found():
    found = measure("A 1 b", "b 1", "a 1 b")
    assert found["numbers_missing"] == found["number_found"] == 0
    assert found["capitals_missing"] == found["missing"] == found["heaviest"] == 0


def test_what_is_missing_is_weighed():
    found = measure("a b c", "a", b=2, c=5)
    assert found["missing"] == pytest.approx(math.log(8))
    assert found["heaviest"] == 5


@pytest.mark.parametrize("texts", [(), ("", ""), ("", "a"), ("a", "", "a")])
def test_an_empty_field_compares_to_nothing(texts):
    values = measure(*texts or [""])
    assert all(math.isfinite(value) for value in values.values())
    assert values["our_new"] == 0.5


def test_the_archive_holds_it_all():
    again = EvidenceMeter.load(meter(a=2.5).to_bytes())
    assert again.weights.tolist() == meter(a=2.5).weights.tolist()
    assert again.kinds.tolist() == meter().kinds.tolist()


@pytest.mark.parametrize(
    ("weights", "kinds"), [([1.0], [0, 0]), ([math.nan], [0]), ([-1.0], [0]), ([[1.0]], [[0]])]
)
def test_odd_arrays_are_refused(weights, kinds):
    with pytest.raises(ValueError, match="weight"):
        EvidenceMeter(np.array(weights, dtype=np.float32), np.array(kinds, dtype=np.uint8))


class TestEvaluator:
    def test_the_graph_gets_the_evidence(self, tmp_path):
        plain = Evaluator.load(make_bundle(tmp_path / "plain"))
        added = Evaluator.load(make_bundle(tmp_path / "evidence", evidence=True))
        interaction = Interaction("capital of france", "paris 14", "paris 30")
        (tokens,) = added.encode(interaction).runs
        assert tokens.evidence.any()
        difference = added.score(interaction).logit - plain.score(interaction).logit
        assert difference == pytest.approx(float(tokens.evidence.sum()), abs=1e-5)

    def test_scores_stay_the_same_in_any_batch(self, tmp_path):
        evaluator = Evaluator.load(make_bundle(tmp_path, evidence=True))
        evaluator.warm_up()
        assert evaluator.batchable

    def test_each_run_has_the_evidence_of_its_windows(self, tmp_path):
        windows = Windows(output=8, ground_truth=8, max_runs=8)
        bundle = make_bundle(tmp_path, evidence=True, max_length=32, windows=windows)
        truth = 12 * "paris " + 12 * "london "
        runs = Evaluator.load(bundle).encode(Interaction(None, "london", truth)).runs
        assert len(runs) > 1
        assert runs[0].evidence[0] == 0
        assert runs[-1].evidence[0] == 1

    def test_an_evaluator_without_evidence_measures_none(self, tmp_path):
        (tokens,) = Evaluator.load(make_bundle(tmp_path)).encode(Interaction("a", "b", "c")).runs
        assert not tokens.evidence.any()

    def test_statistics_of_another_vocabulary_are_refused(self, tmp_path):
        bundle = make_bundle(tmp_path, evidence=True, vocabulary=7, bias=math.nan)
        size = word_tokenizer().get_vocab_size()
        with pytest.raises(BundleError, match=f"it has {size} tokens, and evidence.npz has 7"):
            Evaluator.load(bundle)

    def test_a_damaged_archive_is_named(self, tmp_path):
        bundle = make_bundle(tmp_path, evidence=True, vocabulary=0, bias=math.nan)
        with pytest.raises(BundleError, match=r"evidence\.npz: it can't be loaded"):
            Evaluator.load(bundle)


def test_a_server_that_knows_no_evidence_refuses_the_graph(tmp_path, monkeypatch):
    graph = (make_bundle(tmp_path, evidence=True) / "model.fp32.onnx").read_bytes()
    monkeypatch.setattr(session, "INPUTS", ("input_ids", "attention_mask", "marks"))
    with pytest.raises(ValueError, match="inputs unknown here: evidence"):
        Session(graph, pad_id=0)
