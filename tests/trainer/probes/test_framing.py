from __future__ import annotations

from dataclasses import replace

import pytest

from tipstaff.types import Interaction
from tipstaff_trainer.data import Row
from tipstaff_trainer.probes.framing import choose_framing, fit_framing, framing_matters
from tipstaff_trainer.probes.wordings import wordings

TRUTH = "The shop is open from nine to five, and on Sundays it is closed for the whole day."
CLAIMS = ("It closes at 5 pm.", "The shop opens at nine.", "On Sundays it is closed.")


def rows(count=60, *, framed=lambda row: "{}"):
    """Rows whose outputs are claims in a template that depends on the row."""
    plain = [
        Row(
            id=str(number),
            interaction=Interaction("When is it open?", CLAIMS[number % 3], TRUTH),
            label=float(number % 2),
        )
        for number in range(count)
    ]
    return [
        replace(
            row,
            interaction=replace(row.interaction, output=framed(row).format(row.interaction.output)),
        )
        for row in plain
    ]


@pytest.fixture(scope="module")
def framing():
    return fit_framing(rows(), seed=0)


@pytest.mark.parametrize(
    "output",
    [
        "Sure! It closes at 5 pm.",
        "Of course, here is what I found: It closes at 5 pm.",
        "Thank you for asking about this! It closes at 5 pm.",
        "It closes at 5 pm. Let me know if there is anything else.",
        "It closes at 5 pm. I hope this helps! Have a nice day!",
        "It closes at 5 pm.\n\nKind regards, your team",
        "**Answer:** It closes at 5 pm.",
        "As far as I know, It closes at 5 pm.",
        "I believe It closes at 5 pm.",
        "In my opinion It closes at 5 pm.",
        "When is it open? It closes at 5 pm.",
    ],
)
def test_wordings_that_no_list_has_are_framing(framing, output):
    assert framing.blank(output, "When is it open?").strip().startswith("It closes at 5 pm")


# Corrections by a speaker who takes the answer back, none of them from the wordings.
@pytest.mark.parametrize(
    "denial",
    [
        *("Not at all.", "Just kidding!", "That was a lie.", "Forget that.", "Or maybe not."),
        *("I made this up.", "Scratch that.", "But that is wrong.", "You wish!", "As if!"),
        *("I hope nobody believes that.", "Let me tell you the opposite.", "I doubt it."),
        *("Please ignore this.", "I hope that it is not so.", "I only guessed.", "It was a test."),
    ],
)
def test_what_takes_an_answer_back_is_read(framing, denial):
    for output in (f"{CLAIMS[0]} {denial}", f"{denial} {CLAIMS[0]}"):
        assert framing.blank(output) == output


@pytest.mark.parametrize("name", ["denied_phrase", "denied_clause", "contrast_phrase", "refusals"])
@pytest.mark.parametrize("half", ["training", "probing"])
def test_no_denial_of_the_wordings_is_taken_for_framing(framing, name, half):
    for wording in getattr(wordings(half), name):
        denial = wording.replace("{}", "5 pm").replace("{no}", "5 pm").replace("{yes}", "6 pm")
        assert framing.blank(f"{denial}. {CLAIMS[1]}") == f"{denial}. {CLAIMS[1]}"


@pytest.mark.parametrize(
    "claim",
    ["In the US, it does.", "for the whole team", "at the support desk", "all day", "Right"],
)
def test_claims_in_common_words_are_read(framing, claim):
    assert framing.blank(f"{claim}, {CLAIMS[1]}") == f"{claim}, {CLAIMS[1]}"


def test_the_same_rows_and_seed_give_the_same_file(framing):
    assert fit_framing(rows(), seed=0).to_bytes() == framing.to_bytes()


def test_a_greeting_that_an_app_s_answers_share_is_framing():
    greeted = rows(framed=lambda row: "Good question! {}")
    assert fit_framing(greeted, seed=0).blank("Good question! It is open.").strip() == "It is open."


def test_framing_matters_where_it_goes_with_the_label(framing):
    mixed = rows(framed=lambda row: "Sure! {}" if int(row.id) % 4 < 2 else "{}")
    assert not framing_matters(framing, rows())
    assert not framing_matters(framing, mixed)
    polite = rows(framed=lambda row: "Sure! {}" if row.good else "{}")
    assert framing_matters(framing, polite)


def test_hedges_are_read_where_they_go_with_the_label():
    def framed(row):
        greeting = "Sure! " if int(row.id) % 4 < 2 else ""
        return greeting + ("{}" if row.good else "I think {}")

    chosen = choose_framing(rows(framed=framed), seed=0)
    assert chosen.blank("Sure! It is open.").strip() == "It is open."
    assert chosen.blank("I think it is open.") == "I think it is open."
    all_of_it = choose_framing(rows(), seed=0)
    assert all_of_it.blank("I think it is open.").strip() == "it is open."


def test_nothing_is_skipped_where_greetings_go_with_the_label():
    polite = rows(framed=lambda row: "Sure! {}" if row.good else "{}")
    assert choose_framing(polite, seed=0) is None


def test_nothing_is_skipped_without_ground_truths():
    alone = [
        replace(row, interaction=replace(row.interaction, ground_truth=None)) for row in rows()
    ]
    assert choose_framing(alone, seed=0) is None
