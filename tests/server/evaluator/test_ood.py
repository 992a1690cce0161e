from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from tiny_bundle import make_bundle, ood_meter

from tipstaff.types import Interaction, Reason, Verdict
from tipstaff_server.errors import BundleError
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle, read_manifest, write_manifest
from tipstaff_server.evaluator.encoding import Encoder
from tipstaff_server.evaluator.manifest import Policy, Windows
from tipstaff_server.evaluator.ood import Distance, log_lengths

SHORT = Interaction("capital of france", "paris", "paris")
LONG = Interaction("capital of france", "paris is the capital " * 6, "paris")
PASSING = Policy(pass_at=0.0, block_below=0.0)


def test_a_distance_is_mahalanobis():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(500, 8)) @ generator.normal(size=(8, 8))
    inverse = np.linalg.inv(np.cov(rows.T))
    distance = Distance(
        rows.mean(0).astype(np.float32), np.linalg.cholesky(inverse).T.astype(np.float32)
    )
    expected = mahalanobis(rows[0], rows.mean(0), inverse)
    assert distance.of(rows[0].astype(np.float32)) == pytest.approx(expected, rel=1e-4)


def test_lengths_are_logarithms_of_one_more():
    assert log_lengths([7, 0]) == pytest.approx([np.log(8), 0])


@pytest.mark.parametrize(
    ("limits", "tokens"),
    [({}, 400), ({"handicap": 8.0}, 16), ({"handicap": 8.0, "close_up": 8}, 8)],
)
def test_a_truth_that_is_searched_counts_as_long_as_the_part_that_is_found(
    tmp_path, limits, tokens
):
    path = make_bundle(tmp_path / "bundle")
    manifest = read_manifest(path)
    windows = Windows(output=12, ground_truth=16, max_runs=64, **limits)
    encoding = manifest.encoding.model_copy(update={"windows": windows})
    encoder = Encoder(Bundle.open(path).tokenizer_json(), encoding)
    encoded = encoder.encode(replace(LONG, ground_truth="paris is late " * 133 + "."))
    lengths = dict(zip(encoding.order, encoded.lengths, strict=True))
    assert encoded.coverage["ground_truth"].total == 400
    assert lengths == {"output": 24, "input": 3, "ground_truth": tokens}


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [(PASSING, Verdict.REVIEW), (PASSING.model_copy(update={"pass_on_ood": True}), Verdict.PASS)],
)
def test_what_is_unlike_passes_only_where_the_policy_says_so(tmp_path, policy, verdict):
    path = make_bundle(tmp_path / "bundle", policy=policy, ood=ood_meter(longest=10))
    evaluator = Evaluator.load(path)
    known, unlike = evaluator.score(SHORT), evaluator.score(LONG)
    assert known.ood_score <= 1 < unlike.ood_score
    assert (known.verdict, Reason.OUT_OF_DISTRIBUTION in known.reasons) == (Verdict.PASS, False)
    assert (unlike.verdict, Reason.OUT_OF_DISTRIBUTION in unlike.reasons) == (verdict, True)


def test_a_bundle_that_can_not_tell_says_nothing(tmp_path):
    prediction = Evaluator.load(make_bundle(tmp_path / "old", policy=PASSING)).score(LONG)
    assert (prediction.ood_score, prediction.verdict) == (None, Verdict.PASS)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_a_file_that_is_no_archive_is_named(tmp_path, content):
    path = make_bundle(tmp_path / "bundle", ood=ood_meter(longest=10))
    (path / "ood.npz").write_bytes(content)
    _resign(path)
    with pytest.raises(BundleError, match="it can't be loaded") as raised:
        Evaluator.load(path)
    assert raised.value.path == path / "ood.npz"


def test_numbers_that_do_not_fit_are_refused():
    mean, square = np.zeros(3, dtype=np.float32), np.eye(3, dtype=np.float32)
    with pytest.raises(ValueError, match="whitening"):
        Distance(mean, square[:2])
    with pytest.raises(ValueError, match="finite"):
        Distance(mean, square * np.nan)


def _resign(path):
    manifest = read_manifest(path)
    digest = hashlib.sha256((path / "ood.npz").read_bytes()).hexdigest()
    checksums = manifest.checksums | {"ood.npz": digest}
    write_manifest(path, manifest.model_copy(update={"checksums": checksums}))
