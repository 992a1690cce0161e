"""Flip rates, measured on evaluators that pass everything, nothing, or by a rule."""

from __future__ import annotations

from dataclasses import replace

import pytest
from probe_rows import POOLS, REFERENCE, row
from tiny_bundle import make_bundle

from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import write_manifest
from tipstaff_trainer.probes.measure import probe
from tipstaff_trainer.probes.mixture import mixed
from tipstaff_trainer.probes.rewritings import REWRITINGS
from tipstaff_trainer.probes.validation import probe_validation
from tipstaff_trainer.progress import Reporter

ROWS = [
    replace(each, id=f"{each.id} {n}", group=f"{each.group} {n}")
    for n in range(6)
    for each in REFERENCE
]


class Warnings(Reporter):
    def __init__(self):
        self.warnings = []

    def warn(self, message, *, remedy=""):
        self.warnings.append(message)


@pytest.fixture
def evaluator(tmp_path):
    def make(bias):
        folder = make_bundle(tmp_path / str(bias), bias=bias)
        manifest = Evaluator.load(folder).manifest
        graph = manifest.graphs[0]
        policy = graph.policy.model_copy(update={"pass_on_unreadable": True})
        graph = graph.model_copy(update={"policy": policy})
        write_manifest(folder, manifest.model_copy(update={"graphs": (graph,)}))
        return Evaluator.load(folder)

    return make


def by_name(probed):
    return {each.rate.name: each for each in probed.results}


def test_one_that_passes_everything_is_fooled_by_exchanges_only(evaluator):
    probed = probe(evaluator(50), ROWS, POOLS["reference"], sample=20, seed=0)
    rates = {name: each.rate for name, each in by_name(probed).items()}
    assert probed.probes.bad_passed.value == 1
    # Bad rows passed before, so that no rewriting of them makes it worse.
    assert rates["denied-then-wrong"].before == rates["denied-then-wrong"].after.value == 1
    assert rates["denied-then-wrong"].harm.value == 0
    assert rates["number-exchanged"].before is None
    assert rates["greeting"].harm.value == 0
    assert by_name(probed)["denied-then-wrong"].half_after.value == 1
    example = by_name(probed)["denied-then-wrong"].examples[0]
    assert example.verdict == "PASS"
    assert example.before.group == example.after.group


def test_one_that_passes_nothing_does_no_harm(evaluator):
    probed = probe(evaluator(-50), ROWS, POOLS["reference"], sample=20, seed=0)
    assert all(rate.after.value == 0 for rate in probed.probes.rates)
    assert all(rate.harm.value == 0 for rate in probed.probes.rates)
    assert "unsupported-added" in probed.idle


def test_rows_are_sampled_by_class_and_the_seed_decides(evaluator):
    it = evaluator(50)
    one, same = (probe(it, ROWS, POOLS["reference"], sample=7, seed=1) for _ in range(2))
    other = probe(it, ROWS, POOLS["reference"], sample=7, seed=2)
    assert [each.good for each in one.rows].count(True) == 7
    assert one.probes == same.probes
    assert one.probes.fingerprint != other.probes.fingerprint
    harms = [rate.harm.value for rate in one.probes.rates]
    assert harms == sorted(harms, reverse=True)


def test_a_new_evaluator_warns_of_what_fools_it(evaluator):
    reporter = Warnings()
    assert probe_validation(evaluator(-50), ROWS, seed=0, reporter=reporter).rates
    assert not reporter.warnings
    long = [replace(each, interaction=replace(each.interaction, input="a " * 900)) for each in ROWS]
    assert probe_validation(evaluator(-50), long, seed=0, reporter=reporter) is None
    # Without a ground truth nobody knows what a rewriting does to the label.
    bare = [row(f"q{n}", "paris", None, n % 2) for n in range(20)]
    assert probe_validation(evaluator(-50), bare, seed=0, reporter=reporter) is None


def test_a_mixture_has_half_of_the_rows_rewritten_and_needs_no_luck():
    rows = [
        replace(each, id=f"{each.id} {n}", group=f"{each.group} {n}")
        for n in range(50)
        for each in REFERENCE
    ]
    new = mixed(rows)
    changed = [after for before, after in zip(rows, new, strict=True) if after is not before]
    assert 0.4 < len(changed) / len(rows) < 0.6
    assert [each.group for each in new] == [each.group for each in rows]
    names = {each.id.rpartition("~")[2] for each in changed}
    assert len(names) > len(REWRITINGS) / 2
    # What a row becomes doesn't depend on its place, so that nobody can shuffle for a better draw.
    assert {each.id for each in mixed(rows[::-1])} == {each.id for each in new}
