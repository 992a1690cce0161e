"""What is said of a version before it serves."""

from __future__ import annotations

import pytest
from learnt_examples import AS_GOOD_AS_WORDS, LEARNT, NOT_LEARNT
from tiny_bundle import make_bundle

from tipstaff.cli import main
from tipstaff_server import repository
from tipstaff_server.evaluator.bundle import read_manifest, write_manifest
from tipstaff_server.evaluator.learnt import Learnt
from tipstaff_server.evaluator.manifest import BundleCertificate, Policy
from tipstaff_server.evaluator.quality import Interval, Quality
from tipstaff_server.repository import caveats as rules


def caveats(candidate, serving=None):
    return list(map(str, rules.caveats(candidate, serving)))


def interval(value, low, high, n=100):
    return Interval(value=value, low=low, high=high, n=n)


GOOD = Quality(
    n=100,
    good=60,
    accuracy=interval(0.9, 0.82, 0.94),
    auroc=interval(0.95, 0.9, 0.98),
    bad_passed=interval(0.05, 0.02, 0.15, 40),
    fingerprint="a" * 64,
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return read_manifest(make_bundle(tmp_path_factory.mktemp("bundle")))


@pytest.fixture
def measured(manifest):
    """Makes the manifest of a version with some quality."""

    def make(part="test", **changes):
        quality = {part: GOOD.model_copy(update=changes)}
        return manifest.model_copy(update={"quality": quality, "metrics": {}})

    return make


def certified(manifest, bound):
    certificate = BundleCertificate(
        max_false_pass=bound, max_false_block=1, confidence=0.95, n=300, date="2026-01-01"
    )
    (graph,) = manifest.graphs
    graph = graph.model_copy(update={"policy": Policy(certificate=certificate)})
    return manifest.model_copy(update={"graphs": (graph,)})


def test_a_well_measured_version_has_none(measured):
    assert caveats(measured()) == caveats(measured(), measured()) == []


def test_a_version_no_better_than_chance(measured):
    version = measured(auroc=interval(0.61, 0.49, 0.72))
    assert caveats(version) == [
        "is not shown to be better than chance: AUROC 0.610 (0.490 to 0.720) on 100 test rows"
    ]


def test_a_version_that_a_constant_answer_equals(measured):
    (caveat,) = caveats(measured(accuracy=interval(0.6, 0.5, 0.69)))
    assert "than a rule that calls every output good" in caveat
    assert caveat.endswith("accuracy 0.600 (0.500 to 0.690) on 100 test rows, against 0.600")
    (caveat,) = caveats(measured(good=30, accuracy=interval(0.65, 0.55, 0.74)))
    assert "calls every output bad" in caveat


@pytest.mark.parametrize(("good", "kind", "other"), [(100, "good", "bad"), (0, "bad", "good")])
def test_rows_of_one_class_show_nothing_of_the_other(measured, good, kind, other):
    (caveat,) = caveats(measured(good=good, auroc=None))
    assert caveat == (
        f"was measured on {kind} rows only (100 test rows), which show nothing about {other} ones"
    )


@pytest.mark.parametrize(("n", "good"), [(12, 7), (49, 25), (300, 295), (300, 4)])
def test_a_handful_of_rows_or_of_a_class(measured, n, good):
    (caveat,) = caveats(measured(n=n, good=good, accuracy=interval(0.99, 0.9, 1, n)))
    assert caveat == (
        f"was measured on only {n} test rows ({good} good, {n - good} bad), too few to rely on"
    )


def test_test_rows_tell_more_than_validation_rows(measured):
    version = measured()
    few = GOOD.model_copy(update={"n": 20, "good": 10})
    assert not caveats(version.model_copy(update={"quality": {"validation": few, "test": GOOD}}))
    assert "20 validation rows" in caveats(measured("validation", n=20, good=10))[0]


def test_a_version_measured_on_nothing(measured):
    version = measured().model_copy(update={"quality": {}})
    assert caveats(version) == ["was measured on no rows"]


def test_more_bad_outputs_pass_than_now(measured):
    now = measured(bad_passed=interval(0.125, 0.05, 0.26, 40))
    assert caveats(now, measured()) == [
        "lets more bad outputs pass than the version that serves: 0.125 (0.050 to 0.260) of 40 bad "
        "test rows, against 0.050 (0.020 to 0.150) of 40 bad test rows, measured on the same "
        "rows"
    ]
    elsewhere = measured(bad_passed=interval(0.125, 0.05, 0.26, 40), fingerprint="b" * 64)
    assert caveats(elsewhere, measured())[0].endswith(", measured on other rows")
    assert not caveats(measured(), now)


def test_a_certificate_counts_for_what_was_measured_before_it(measured):
    assert not caveats(certified(measured(), 0.05), certified(measured(), 0.1))
    (caveat,) = caveats(certified(measured(), 0.1), certified(measured(), 0.05))
    assert caveat.endswith(
        "at most 0.1 by a certificate on 300 rows, against at most 0.05 by a certificate on 300 "
        "rows"
    )
    # Without a bound on PASS, nothing is known of bad outputs.
    assert not caveats(measured(), certified(measured(bad_passed=None), 1))


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"n": 200, "roc_auc": 0.53}, ["is not shown to be better than chance: AUROC 0.530 on"]),
        ({"n": 200, "roc_auc": 0.7}, []),
        ({"n": 12, "roc_auc": 1.0}, ["was measured on only 12 test rows, too few to rely on"]),
        ({"n": 200, "roc_auc": None}, []),
    ],
)
def test_bundles_without_intervals(manifest, metrics, words):
    version = manifest.model_copy(update={"quality": {}, "metrics": {"test": metrics}})
    sentences = caveats(version)
    assert len(sentences) == len(words)
    assert all(sentence.startswith(start) for sentence, start in zip(sentences, words, strict=True))


