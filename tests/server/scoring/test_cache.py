from __future__ import annotations

from types import SimpleNamespace

import pytest

from tipstaff.types import Interaction, Score, Timing, Verdict
from tipstaff_server.scoring.cache import ScoreCache

SERVED = SimpleNamespace(name="tiny", version=1)
SCORE = Score(Verdict.PASS, 0.75, timing=Timing(1, 2, 3, 4))


def remember(cache, interaction, served=SERVED, score=SCORE):
    cache.put(cache.key(served, interaction), score)


def look_up(cache, interaction, served=SERVED):
    return cache.get(cache.key(served, interaction))


def test_what_comes_again_gets_the_score_it_had_and_says_so():
    cache = ScoreCache(2)
    remember(cache, Interaction("Q", "A", "T"))
    found = look_up(cache, Interaction("Q", "A", "T"))
    assert (found.score, found.verdict, found.cached, found.timing) == (
        *(0.75, Verdict.PASS, True),
        None,
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Interaction("Q", "A", "T"), Interaction("Q", "A", "t")),
        (Interaction("Q", "A", "T"), Interaction("Q", "A", "T ")),
        (Interaction("QA", "", "T"), Interaction("Q", "A", "T")),
        (Interaction("1:A", "", ""), Interaction("", "1:A", "")),
        (Interaction("Q", None, "T"), Interaction("Q", "", "T")),
        (Interaction("Q", "-", None), Interaction("Q", None, "-")),
        (Interaction("é", "A"), Interaction("e\u0301", "A")),
    ],
)
def test_nothing_less_than_the_same_text_in_the_same_field_is_the_same(one, other):
    cache = ScoreCache(2)
    remember(cache, one)
    assert look_up(cache, one)
    assert look_up(cache, other) is None


@pytest.mark.parametrize(
    "other", [SimpleNamespace(name="tiny", version=2), SimpleNamespace(name="tony", version=1)]
)
def test_a_score_is_its_version_s_alone(other):
    cache = ScoreCache(2)
    remember(cache, Interaction("Q"))
    assert look_up(cache, Interaction("Q"), other) is None


def test_what_was_asked_for_longest_ago_makes_room():
    cache = ScoreCache(2)
    for text in ("a", "b"):
        remember(cache, Interaction(text))
    assert look_up(cache, Interaction("a"))
    remember(cache, Interaction("c"))
    assert len(cache) == 2
    assert [bool(look_up(cache, Interaction(text))) for text in "abc"] == [True, False, True]


def test_who_asks_for_highlights_is_not_answered_without():
    cache, interaction = ScoreCache(2), Interaction("Q", "A")
    remember(cache, interaction)
    assert cache.get(cache.key(SERVED, interaction, explained=True)) is None


def test_without_entries_nothing_is_remembered():
    cache = ScoreCache(0)
    remember(cache, Interaction("Q"))
    assert len(cache) == 0
    assert look_up(cache, Interaction("Q")) is None
