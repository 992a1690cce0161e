from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from tiny_bundle import make_bundle

from tipstaff.types import Interaction, Reason, Verdict
from tipstaff_server.errors import BundleError, InferenceFailed
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import read_manifest, write_manifest
from tipstaff_server.evaluator.calibration import calibrate
from tipstaff_server.evaluator.manifest import BundleCertificate, Calibration, Policy
from tipstaff_server.evaluator.policy import decide
from tipstaff_server.evaluator.session import available_devices
from tipstaff_server.repository.registry import Served
from tipstaff_server.scoring.scorer import certificate_of

INTERACTION = Interaction("capital of france", "paris is it", "paris")
POLICY = Policy(pass_at=0.7, block_below=0.3)


@pytest.mark.parametrize(
    ("score", "verdict"),
    [(0.0, "BLOCK"), (0.299, "BLOCK"), (0.3, "REVIEW"), (0.699, "REVIEW"), (0.7, "PASS")],
)
def test_the_cuts_belong_to_the_better_side(score, verdict):
    assert decide(score, [], POLICY) == verdict


@pytest.mark.parametrize("reason", [Reason.PARTIAL, Reason.MISSING_FIELD, Reason.NOT_LEARNT])
def test_a_pass_on_less_than_all_is_a_review_and_a_block_stays_one(reason):
    assert decide(0.9, [reason], POLICY) is Verdict.REVIEW
    assert decide(0.1, [reason], POLICY) is Verdict.BLOCK
    named = POLICY.model_copy(update={"pass_on_partial": True})
    assert (decide(0.9, [reason], named) is Verdict.PASS) == (reason is Reason.PARTIAL)


@pytest.mark.parametrize(
    "reason", [Reason.UNCERTIFIED, Reason.IGNORED_FIELD, Reason.NOT_CALIBRATED]
)
def test_other_reasons_leave_a_pass_alone(reason):
    assert decide(0.9, [reason], POLICY) is Verdict.PASS


def test_calibration_is_a_sigmoid_that_does_not_overflow():
    calibration = Calibration(slope=2, intercept=1)
    assert calibrate(-0.5, calibration) == 0.5
    assert calibrate(1, calibration) == pytest.approx(1 / (1 + math.exp(-3)))
    assert [calibrate(logit, calibration) for logit in (-1e6, 1e6)] == [0, 1]


def test_certified_cuts_are_not_called_uncertified_unless_degraded(tmp_path):
    certificate = BundleCertificate(
        max_false_pass=0.05, max_false_block=0.1, confidence=0.95, n=200, date="2026-01-01"
    )
    policy = Policy(certificate=certificate)
    evaluator = Evaluator.load(make_bundle(tmp_path / "certified", policy=policy))
    evaluator.warm_up()
    assert evaluator.degraded == ""
    assert evaluator.score(INTERACTION).reasons == ()
    shifted = Evaluator.load(make_bundle(tmp_path / "s", policy=policy, golden_shift=0.1))
    shifted.warm_up()
    assert set(shifted.score(INTERACTION).reasons) == {Reason.UNCERTIFIED, Reason.DEGRADED}


def test_a_certificate_holds_for_one_graph_on_one_device(tmp_path):
    certificate = BundleCertificate(
        max_false_pass=0.05, max_false_block=1, confidence=0.95, n=200, date="2026-01-01"
    )
    path = make_bundle(tmp_path / "b", policy=Policy(certificate=certificate))
    manifest = read_manifest(path)
    (graph,) = manifest.graphs
    other = graph.model_copy(update={"precision": "fp16", "policy": Policy()})
    write_manifest(path, manifest.model_copy(update={"graphs": (graph, other)}))
    assert Reason.UNCERTIFIED in Evaluator.load(path, precision="fp16").score(INTERACTION).reasons

    elsewhere = graph.model_copy(update={"device": "cuda"})
    write_manifest(path, manifest.model_copy(update={"graphs": (elsewhere,)}))
    evaluator = Evaluator.load(path)
    evaluator.warm_up()
    assert evaluator.degraded == "measured on fp32/cuda, running on fp32/cpu"
    assert set(evaluator.score(INTERACTION).reasons) == {Reason.UNCERTIFIED, Reason.DEGRADED}
    assert certificate_of(Served("tiny", 1, evaluator)) is None


def test_a_logit_that_is_no_number_gets_no_verdict(tmp_path):
    evaluator = Evaluator.load(make_bundle(tmp_path / "nan", bias=math.nan))
    with pytest.raises(InferenceFailed, match="nan"):
        evaluator.score(INTERACTION)


def test_a_graph_that_the_bundle_lacks(bundle):
    with pytest.raises(BundleError, match="has no int8 graph for cpu, only fp32"):
        Evaluator.load(bundle, precision="int8")


@pytest.mark.skipif("cuda" in available_devices(), reason="this machine has CUDA")
def test_a_device_that_is_not_there(bundle):
    with pytest.raises(BundleError, match="cuda"):
        Evaluator.load(bundle, device="cuda")


def test_one_run_of_many_says_what_many_runs_of_one_say(bundle):
    evaluator = Evaluator.load(bundle)
    texts = ["paris", "paris is the capital of france", "refund " * 30]
    encoded = [
        evaluator.encode(Interaction(output=text, ground_truth="paris")).runs[0] for text in texts
    ]
    together = evaluator.run(encoded)
    for index, one in enumerate(encoded):
        alone = evaluator.run([one])
        assert alone.logits[0] == together.logits[index]
        assert (alone.embeddings[0] == together.embeddings[index]).all()
    assert evaluator.batchable


@pytest.mark.parametrize(
    ("device", "masked", "invariant", "batchable"),
    [
        ("cpu", True, True, True),
        ("cpu", True, False, False),
        ("cuda", True, False, True),
        ("cuda", False, True, False),
        ("cpu", False, True, False),
    ],
)
def test_what_may_share_a_run(bundle, device, masked, invariant, batchable):
    real = Evaluator.load(bundle)
    graph = real.graph.model_copy(update={"batch_invariant": invariant})
    session = SimpleNamespace(device=device, masked=masked)
    assert Evaluator(real.manifest, graph, real._encoder, session).batchable is batchable