def with_quality(folder, **changes):
    quality = {"test": GOOD.model_copy(update=changes)}
    write_manifest(folder, read_manifest(folder).model_copy(update={"quality": quality}))
    return folder


def test_commands_say_them_before_a_version_serves(tmp_path, capsys, caplog):
    repo = tmp_path / "repo"
    good = with_quality(make_bundle(tmp_path / "good"))
    worse = with_quality(
        make_bundle(tmp_path / "worse"), n=20, good=10, bad_passed=interval(0.5, 0.24, 0.76, 10)
    )
    assert main(["publish", str(good), str(repo), "--promote"]) == 0
    assert not caplog.messages
    assert main(["publish", str(worse), str(repo)]) == 0
    said = [
        "tiny version 2 lets more bad outputs pass than the version that serves",
        "tiny version 2 was measured on only 20 test rows (10 good, 10 bad), too few to rely on",
    ]
    assert [message.partition(":")[0] for message in caplog.messages] == said
    caplog.clear()
    assert main(["promote", str(repo), "tiny", "2"]) == 0
    assert [message.partition(":")[0] for message in caplog.messages] == said
    assert repository.serving_version(repo, "tiny") == 2
    caplog.clear()
    # It serves already: nothing changes.
    assert main(["promote", str(repo), "tiny", "2"]) == 0
    assert not caplog.messages


def test_a_damaged_version_can_be_replaced_still(tmp_path, caplog):
    repo = tmp_path / "repo"
    for number in (1, 2):
        repository.publish(with_quality(make_bundle(tmp_path / f"b{number}")), repo)
    repository.promote(repo, "tiny", 1)
    (repository.bundle_path(repo, "tiny", 1) / "manifest.json").write_text("{")
    repository.promote(repo, "tiny", 2)
    assert repository.serving_version(repo, "tiny") == 2


def test_a_version_that_has_not_learnt_says_so_once(measured):
    version = measured(auroc=interval(0.55, 0.47, 0.63)).model_copy(update={"learnt": NOT_LEARNT})
    assert caveats(version) == [
        "is not clearly better than chance (AUROC 0.550 against 0.500, difference 0.050 (-0.030 to "
        "0.130)), on 200 test rows"
    ]
    assert [each.kind for each in rules.caveats(version)] == ["learnt"]


def test_a_version_that_word_overlap_equals(measured):
    (caveat,) = caveats(measured().model_copy(update={"learnt": AS_GOOD_AS_WORDS}))
    assert caveat == (
        "is no better than word overlap (AUROC 0.850 against 0.860, difference -0.010 (-0.050 to "
        "0.030)), on 200 test rows"
    )
    assert caveats(measured().model_copy(update={"learnt": LEARNT})) == []


def test_rows_of_one_class_show_no_learning(measured):
    nothing = Learnt(rows="validation", n=12, good=12, verdict=False)
    assert list(rules.not_learnt(measured().model_copy(update={"learnt": nothing}))) == [
        "is not shown to have learnt anything: all 12 validation rows are good, which shows nothing"
    ]
