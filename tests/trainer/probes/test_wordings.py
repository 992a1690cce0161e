"""The two halves of the wordings share nothing, and make thousands of forms."""

from __future__ import annotations

import random
import re
from dataclasses import fields

import pytest

from tipstaff_trainer.probes.forms import Composer
from tipstaff_trainer.probes.wordings import Wordings, wordings

# Nothing is worded in these: the piece alone, the question alone, stops and spaces.
BARE = {"", "{}", "{question}", "{question}?", ". ", ".\n", ".\n\n", "; ", ": ", "! ", " - "}


LISTS = [each.name for each in fields(Wordings) if each.name != "slots"]


def wordless(template: str) -> str:
    """A template without case, white space and punctuation at its ends."""
    return " ".join(template.casefold().split()).strip(" .,;:!?")


@pytest.mark.parametrize("name", LISTS)
def test_no_probe_is_worded_as_a_training_row(name):
    training, probing = (set(getattr(wordings(half), name)) for half in ("training", "probing"))
    assert name == "joints" or name.startswith("composed") or (training - BARE and probing - BARE)
    assert not {wordless(each) for each in training - BARE} & {
        wordless(each) for each in probing - BARE
    }


def test_the_halves_share_no_wording_across_lists_either():
    def all_of(half):
        lists = (getattr(wordings(half), name) for name in LISTS)
        return {wordless(text) for texts in lists for text in texts} - {wordless(t) for t in BARE}

    assert not all_of("training") & all_of("probing")


@pytest.mark.parametrize("half", ["training", "probing"])
def test_every_template_has_the_places_that_it_is_filled_with(half):
    lists = wordings(half)
    for name in ("denied_phrase", "denied_clause", "asserted_phrase", "asserted_clause"):
        assert all(template.count("{}") == 1 for template in getattr(lists, name)), name
    for name in ("contrast_phrase", "contrast_clause"):
        for template in getattr(lists, name):
            assert "{no}" in template
            assert "{yes}" in template
    for name, place in (("echoes", "{question}"), ("questions_alone", "{question}")):
        assert all(place in template for template in getattr(lists, name))
    assert all("{truth}" in each and "{claim}" in each for each in lists.beside)


@pytest.mark.parametrize(("half", "fewest"), [("training", 1900), ("probing", 1000)])
def test_forms_are_composed_rather_than_listed(half, fewest):
    composer = Composer(wordings(half), random.Random(0))
    forms = {composer.denied_first(no="Berlin", yes="Paris") for _ in range(2000)}
    assert len(forms) > fewest


@pytest.mark.parametrize("half", ["training", "probing"])
def test_the_same_forms_deny_and_assert_either_piece(half):
    # With the same draws, only the pieces differ: the framing says nothing about the label.
    def form(no, yes):
        composer = Composer(wordings(half), random.Random(5))
        return composer.denied_first(no=no, yes=yes)

    assert form("Berlin", "Paris").replace("Berlin", "X") == form("Rome", "Paris").replace(
        "Rome", "X"
    )


def test_every_slot_is_filled_and_none_is_left_over():
    lists = wordings("training")
    templates = [text for name in LISTS for text in getattr(lists, name)]
    choices = [text for some in lists.slots.values() for text in some]
    used = {slot for text in [*templates, *choices] for slot in re.findall("<([a-z ]+)>", text)}
    assert used == set(lists.slots)


@pytest.mark.parametrize(
    ("no", "yes"),
    [
        ("refuted", "confirmed"),
        ("fool", "sage"),
        ("nobody", "everybody"),
        ("untruth", "truth"),
        ("untruth start", "truth start"),
        ("never", "ever"),
        ("refuse", "accept"),
        ("tail no", "tail yes"),
        ("wrongly", "rightly"),
        ("wrong", "right"),
    ],
)
def test_what_denies_has_a_like_that_asserts(no, yes):
    slots = wordings("training").slots
    assert not set(slots[no]) & set(slots[yes])
    assert 0.6 < len(slots[no]) / len(slots[yes]) < 1.6


@pytest.mark.parametrize("piece", ["Paris", "It was built in 1930."])
def test_denials_and_assertions_are_composed_of_the_piece(piece):
    composer = Composer(wordings("training"), random.Random(0))
    for compose in (composer.denied, composer.asserted):
        forms = [compose(piece) for _ in range(1000)]
        assert len(set(forms)) > 300
        assert all(piece.rstrip(".").casefold() in form.casefold() for form in forms)
        assert not any("<" in form or "{" in form or '""' in form for form in forms)


def test_a_truth_pasted_beside_a_claim_is_composed_in_either_order():
    composer = Composer(wordings("training"), random.Random(0))
    forms = {composer.beside("Paris", "Lyon") for _ in range(1000)}
    assert len(forms) > 400
    assert all("Paris" in form and "Lyon" in form for form in forms)
    assert 0.2 < sum(form.index("Lyon") < form.index("Paris") for form in forms) / len(forms) < 0.6
