from __future__ import annotations

import numpy as np
import pytest

from tipstaff_server.evaluator.ood import OodMeter
from tipstaff_trainer.evaluation.ood import Representations, fit_ood, ood_scores

MIX = np.random.default_rng(9).normal(size=(32, 32))


def drawn(n, *, seed, shift=0.0, length=3.0):
    generator = np.random.default_rng(seed)
    return Representations(
        (generator.normal(size=(n, 32)) @ MIX + shift).astype(np.float32),
        generator.normal(length, 0.3, size=(n, 3)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def fitted():
    return fit_ood(drawn(2000, seed=0), drawn(500, seed=1))


def share(meter, rows):
    return (ood_scores(meter, rows) > 1).mean()


def test_of_new_rows_of_the_same_kind_at_most_one_in_a_hundred_is_flagged():
    """Whatever the validation rows are: in 95 of 100 draws of them."""
    training, new = drawn(2000, seed=0), drawn(20_000, seed=2)
    shares = [share(fit_ood(training, drawn(400, seed=50 + seed)), new) for seed in range(60)]
    assert np.mean(np.array(shares) <= 0.01) >= 0.88
    assert np.mean(shares) > 0.001


def test_other_embeddings_and_other_lengths_are_flagged(fitted):
    assert share(fitted, drawn(500, seed=3, shift=25.0)) > 0.9
    assert share(fitted, drawn(500, seed=4, length=5.0)) > 0.9


def joined(n, *, seed):
    """Rows of two kinds, short and long."""
    parts = [drawn(n, seed=seed + length, length=length) for length in (2, 6)]
    return Representations(
        np.vstack([part.embeddings for part in parts]), np.vstack([part.lengths for part in parts])
    )


@pytest.fixture(scope="module")
def of_two_kinds():
    return fit_ood(joined(1000, seed=0), joined(250, seed=20))


def test_a_length_between_those_of_two_kinds_is_flagged(of_two_kinds, fitted):
    assert len(of_two_kinds.kinds) == 2
    assert fitted.kinds == ()
    assert share(of_two_kinds, drawn(500, seed=3, length=4.0)) > 0.9
    assert share(of_two_kinds, joined(500, seed=40)) < 0.03
    # As one kind it lies in the middle of them: what servers from before kinds see.
    one = OodMeter(of_two_kinds.embeddings, of_two_kinds.lengths)
    assert share(one, drawn(500, seed=3, length=4.0)) < 0.03


@pytest.mark.parametrize("name", ["fitted", "of_two_kinds"])
def test_one_row_is_scored_as_many_are_and_as_stored(name, request):
    meter = request.getfixturevalue(name)
    stored = OodMeter.load(meter.to_bytes())
    rows = drawn(3, seed=5)
    one = stored.embeddings.of(rows.embeddings[1]) + stored.length_distance(rows.lengths[1])
    assert ood_scores(meter, rows)[1] == pytest.approx(one, rel=1e-4)


@pytest.mark.parametrize("known", [20, 50])
def test_few_rows_flag_little_of_their_own_kind(known):
    """The threshold is the farthest of n validation rows; one new row in n + 1 exceeds it."""
    shares = [
        share(fit_ood(drawn(100, seed=seed), drawn(known, seed=seed + 50)), drawn(500, seed=99))
        for seed in range(30)
    ]
    assert np.mean(shares) < 2 / (known + 1)


@pytest.mark.parametrize(("training", "known"), [(19, 50), (100, 19)])
def test_too_few_rows_can_not_tell(training, known):
    assert fit_ood(drawn(training, seed=0), drawn(known, seed=1)) is None


def test_what_is_the_same_in_all_rows_divides_by_nothing():
    rows = drawn(60, seed=0)
    rows.embeddings[:, 0] = 1.0
    rows.lengths[:] = 2.0
    meter = fit_ood(rows, rows)
    assert np.isfinite(ood_scores(meter, rows)).all()
    longer = Representations(rows.embeddings, rows.lengths + 2)
    assert share(meter, longer) == 1


@pytest.mark.parametrize("counts", [(1, 2, 3, 5), (1, 2, 3, 4)])
def test_numbers_of_a_few_tokens_are_no_kinds_of_their_own(counts):
    """Outputs such as yes or no, of whole numbers of tokens."""

    def answers(n, *, seed, tokens=counts):
        rows = drawn(n, seed=seed)
        rows.lengths[:, 0] = np.log1p(np.random.default_rng(seed).choice(tokens, n))
        return rows

    meter = fit_ood(answers(400, seed=0), answers(100, seed=1))
    between = max(counts) + 1 if 4 in counts else 4
    assert share(meter, answers(500, seed=2, tokens=(between,))) < 0.1


def test_stragglers_are_no_kind():
    def with_long(n, *, seed):
        rows = drawn(n, seed=seed)
        rows.lengths[: n // 50] += 4.0
        return rows

    assert fit_ood(with_long(1000, seed=0), with_long(400, seed=1)).kinds == ()
