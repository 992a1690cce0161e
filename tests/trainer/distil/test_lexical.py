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
from tipstaff_trainer.distil.lexical import LexicalFit, LexicalHead, fit_lexical, fit_scale

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
    evidence = torch.from_numpy(run.evidence)[None]
    # Its gate is half open.
    return LexicalHead(4, fit)(torch.zeros((1, 4)), evidence).item()


def test_the_regression_finds_what_tells_good_from_bad():
    good = rows_of([1] * 40 + [0] * 40, [0.9] * 40 + [0.2] * 40)
    fit = fit_lexical(good.rows, good.encoded)
    assert logit(fit, run(0.9)) > 0.6
    assert logit(fit, run(0.2)) < -0.6
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


def test_one_number_may_decide_where_another_is_high():
    """A negation matters where all words are shared, and not where few are."""
    random = np.random.default_rng(2)
    shares, negations = random.random(400).round(), (random.random(400) < 0.3).astype(float)
    labels = (shares > 0.5) & (negations < 0.5)
    rows = [row(index, float(label)) for index, label in enumerate(labels)]
    encoded = [
        Encoded((run(share, noise=negation),), (0,), {})
        for share, negation in zip(shares, negations, strict=True)
    ]
    fit = fit_lexical(rows, encoded)
    drop = {s: logit(fit, run(s)) - logit(fit, run(s, noise=1.0)) for s in (0.0, 1.0)}
    assert drop[1.0] > 2 * drop[0.0]


def test_where_words_say_little_no_products_are_fitted():
    labels = [1, 0] * 200
    shares = 0.5 + 0.1 * np.array(labels) + 0.1 * np.random.default_rng(3).normal(size=400)
    rows = rows_of(labels, shares)
    fit = fit_lexical(rows.rows, rows.encoded)
    assert not fit.pairs.any()
    assert fit.weights[0] > 0
    assert fit_lexical(*_telling()).pairs.any()


def _telling():
    rows = rows_of([1] * 40 + [0] * 40, [0.9] * 40 + [0.2] * 40)
    return rows.rows, rows.encoded


def test_evidence_outside_the_range_of_the_rows_counts_as_its_end():
    rows = rows_of([1] * 40 + [0] * 40, [0.9] * 40 + [0.2] * 40)
    fit = fit_lexical(rows.rows, rows.encoded)
    assert logit(fit, run(50.0)) == logit(fit, run(0.9))
    assert logit(fit, run(0.9)) > logit(fit, run(0.5)) > logit(fit, run(0.2))


def test_weights_from_before_products_are_read():
    old = LexicalHead(4, LexicalFit.linear(np.linspace(0, 1, len(NAMES)), 0.5))
    state = {
        name: part
        for name, part in old.state_dict().items()
        if name in ("weights", "bias", "gate.weight", "gate.bias")
    }
    new = LexicalHead(4)
    new.load_state_dict(state)
    evidence = torch.rand((3, len(NAMES)))
    assert torch.equal(new(torch.ones((3, 4)), evidence), old(torch.ones((3, 4)), evidence))


def parts_of(labels, own, lexical):
    rows = rows_of(labels, [0.5] * len(labels))
    return rows.rows, rows.encoded, list(np.stack([own, lexical], axis=-1)[:, None, :])


def test_the_scale_lets_evidence_count_as_far_as_validation_rows_say():
    labels = np.array([1, 0] * 60)
    sign, noise = 2 * labels - 1, np.random.default_rng(1).normal(size=(2, 120))
    # An encoder that is sure of what it doesn't know.
    assert 1.5 < fit_scale(*parts_of(labels, 3 * noise[0], sign + noise[1])) <= 4
    assert fit_scale(*parts_of(labels, sign + noise[1], 3 * noise[0])) < 0.3


def test_few_rows_and_a_single_class_leave_the_evidence_as_it_is():
    assert fit_scale(*parts_of([1, 0] * 9, [0.0] * 18, [1.0, -1.0] * 9)) == 1
    assert fit_scale(*parts_of([1] * 40, [0.0] * 40, [1.0] * 40)) == 1


def test_with_windows_the_scale_may_change_which_decides():
    encoded = [Encoded((run(0.9), run(0.2)), (0, 0), {})] * 40
    rows = [row(index, index % 2) for index in range(40)]
    # The second window decides good rows until the evidence counts more.
    good, bad = np.array([[0.0, 2.0], [0.5, 0.0]]), np.array([[0.0, -2.0], [-0.5, -2.0]])
    parts = [good if each.label else bad for each in rows]
    assert fit_scale(rows, encoded, parts) > 1.2


def test_a_scaled_head_adds_so_much_more():
    head = LexicalHead(4, LexicalFit.linear(np.ones(len(NAMES)), 0.5))
    evidence = torch.ones((3, len(NAMES)))
    before = head(torch.ones((3, 4)), evidence)
    head.scale(2.5)
    assert torch.allclose(head(torch.ones((3, 4)), evidence), 2.5 * before)
