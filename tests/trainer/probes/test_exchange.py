"""Exchanging a piece of a good output makes it bad, and is left where that isn't sure."""

from __future__ import annotations

import random

import pytest

from tipstaff_trainer.probes import exchange


def many(change, output, truth, others=()):
    """The changes that ten seeds give."""
    return {change(output, truth, random.Random(seed), others) for seed in range(10)}


@pytest.mark.parametrize(
    ("change", "output", "truth", "old"),
    [
        (exchange.number, "You may return it within 14 days.", "Returns within 14 days.", "14"),
        (exchange.number, "It costs 1,200 euros.", "Price: 1,200", "1,200"),
        (exchange.number, "There are seven of them.", "seven", "seven"),
        (exchange.date, "It opened on 4 May 1999.", "1999", "1999"),
        (exchange.date, "We are closed on Tuesday.", "The shop is closed on Tuesday.", "Tuesday"),
        (exchange.unit, "Within 14 days of delivery.", "Returns: 14 days", "days"),
        (exchange.unit, "The fee is £3.", "The course costs £3.", "£"),
        (exchange.quantifier, "All plans are covered.", "All plans are covered.", "All"),
        (exchange.quantifier, "The shop is open late.", "The shop is open.", "open"),
    ],
)
def test_the_piece_is_replaced_and_the_rest_stays(change, output, truth, old):
    before, after = output.split(old, 1)
    for text in many(change, output, truth):
        assert text is not None
        assert text.startswith(before)
        assert text.endswith(after)
        assert text != output
        assert old not in text.split()


@pytest.mark.parametrize(
    ("change", "output", "truth"),
    [
        # The piece isn't what the truth is about.
        (exchange.number, "Chapter 3 names Paris.", "Paris"),
        (exchange.date, "Born in 1950 in Rome.", "Rome"),
        (exchange.unit, "Two weeks, in room 14.", "room 14"),
        (exchange.quantifier, "Before all, thank you. Paris.", "Paris"),
        # There is no such piece.
        (exchange.number, "Paris", "Paris"),
        (exchange.date, "In May 12 people may come", "12"),
        (exchange.unit, "G minor", "G minor"),
        (exchange.name, "the blue one", "the blue one"),
        (exchange.negation, "Paris", "Paris"),
        (exchange.negation, "Is it Paris?", "Paris"),
    ],
)
def test_nothing_is_changed_where_the_output_may_stay_good(change, output, truth):
    assert many(change, output, truth, ["Rome"]) == {None}


def test_a_negation_is_put_in_or_taken_out():
    put_in = exchange.negation("The film was made in 1999. Good?", "1999", random.Random(0))
    assert put_in == "The film was not made in 1999. Good?"
    taken_out = exchange.negation("You can't return it.", "no return", random.Random(0))
    assert taken_out == "You ca return it." or taken_out == "You can return it."


def test_another_name_takes_the_place_of_the_true_one():
    others = ["Marie Curie", "the frontal lobe"]
    text = exchange.name(
        "The prize went to Wilhelm Röntgen in 1901.", "Wilhelm Röntgen", random.Random(0), others
    )
    assert text == "The prize went to Marie Curie in 1901."
    # A longer name of which the truth is a part goes whole.
    assert exchange.names("The essay of T.S. Eliot. The end.") == ["T.S. Eliot"]
