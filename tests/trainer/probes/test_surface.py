"""Changes of form leave the words, or what they look like."""

from __future__ import annotations

import random
import unicodedata

import pytest

from tipstaff_trainer.probes import surface

TEXT = "Dr. Smith keeps parcels for 14 days. Members get longer. Ask at the desk!"


@pytest.mark.parametrize("swap", [True, False])
def test_typing_errors_leave_numbers_and_most_words(swap):
    words = TEXT.split()
    for seed in range(20):
        typed = surface.typos(TEXT, random.Random(seed), swap=swap).split()
        changed = [(old, new) for old, new in zip(words, typed, strict=True) if old != new]
        assert len(changed) <= 2
        assert all(old[0] == new[0] and old.isascii() and len(old) >= 5 for old, new in changed)
        assert "14" in typed
    assert surface.typos("14 days", random.Random(0), swap=swap) == "14 days"


def test_look_alikes_look_alike():
    changed = surface.look_alikes(TEXT, random.Random(0))
    assert len(changed) == len(TEXT)
    foreign = [c for c in changed if not c.isascii()]
    assert 2 <= len(foreign) <= len(TEXT) / 8
    assert all(unicodedata.name(c).startswith("CYRILLIC") for c in foreign)
    assert surface.look_alikes("14 %", random.Random(0)) == "14 %"


def test_a_list_has_an_item_for_each_sentence():
    lines = surface.as_list(TEXT, random.Random(1)).split("\n")
    assert [line.split(" ", 1)[1] for line in lines] == [
        "Dr. Smith keeps parcels for 14 days.",
        "Members get longer.",
        "Ask at the desk!",
    ]
    assert surface.as_list("One sentence.", random.Random(0)) is None


def test_sentences_come_in_another_order():
    for seed in range(10):
        text = surface.reordered(TEXT, random.Random(seed))
        assert text != TEXT
        assert sorted(text.split()) == sorted(TEXT.split())
    assert surface.reordered("One sentence.", random.Random(0)) is None
    assert surface.reordered("Yes. Yes.", random.Random(0)) is None
