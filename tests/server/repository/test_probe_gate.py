"""Versions that rewritten outputs fool, through the repository and the commands."""

from __future__ import annotations

import logging
import shutil

import pytest
from tiny_bundle import make_bundle

from tipstaff.cli import main
from tipstaff_server import repository
from tipstaff_server.errors import PromotionRefused
from tipstaff_server.evaluator.bundle import read_manifest, write_manifest
from tipstaff_server.evaluator.quality import Interval, ProbeRate, Probes


@pytest.fixture
def repo(tmp_path):
    return tmp_path / "repo"


@pytest.fixture
def publish(repo, tmp_path):
    """Publishes a version whose probes did some harm, from low to high; None for no probes."""

    def publish(*harms, command=False):
        folder = make_bundle(tmp_path / "b")
        if harms != (None,):
            rates = tuple(_rate(f"probe-{n}", *ends) for n, ends in enumerate(harms))
            manifest = read_manifest(folder).model_copy(
                update={"probes": Probes(rows=80, rates=rates)}
            )
            write_manifest(folder, manifest)
        version = repository.publish(folder, repo)
        shutil.rmtree(folder)
        return version

    return publish


def _rate(name, low, high):
    value = (low + high) / 2
    after = Interval(value=value, low=max(0, low), high=high, n=40)
    harm = Interval(value=value, low=low, high=high, n=40)
    return ProbeRate(name=name, effect="breaks", n=40, before=0.0, after=after, harm=harm)


def serving(repo):
    return repository.serving_version(repo, "tiny")


def test_one_that_is_surely_fooled_is_refused_where_that_is_asked_for(repo, publish, capsys):
    version = publish((0.0, 0.1), (0.7, 0.9))
    words = ["promote", str(repo), "tiny", str(version), "--max-probe-harm", "0.5"]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert 'of 40 bad outputs by the rewriting "probe-1", 80% get PASS, more than the limit' in said
    assert "probe-0" not in said
    assert serving(repo) is None
    assert main([*words, "--force"]) == 0
    assert serving(repo) == version


def test_without_a_limit_one_that_is_surely_fooled_serves_and_is_called_so(repo, publish, caplog):
    version = publish((0.0, 0.1), (0.7, 0.9))
    with caplog.at_level(logging.WARNING):
        repository.promote(repo, "tiny", version)
    assert serving(repo) == version
    assert "is fooled by rewritten outputs: probe-1 (80% of 40 bad outputs pass)" in caplog.text


def test_one_that_may_be_within_the_limit_serves(repo, publish):
    repository.promote(repo, "tiny", publish((0.4, 0.8), (-0.1, 0.05)))
    assert serving(repo) == 1


def test_a_limit_may_be_set(repo, publish, capsys):
    words = ["promote", str(repo), "tiny", str(publish((0.4, 0.8)))]
    assert main([*words, "--max-probe-harm", "0.2"]) == 1
    said = capsys.readouterr().err
    assert "more than the limit of 0.2" in said
    assert "train on more rewritten rows, or promote it with --force" in said
    assert main([*words, "--max-probe-harm", "0.4"]) == 0
    assert main([*words, "--max-probe-harm", "1.5"]) == 2


def test_one_that_is_surely_worse_than_the_one_that_serves_is_refused(repo, publish):
    repository.promote(repo, "tiny", publish((0.0, 0.1)))
    with pytest.raises(PromotionRefused, match="30% get PASS, against 5% with the version that"):
        repository.promote(repo, "tiny", publish((0.2, 0.4)))
    # Intervals that nearly touch are no proof.
    repository.promote(repo, "tiny", publish((0.12, 0.4)))
    assert serving(repo) == 3


def test_a_limit_that_the_one_that_serves_breaks_as_well_loses_nothing(repo, publish):
    first = publish((0.7, 0.9))
    repository.promote(repo, "tiny", first, force=True)
    repository.promote(repo, "tiny", publish((0.6, 0.8)))
    assert serving(repo) == 2


def test_bundles_that_were_never_probed_serve(repo, publish, caplog):
    repository.promote(repo, "tiny", publish(None))
    repository.promote(repo, "tiny", publish((0.0, 0.1)))
    with caplog.at_level(logging.WARNING):
        repository.promote(repo, "tiny", publish(None))
    assert serving(repo) == 3
    assert "tiny version 3 was not probed, and the version that serves now was" in caplog.text


def test_a_damaged_version_that_serves_doesn_t_stop_its_successor(repo, publish):
    repository.promote(repo, "tiny", publish((0.0, 0.1)))
    (repo / "tiny" / "1" / "manifest.json").write_text("{")
    repository.promote(repo, "tiny", publish((0.2, 0.4)))
    assert serving(repo) == 2
