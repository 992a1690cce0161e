"""What an evaluator hasn't learnt, and a score that isn't calibrated, are in each prediction."""

from __future__ import annotations

import pytest
from learnt_examples import LEARNT, NOT_LEARNT
from tiny_bundle import make_bundle, ood_meter

from tipstaff.types import Interaction, Reason, Verdict
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.manifest import Policy
from tipstaff_server.evaluator.policy import decide

TEXTS = Interaction("capital of france", "paris", "paris")
# With one of these biases every score is near 1, with the other near 0.
HIGH, LOW = 50.0, -50.0


def predict(folder, interaction=TEXTS, **bundle):
    return Evaluator.load(make_bundle(folder, **bundle)).score(interaction)


@pytest.mark.parametrize(
    ("learnt", "policy", "verdict", "told"),
    [
        (NOT_LEARNT, Policy(), Verdict.REVIEW, True),
        (NOT_LEARNT, Policy(pass_on_not_learnt=True), Verdict.PASS, True),
        (LEARNT, Policy(), Verdict.PASS, False),
        (None, Policy(), Verdict.PASS, False),
    ],
)
def test_what_has_not_learnt_passes_only_where_the_policy_says_so(
    tmp_path, learnt, policy, verdict, told
):
    prediction = predict(tmp_path, bias=HIGH, learnt=learnt, policy=policy)
    assert prediction.verdict is verdict
    assert (Reason.NOT_LEARNT in prediction.reasons) == told


def test_what_has_not_learnt_still_blocks(tmp_path):
    assert predict(tmp_path, bias=LOW, learnt=NOT_LEARNT).verdict is Verdict.BLOCK


@pytest.mark.parametrize("calibrated", [True, False])
def test_a_score_that_is_no_probability_says_so_and_may_pass(tmp_path, calibrated):
    prediction = predict(tmp_path, bias=HIGH, calibrated=calibrated)
    assert (Reason.NOT_CALIBRATED in prediction.reasons) == (not calibrated)
    assert prediction.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [(Policy(), Verdict.REVIEW), (Policy(block_on_ood=True), Verdict.BLOCK)],
)
def test_what_is_unfamiliar_and_low_is_blocked_only_where_the_policy_says_so(
    tmp_path, policy, verdict
):
    longer = Interaction("capital of france", "no " * 20, "paris")
    meter = ood_meter(longest=10)
    bundle = {"bias": LOW, "policy": policy, "ood": meter}
    prediction = predict(tmp_path / "b", longer, **bundle)
    assert Reason.OUT_OF_DISTRIBUTION in prediction.reasons
    assert prediction.verdict is verdict
    assert predict(tmp_path / "c", **bundle).verdict is Verdict.BLOCK


def test_a_policy_that_lets_one_thing_pass_lets_no_other_pass():
    both = [Reason.NOT_LEARNT, Reason.PARTIAL]
    assert decide(0.9, both, Policy(pass_on_not_learnt=True)) is Verdict.REVIEW
    assert decide(0.9, both, Policy(pass_on_partial=True)) is Verdict.REVIEW
    named = Policy(pass_on_not_learnt=True, pass_on_partial=True)
    assert decide(0.9, both, named) is Verdict.PASS
