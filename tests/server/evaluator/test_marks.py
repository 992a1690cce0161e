from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tipstaff_server.evaluator.marks import (
    STOP_WORDS,
    mark,
    marks_by_word,
    shared_words,
    words_of,
)


def shared(one: str, other: str) -> set[str]:
    return set(shared_words(words_of(one), words_of(other)))


def test_words_are_compared_without_case_and_accents():
    assert shared("Café in PARIS", "the cafe, Paris!") == {"cafe", "paris"}


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("six feet", "6ft 1in", {"6"}),
        ("Paris of27 Wars", "of the wars", {"wars"}),
        ("the Third Army", "3rd army", {"3", "army"}),
        ("12 Monkeys", "twelve_monkeys", {"12", "monkeys"}),
        ("21", "twenty one", set()),
    ],
)
def test_numbers_are_compared_however_they_are_written(one, other, alike):
    assert shared(one, other) == alike


def test_the_older_words_are_left_as_they_were():
    words = [word for word, _, _ in words_of("Six feet of27", "overlap")]
    assert words == ["six", "feet", "of27"]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("edible tuber", "underground tubers", {"tuber", "tubers"}),
        ("Ricky Nelson", "byRicky Nelsonin 1959", {"ricky", "byricky", "nelson", "nelsonin"}),
        ("March 2018", "on March 20181", {"march", "2018", "20181"}),
        ("the order", "theorder", {"order", "theorder"}),
        ("Paris", "the Par", set()),
        ("an art", "articles", set()),
        ("mentioned", "tent", set()),
    ],
)
def test_words_that_others_begin_or_end_with_are_shared_by_kind_forms(one, other, alike):
    for pair in ((one, other), (other, one)):
        assert set(shared_words(*map(words_of, pair), "forms")) == alike
    assert alike == set() or shared(one, other) < alike


SHORT_WORDS = st.frozensets(st.text("ab", min_size=1, max_size=9), max_size=12)


@given(SHORT_WORDS, SHORT_WORDS)
def test_parts_are_those_of_looking_at_every_beginning_and_end(ours, theirs):
    expected = {
        either
        for words, parts in ((ours, theirs), (theirs, ours))
        for word in words
        for length in range(4, len(word))
        for part in (word[:length], word[-length:])
        if part in parts
        for either in (word, part)
    }
    assert content(ours) & content(theirs) | expected == shared_words(
        *([(word, 0, 0) for word in words] for words in (ours, theirs)), "forms"
    )


def content(words: frozenset[str]) -> frozenset[str]:
    return words - STOP_WORDS


@given(st.text())
@example("Straße ΐ ﷺ ﾞﾟ 각 İI ſ ṩ ệ\u0323\u0301")
def test_words_fold_as_their_letters_do(text):
    for word, start, end in words_of(text, "overlap"):
        decomposed = unicodedata.normalize("NFKD", text[start:end].casefold())
        assert word == "".join(each for each in decomposed if not unicodedata.combining(each))


def test_words_of_nearly_every_text_do_not_count():
    assert shared("the order is in the post", "the refund is in the bank") == set()


def test_every_token_of_a_shared_word_is_marked():
    words = words_of("un-refundable")
    assert [word for word, _, _ in words] == ["un", "refundable"]
    offsets = [(0, 2), (2, 3), (3, 9), (9, 13)]
    assert mark(offsets, words, {"refundable": 2}).tolist() == [0, 0, 2, 2]


def test_tokens_that_stand_for_nothing_are_not_marked():
    words = words_of("paris")
    assert mark([(0, 0), (0, 5), (5, 5)], words, {"paris": 1}).tolist() == [0, 1, 0]


@given(st.lists(st.sampled_from(["paris", "the", "city", " ", ", "]), max_size=12).map("".join))
def test_marks_agree_with_looking_at_every_pair(text):
    words = words_of(text)
    chosen = marks_by_word(frozenset({"paris", "city"}), frozenset({"city"}))
    offsets = [(start, start + 1) for start in range(len(text))]
    expected = [
        max(
            [
                chosen[w]
                for w, start_, end_ in words
                if start < end_ and end > start_ and w in chosen
            ],
            default=0,
        )
        for start, end in offsets
    ]
    assert mark(offsets, words, chosen).tolist() == expected
