"""Where an interaction is unlike the training data, its words count more than the encoder."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tiny_bundle import make_bundle, ood_meter

from tipstaff.types import Interaction
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import read_manifest, write_manifest
from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.evidence import NAMES
from tipstaff_server.evaluator.fallback import score_of, share_of_words
from tipstaff_server.evaluator.layout import Tokens
from tipstaff_server.evaluator.manifest import Fallback

KNOWN = Interaction("capital of france", "paris", "paris")
HALF = Interaction("capital of france", "paris late " * 12, "paris is early")
WHOLE = replace(HALF, ground_truth="paris is late")


def odds(score):
    return math.log(score / (1 - score))


@pytest.fixture
def evaluator(tmp_path):
    path = make_bundle(tmp_path / "bundle", ood=ood_meter(longest=10), evidence=True, bias=-3.0)
    manifest = read_manifest(path)
    graph = manifest.graphs[0].model_copy(update={"fallback": Fallback(slope=8.0, intercept=-4.0)})
    write_manifest(path, manifest.model_copy(update={"graphs": (graph,)}))
    return Evaluator.load(path)


def encoders_score(evaluator, interaction):
    """The score by the encoder alone."""
    graph = evaluator.graph.model_copy(update={"fallback": None})
    prediction = evaluator.score(interaction)
    encoded = evaluator.encode(interaction)
    return score_of(graph, prediction.logit, encoded, prediction.ood_score)


def test_a_known_interaction_is_scored_by_the_encoder(evaluator):
    prediction = evaluator.score(KNOWN)
    assert prediction.ood_score < 1
    assert prediction.score == encoders_score(evaluator, KNOWN)


@pytest.mark.parametrize(("interaction", "words"), [(HALF, None), (WHOLE, 4.0)])
def test_an_unlike_one_is_scored_by_its_words_and_a_tenth_of_the_encoder(
    evaluator, interaction, words
):
    prediction = evaluator.score(interaction)
    assert prediction.ood_score > 1
    share = share_of_words(evaluator.encode(interaction))
    if words is None:
        assert 0 < share < 1
        words = 8.0 * share - 4.0
    own = odds(encoders_score(evaluator, interaction))
    assert odds(prediction.score) == pytest.approx(0.9 * words + 0.1 * own)


@pytest.mark.parametrize("unlike", [None, 0.99, 1.0, math.nan])
def test_what_is_not_flagged_is_scored_by_the_encoder(evaluator, unlike):
    encoded, graph = evaluator.encode(WHOLE), evaluator.graph
    assert score_of(graph, -6.0, encoded, unlike) == pytest.approx(1 / (1 + math.exp(6.0)))
    assert score_of(graph, -6.0, encoded, 1.01) > 0.5


def test_without_a_ground_truth_there_are_no_words_to_go_by(evaluator):
    lacking = replace(WHOLE, ground_truth=None)
    prediction = evaluator.score(lacking)
    assert prediction.ood_score > 1
    assert prediction.score == encoders_score(evaluator, lacking)


def test_of_several_windows_the_words_of_the_best_count():
    """A handicap is taken off a logit, never off a share of words."""
    evidence = [np.full(len(NAMES), share, dtype=np.float32) for share in (0.2, 0.9)]
    ids = np.zeros(3, dtype=np.int64)
    runs = tuple(Tokens(ids, ids, each) for each in evidence)
    assert share_of_words(Encoded(runs, (0, 0), {}, handicaps=(0.0, 4.0))) == pytest.approx(0.9)
    assert share_of_words(Encoded(runs, (0, 1), {})) == pytest.approx(0.2)


def test_golden_scores_are_compared_without_it(tmp_path, evaluator):
    """They are made up, so unlike; and servers from before the fallback compare them too."""
    manifest = evaluator.manifest
    golden = manifest.graphs[0].golden
    assert golden
    unlike = golden[0].model_copy(
        update={
            "output": HALF.output,
            "ground_truth": HALF.ground_truth,
            "score": encoders_score(evaluator, replace(HALF, input=golden[0].input)),
        }
    )
    graph = manifest.graphs[0].model_copy(update={"golden": (unlike,), "golden_bound": 1e-6})
    path = tmp_path / "bundle"
    write_manifest(path, manifest.model_copy(update={"graphs": (graph,)}))
    checked = Evaluator.load(path)
    checked.warm_up()
    assert checked.degraded == ""
