"""Numbers, times, texts and charts as pages show them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tipstaff_trainer.desk import views
from tipstaff_trainer.workspace.db.models import Label, ReviewItem, now


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(days=40), "40 d ago"),
    ],
)
def test_a_time_is_shown_as_how_long_ago_it_was(ago, words):
    assert views.time_ago(now() - ago) == words
    assert views.time_ago(None) == ""


@pytest.mark.parametrize(
    ("seconds", "words"), [(9, "9 s"), (125, "2 min 5 s"), (3 * 3600 + 65, "3 h 1 min")]
)
def test_a_duration_is_shown_in_two_units(seconds, words):
    start = now()
    assert views.duration(start, start + timedelta(seconds=seconds)) == words
    assert views.duration(None, start) == ""
    assert views.duration(now(), None) == "0 s"


def test_numbers_and_labels_are_short():
    assert [views.number(value) for value in (None, 12345, 0.51239)] == ["–", "12,345", "0.512"]
    assert [views.verdict_word(value) for value in (None, 0.5, 0.49)] == ["none", "good", "bad"]
    assert views.shorten(None) == ""
    assert views.shorten("a \n b") == "a b"
    assert views.shorten("x" * 200) == "x" * 139 + "…"


def test_a_chart_without_points_is_left_out_and_a_flat_one_has_a_height():
    assert views.chart_lines([("one", ())]) is None
    flat = views.chart_lines([("one", [(0, 2.0)]), ("two", ())])
    assert flat["ticks"] == [(0.0, 2.0), (0.5, 2.5), (1.0, 3.0)]
    assert flat["lines"] == [("one", [(0.0, 0.0)]), ("two", [])]
    line = views.chart_lines([("one", [(10, 0.25), (20, 0.75)])], low=0, high=1)
    assert line["lines"] == [("one", [(0.5, 0.25), (1.0, 0.75)])]


@pytest.mark.parametrize(
    ("selection", "value", "words"),
    [
        ("uncertain", 0.58, "Picked because the judge was unsure (0.58)"),
        ("uncertain", 0.99, "Picked because the label is doubtful: why"),
        ("uncertain", None, "Picked because the label is doubtful: why"),
        ("disputed", 0.5, "Picked because opinions differ: why"),
    ],
)
def test_a_row_says_why_it_was_picked(selection, value, words):
    item = ReviewItem(selection=selection, why="why")
    label = None if value is None else Label(value=value)
    assert views.picked_because(item, label) == words
