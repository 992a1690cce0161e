from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tipstaff_server.evaluator.windows import (
    Window,
    Wordings,
    covered,
    cut,
    deciding_run_index,
    nearest,
)

SENTENCES = st.lists(
    st.lists(st.sampled_from(["paris", "Dr.", "is", "a", "refund", "naïve"]), max_size=14).map(
        lambda words: " ".join([*words, "ends."])
    ),
    min_size=1,
    max_size=60,
)


def tokens(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]


@given(SENTENCES, st.integers(4, 80))
def test_windows_cover_the_text_and_none_is_too_long(sentences, size):
    text = " ".join(sentences)
    found = cut(text, tokens(text), size)
    assert found[0].start == 0
    assert found[-1].end == len(tokens(text)) == covered(found)
    assert all(window.end - window.start <= size for window in found)
    if len(found) > 1:
        # Each window starts inside the previous one, so that neighbours always share a window.
        assert all(a.start < b.start < a.end < b.end for a, b in pairwise(found))
        assert max(window.end - window.start for window in found) > size / 2


@given(SENTENCES)
def test_a_sentence_stands_whole_in_some_window_beside_either_neighbour(sentences):
    text, size = " ".join(sentences), 40
    spans = tokens(text)
    windows = [(spans[a][0], spans[b - 1][1]) for a, b in cut(text, spans, size)]
    ends = [0, *(match.end() for match in re.finditer(r"\. ", text)), len(text)]
    for start, end in zip(ends, ends[2:], strict=False):
        assert any(a <= start and len(text[:end].rstrip()) <= b for a, b in windows)


def test_a_text_without_sentences_is_cut_at_words():
    text = "unbelievably " * 100
    pieces = [
        span for n in range(100) for span in ((n * 13, n * 13 + 2), (n * 13 + 2, n * 13 + 12))
    ]
    found = cut(text, pieces, 30)
    assert len(found) > 6
    assert all(window.start % 2 == 0 and window.end % 2 == 0 for window in found)


def test_windows_are_of_like_length():
    text = "One two three four five six seven eight nine. " * 30
    lengths = [end - start for start, end in cut(text, tokens(text), 100)]
    # If the first windows were filled up, the last one would have only 30 tokens.
    assert lengths == [90, 90, 90, 60]


def test_a_text_that_fits_is_one_window_and_so_is_none():
    assert cut("a b", tokens("a b"), 2) == [Window(0, 2)]
    assert cut("", [], 8) == [Window(0, 0)]


def test_scripts_without_blanks_are_cut_too():
    text = "茶は緑です" * 40 + "。水は青いです。" * 20
    spans = [(place, place + 1) for place in range(len(text))]
    found = cut(text, spans, 32)
    assert covered(found) == len(text)
    assert all(window.end - window.start <= 32 for window in found)


@pytest.mark.parametrize("piece", [".", '."', "\n", ". ", "a", "é", "。", "a."])
def test_no_text_takes_long(piece):
    text = piece * (100_000 // len(piece))
    spans = [(place, place + 1) for place in range(0, len(text), 4)]
    started = time.thread_time()
    assert covered(cut(text, spans, 64)) == len(spans)
    assert time.thread_time() - started < 2


def test_the_nearest_share_rare_words():
    said = {"kettle", "refund", "days"}
    texts = [{"days", "shop"}, {"days", "tea"}, {"kettle", "tea"}, {"days", "refund"}, {"days"}]
    values = Wordings(texts, said).nearness(set())
    assert nearest(values, 2) == [2, 3]
    assert nearest(values, 9) == [0, 1, 2, 3, 4]
    assert 0 < values[4] < values[2] < values[3] < 1
    for first, rest in (({"kettle"}, {"refund", "days"}), (set(), said), (said, {"days", "no"})):
        wordings = Wordings(texts, first)
        assert wordings.nearness(rest) == pytest.approx(values)
        assert wordings.nearness_of(texts[3:], rest) == pytest.approx(values[3:])
    assert Wordings(texts, {"kettle"}).nearness({"no text has it"}) == [0, 0, 1, 0, 0]
    assert Wordings(texts, set()).nearness({"nothing"}) == [0] * 5
    assert nearest([0] * 5, 2) == [0, 1]


@given(st.data())
def test_the_deciding_run_is_the_best_of_the_worst_part(data):
    logits = data.draw(st.lists(st.floats(-9, 9), min_size=1, max_size=20))
    parts = sorted(data.draw(st.integers(0, 4)) for _ in logits)
    best = [
        max(value for value, own in zip(logits, parts, strict=True) if own == part)
        for part in set(parts)
    ]
    assert logits[deciding_run_index(logits, parts)] == min(best)


def test_a_handicap_counts_in_the_choice_and_not_in_the_value():
    logits, parts = [1.0, 3.0, 2.0, 2.5], [0, 0, 1, 1]
    assert deciding_run_index(logits, parts) == 3
    # The near run of the first part now decides: its logit, 1, is less than the second part's.
    assert deciding_run_index(logits, parts, [0.0, 2.5, 0.0, 0.0]) == 0
    assert deciding_run_index(logits, parts, [0.0, 1.5, 0.0, 1.0]) == 2


@pytest.mark.parametrize(
    ("chosen", "tokens"), [([(0, 5)], 5), ([(0, 5), (3, 9)], 9), ([(2, 4), (8, 9)], 3)]
)
def test_what_windows_share_is_counted_once(chosen, tokens):
    assert covered([Window(*one) for one in chosen]) == tokens
