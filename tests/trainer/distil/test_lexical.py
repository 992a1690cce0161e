from __future__ import annotations

import numpy as np
import pytest
import torch

from tipstaff import Interaction
from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.evidence import NAMES
from tipstaff_server.evaluator.layout import Tokens
from tipstaff_trainer.data import Row
from tipstaff_trainer.distil.dataset import EncodedRows
from tipstaff_trainer.distil.lexical import LexicalFit, LexicalHead, fit_lexical

NOISE = np.random.default_rng(0)


def run(share: float, *, noise: float = 0.0) -> Tokens:
    evidence = np.zeros(len(NAMES), dtype=np.float32)
    evidence[0] = share
    evidence[1] = noise
    return Tokens(np.arange(4), np.zeros(4, dtype=np.int64), evidence)


def row(index: int, label: float, weight: float = 1.0) -> Row:
    return Row(Interaction(None, "a", "b"), label, weight=weight, id=str(index))


def rows_of(labels, shares) -> EncodedRows:
    rows = [row(index, label) for index, label in enumerate(labels)]
    encoded = [Encoded((run(share, noise=NOISE.normal()),), (0,), {}) for share in shares]
    return EncodedRows(rows, encoded)


def logit(fit: LexicalFit, run: Tokens) -> float:
    return float(run.evidence @ fit.weights) + fit.bias


def test_the_regression_finds_what_tells_good_from_bad():
    good = rows_of([1] * 40 + [0] * 40, [0.9] * 40 + [0.2] * 40)
    fit = fit_lexical(good.rows, good.encoded)
    assert logit(fit, run(0.9)) > 1
    assert logit(fit, run(0.2)) < -1
    assert fit.weights[0] > 3 * abs(fit.weights[1])
    # A number that is the same in all rows tells nothing.
    assert fit.weights[2] == 0


def test_soft_labels_and_weights_count():
    soft = rows_of([0.9, 0.1] * 40, [0.9, 0.2] * 40)
    hard = rows_of([1, 0] * 40, [0.9, 0.2] * 40)
    high = run(0.9)
    soft_logit = logit(fit_lexical(soft.rows, soft.encoded), high)
    assert soft_logit > 0
    assert soft_logit < logit(fit_lexical(hard.rows, hard.encoded), high)
    contradicting = [row(index, index % 2, weight=9 if index % 2 else 1) for index in range(80)]
    fit = fit_lexical(contradicting, rows_of([0] * 80, [0.5] * 80).encoded)
    assert fit.bias > 1


def test_rows_of_one_class_give_no_evidence():
    rows = rows_of([1] * 10, [0.5] * 10)
    fit = fit_lexical(rows.rows, rows.encoded)
    assert logit(fit, run(0.9)) == 0


def test_of_several_runs_the_one_with_the_most_shared_words_counts():
    labels = [1, 0] * 20
    rows = [row(index, label) for index, label in enumerate(labels)]
    encoded = [Encoded((run(0.1), run(0.9 if label else 0.3)), (0, 0), {}) for label in labels]
    fit = fit_lexical(rows, encoded)
    assert logit(fit, run(0.9)) > 0 > logit(fit, run(0.3))


def test_the_gate_starts_half_open_and_is_saved():
    rows = rows_of([1, 0] * 40, [0.9, 0.2] * 40)
    fit = fit_lexical(rows.rows, rows.encoded)
    head = LexicalHead(8, fit)
    evidence, pooled = torch.from_numpy(run(0.7).evidence)[None], torch.ones(1, 8)
    assert head(pooled, evidence).item() == pytest.approx(logit(fit, run(0.7)), abs=1e-5)
    torch.nn.init.constant_(head.gate.bias, -20)
    assert head(pooled, evidence).item() == pytest.approx(0, abs=1e-5)
    again = LexicalHead(8)
    again.load_state_dict(head.state_dict())
    assert torch.equal(again(pooled, evidence), head(pooled, evidence))
    assert [name for name, _ in head.named_parameters()] == ["gate.weight", "gate.bias"]
