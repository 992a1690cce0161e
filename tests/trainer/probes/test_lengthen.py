"""Rows whose ground truth is read among passages of other rows."""

from __future__ import annotations

import random

import pytest

from tipstaff import Interaction
from tipstaff_trainer.data import Row
from tipstaff_trainer.probes.augment import suitable_lengthening, training_passes
from tipstaff_trainer.probes.lengthen import Passages

ANIMALS = ("otter", "beaver", "badger", "weasel", "marten", "ferret", "polecat", "wolverine")
PLACES = ("rivers", "forests", "meadows", "mountains")


def row(number: int, place: str, *, good: bool) -> Row:
    animal = ANIMALS[number % len(ANIMALS)]
    truth = f"The {animal} number {number} lives near {PLACES[number % 4]} and sleeps all winter."
    interaction = Interaction(f"Where does the {animal} live?", f"It lives near {place}.", truth)
    return Row(interaction, label=float(good), id=f"{number}", group=f"g{number}")


ROWS = [
    *(row(n, PLACES[n % 4], good=True) for n in range(40)),
    *(row(n, PLACES[(n + 1) % 4], good=False) for n in range(40)),
]


def lengthened(rows=ROWS, seed=0):
    passages, generator = Passages(ROWS), random.Random(seed)
    return [(each, passages.lengthen(each, generator)) for each in rows]


def test_the_own_ground_truth_stands_anywhere_among_others():
    places = []
    for before, after in lengthened():
        own, text = before.interaction.ground_truth, after.interaction.ground_truth
        assert text.count(own) == 1
        assert 60 <= len(text.split()) <= 612
        assert (after.label, after.group) == (before.label, before.group)
        assert after.interaction.output == before.interaction.output
        assert after.interaction.input == before.interaction.input
        places.append(text.index(own) / (len(text) - len(own)))
    assert sum(place == 0 for place in places) < 30
    assert min(places) < 0.1
    assert max(places) > 0.9
    assert 0.3 < sum(places) / len(places) < 0.7


def test_no_passage_says_what_the_output_says():
    for before, after in lengthened():
        others = after.interaction.ground_truth.replace(before.interaction.ground_truth, "")
        place = before.interaction.output.split()[-1].rstrip(".")
        assert place not in others
        assert f"number {before.id} " not in others


def test_some_passages_are_near_in_wording():
    near = far = 0
    for before, after in lengthened():
        animal = ANIMALS[int(before.id) % len(ANIMALS)]
        others = after.interaction.ground_truth.replace(before.interaction.ground_truth, "")
        near += others.count(animal)
        far += sum(others.count(other) for other in ANIMALS) - others.count(animal)
    assert near > 1.5 * far / (len(ANIMALS) - 1)


@pytest.mark.parametrize(
    "alone",
    [
        Row(Interaction("where?", "here", None), label=1.0, id="a", group="a"),
        Row(Interaction("where?", "here", "word " * 601), label=1.0, id="a", group="a"),
    ],
)
def test_a_row_that_is_long_or_without_ground_truth_stays(alone):
    assert all(after is None for _, after in lengthened([alone] * 20))


def test_a_row_that_all_passages_support_stays():
    good, others = (
        row(0, PLACES[0], good=True),
        [row(4 * n, PLACES[0], good=True) for n in range(1, 9)],
    )
    assert Passages([good, *others]).lengthen(good, random.Random(0)) is None
    assert Passages([good]).lengthen(good, random.Random(0)) is None


def test_a_share_of_each_pass_is_lengthened():
    assert suitable_lengthening(ROWS) > 0
    answers = [Row(Interaction("who?", "me", "Ann"), label=1.0, id=f"{n}") for n in range(9)]
    assert suitable_lengthening(answers) == 0
    every, passes = training_passes(ROWS, share=0, lengthened=0.25, seed=0, passes=3)
    assert every[: len(ROWS)] == ROWS
    assert passes[0] == list(range(len(ROWS)))
    for places in passes[1:]:
        assert len(places) == len(ROWS)
        longer = [(at, place) for at, place in enumerate(places) if place >= len(ROWS)]
        assert 0.1 < len(longer) / len(ROWS) < 0.4
        assert all(every[place].id.startswith(ROWS[at].id) for at, place in longer)
    assert len({each.id for each in every[len(ROWS) :]}) == len(every) - len(ROWS)
    both, passes = training_passes(ROWS, share=0.5, lengthened=0.25, seed=0, passes=2)
    added = [both[place] for places in passes for place in places[len(ROWS) :]]
    assert any("~lengthened" in each.id for each in added)
    assert training_passes(ROWS, share=0.5, lengthened=0.25, seed=0, passes=2) == (both, passes)
