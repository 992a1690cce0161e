"""Each named rewriting on rows whose effect people can check by eye."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from probe_rows import NOBEL, POOLS, REFERENCE, row

from tipstaff_trainer.probes.augment import rewritten_row, suitable_share, training_passes
from tipstaff_trainer.probes.pool import separator_of
from tipstaff_trainer.probes.rewritings import REWRITINGS

BY_NAME = {each.name: each for each in REWRITINGS}
HALVES = ("training", "probing")


def rewrites(name, kind="reference", good=None, halves=HALVES, seeds=12):
    """Pairs of a row and what a rewriting makes of it, over many draws."""
    pool = POOLS[kind]
    return [
        (each, new)
        for half in halves
        for seed in range(seeds)
        for each in pool.rows
        if good in (None, each.good)
        and (new := rewritten_row(BY_NAME[name], each, pool, half, random.Random(seed)))
    ]


def test_what_separates_alternatives_is_read_off_the_rows():
    assert separator_of(REFERENCE) == "/"
    # A slash in one of many texts separates nothing.
    assert separator_of([*REFERENCE[2:3] * 20, row("q", "o", "km/h", 1)]) == ""


def test_there_are_some_thirty_and_their_names_differ():
    assert len(BY_NAME) == len(REWRITINGS) >= 30
    assert Counter(each.effect for each in REWRITINGS)["breaks"] >= 15


@pytest.mark.parametrize("name", BY_NAME)
def test_each_applies_somewhere_changes_the_output_and_gives_the_label_it_states(name):
    kinds = [kind for kind in POOLS if kind in BY_NAME[name].kinds]
    assert kinds
    found = [pair for kind in kinds for pair in rewrites(name, kind)]
    assert found
    for before, after in found:
        assert after.interaction.output != before.interaction.output
        assert after.interaction.input == before.interaction.input
        assert after.interaction.ground_truth == before.interaction.ground_truth
        assert after.group == before.group
        expected = {"breaks": 0, "keeps": before.label, "mends": 1}[BY_NAME[name].effect]
        assert after.label == expected
        assert after.id != before.id


@pytest.mark.parametrize("name", BY_NAME)
def test_the_same_seed_gives_the_same_text(name):
    kind = BY_NAME[name].kinds[0]
    assert rewrites(name, kind) == rewrites(name, kind)


@pytest.mark.parametrize("name", BY_NAME)
def test_none_applies_to_an_empty_output(name):
    empty = row(NOBEL, " ", "Röntgen", 1)
    for kind, pool in POOLS.items():
        if kind in BY_NAME[name].kinds:
            assert rewritten_row(BY_NAME[name], empty, pool, "training", random.Random(0)) is None


@pytest.mark.parametrize("name", ["echoed-wrong", "echoed-denied", "question-alone"])
def test_an_echo_needs_a_question(name):
    silent = row(None, "Röntgen", "Röntgen", 1, group="a")
    rewriting, pool = BY_NAME[name], POOLS["reference"]
    assert rewritten_row(rewriting, silent, pool, "training", random.Random(0)) is None


@pytest.mark.parametrize("name", ["negated-truth", "truth-beside-wrong", "truth-stated"])
def test_the_truth_is_needed_where_it_is_quoted(name):
    bare = row("who", "Marie", None, 0)
    rewriting, pool = BY_NAME[name], POOLS["reference"]
    assert rewritten_row(rewriting, bare, pool, "training", random.Random(0)) is None


@pytest.mark.parametrize(
    "name", ["denied-then-wrong", "wrong-then-denied", "contrasted-wrong", "truth-beside-wrong"]
)
def test_truth_and_a_wrong_answer_are_both_quoted(name):
    for before, after in rewrites(name, good=False):
        text = after.interaction.output
        truths = before.interaction.ground_truth.split("/")
        assert any(truth in text for truth in truths)
        # The bad row's own output is the wrong answer.
        assert before.interaction.output.split()[-2] in text
        assert "/" not in text


@pytest.mark.parametrize("name", ["denied-then-right", "right-then-denied", "contrasted-right"])
def test_a_wrong_answer_is_denied_beside_the_truth(name):
    for before, after in rewrites(name, good=False):
        truths = before.interaction.ground_truth.split("/")
        assert any(truth in after.interaction.output for truth in truths)


@pytest.mark.parametrize("name", ["denied-then-right", "truth-stated"])
def test_a_context_s_sentence_mends_only_what_it_answers(name):
    assert rewrites(name, "context", good=True)
    assert not rewrites(name, "context", good=False)


def test_the_supporting_sentence_stands_for_a_long_context():
    for before, after in rewrites("negated-truth", "context", good=True):
        assert "sand" not in after.interaction.output
        assert "Sunday" not in after.interaction.output
        assert any(word in after.interaction.output for word in ("14 days", "before noon"))
        assert before.good


@pytest.mark.parametrize(
    "name",
    [f"{piece}-exchanged" for piece in ("number", "name", "unit", "date")],
)
def test_no_alternative_of_the_truth_survives_an_exchange(name):
    for before, after in rewrites(name):
        truths = before.interaction.ground_truth.split("/")
        if name != "unit-exchanged":
            assert not any(truth in after.interaction.output for truth in truths)
        assert before.good


def test_a_claim_of_another_row_is_added_to_a_faithful_output():
    for before, after in rewrites("unsupported-added", "context"):
        added = after.interaction.output.replace(before.interaction.output, "").strip()
        assert len(added.split()) >= 4
        assert added.rstrip(".") not in before.interaction.ground_truth
    assert not rewrites("unsupported-added", "reference")


def test_a_wrong_answer_of_another_row_is_not_right_by_accident():
    pool, generator = POOLS["reference"], random.Random(0)
    for _ in range(200):
        wrong = pool.wrong(REFERENCE[7], generator)
        assert wrong
        assert "Kyiv" not in wrong
        assert "Kiev" not in wrong


def test_training_rows_are_made_of_both_labels_in_their_source_s_group():
    rows = REFERENCE * 10
    every, passes = training_passes(rows, share=0.5, seed=0, passes=3)
    assert every[: len(rows)] == rows
    assert [len(places) for places in passes] == [120] * 3
    for places in passes:
        # Each row once, as it is or in another form, and then the rewritten ones.
        own, added = places[: len(rows)], places[len(rows) :]
        changed = [place for place in own if place >= len(rows)]
        assert 0.1 < len(changed) / len(rows) < 0.4
        for plain, place in zip(rows, own, strict=True):
            assert (every[place].label, every[place].group) == (plain.label, plain.group)
        assert 0.25 < sum(every[place].good for place in added) / len(added) < 0.75
        assert {every[place].group for place in added} <= {each.group for each in rows}
    texts = [{every[place].interaction.output for place in places} for places in passes]
    assert len(texts[0] - texts[1]) > 20
    assert len({each.id for each in every[len(rows) :]}) == len(every) - len(rows)
    assert training_passes(rows, share=0.5, seed=0, passes=3) == (every, passes)
    assert training_passes(rows, share=0.5, seed=1, passes=3)[0] != every
    assert training_passes(rows, share=0, seed=0, passes=3) == (rows, [list(range(80))])


def test_without_a_ground_truth_only_the_form_changes_and_only_when_asked():
    rows = [row(f"q{n}", f"You get it in {n} days. Please wait.", None, n % 2) for n in range(20)]
    assert suitable_share(rows) == 0
    assert suitable_share(REFERENCE) > 0
    every, passes = training_passes(rows, share=1, seed=0)
    assert [len(places) for places in passes] == [len(rows)]
    assert len(every) > len(rows)
    for new in every[len(rows) :]:
        (source,) = (each for each in rows if each.group == new.group)
        assert new.label == source.label
