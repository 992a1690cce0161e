from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tipstaff.types import Interaction
from tipstaff_trainer.data import LABEL_SOURCES, Row, check_trainable, fingerprint
from tipstaff_trainer.data.rows import content_id, join_labels
from tipstaff_trainer.errors import DataError


def row(label=1.0, id="1", text="a", **values):
    return Row(interaction=Interaction(output=text), label=label, id=id, **values)


def many(good, bad):
    labels = [1.0] * good + [0.0] * bad
    return [row(label, str(index), f"text {index}") for index, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("labels", "expected", "source"),
    [
        ([(1, "judge"), (0, "human")], 0.0, "human"),
        ([(0, "human"), (1, "judge"), (1, "other")], 0.0, "human"),
        ([(1, "other"), (0.2, "judge")], 0.2, "judge"),
        ([(1, "human"), (0, "human"), (0, "judge")], 0.5, "human"),
        ([(1, "human"), (1, "human"), (0, "human")], 2 / 3, "human"),
    ],
)
def test_the_highest_source_stands_and_its_labels_are_averaged(labels, expected, source):
    [joined], notes = join_labels([row(y, label_source=s) for y, s in labels])
    assert joined.label == pytest.approx(expected)
    assert joined.label_source == source
    assert len(notes) == 1


def test_rows_of_their_own_id_are_left_as_they_are():
    rows = many(2, 1)
    assert join_labels(rows) == (rows, [])


def test_a_joined_row_stands_where_its_id_first_did():
    rows = [row(id="b"), row(id="a"), row(id="b")]
    assert [joined.id for joined in join_labels(rows)[0]] == ["b", "a"]


def test_labels_that_cancel_out_are_told():
    _, [note] = join_labels([row(1), row(0)])
    assert "1 came out at 0.5" in note
    assert "came out" not in join_labels([row(1), row(1)])[1][0]


def test_a_selection_on_which_the_labels_differ_is_unknown():
    [joined], _ = join_labels([row(selection="random"), row(selection="uncertain")])
    assert joined.selection == "unknown"
    human = [row(selection="random", label_source="human"), row(selection="uncertain")]
    assert join_labels(human)[0][0].selection == "random"


def test_a_label_outranks_none_whatever_the_source():
    [joined], _ = join_labels([row(math.nan, label_source="human"), row(0, label_source="other")])
    assert joined.label == 0.0
    [unlabelled], _ = join_labels([row(math.nan), row(math.nan)])
    assert not unlabelled.labelled


def test_one_id_with_two_texts_names_both_places():
    rows = [row(place="a.csv, row 1"), row(text="b", place="a.csv, row 9")]
    with pytest.raises(DataError, match=r"^a.csv, row 9: id \"1\" is also in a.csv, row 1"):
        join_labels(rows)


@given(
    st.lists(
        st.builds(
            row,
            label=st.floats(0, 1),
            id=st.sampled_from("abc"),
            weight=st.floats(0, 10),
            label_source=st.sampled_from(LABEL_SOURCES),
            selection=st.sampled_from(["random", "disputed"]),
        ),
        min_size=1,
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_what_is_joined_does_not_depend_on_the_order(rows, rng: random.Random):
    shuffled = list(rows)
    rng.shuffle(shuffled)
    joined = {joined.id: joined for joined in join_labels(rows)[0]}
    again = {joined.id: joined for joined in join_labels(shuffled)[0]}
    assert joined == again


def test_an_id_from_content_tells_texts_and_fields_apart_but_not_absent_from_empty():
    different = {
        content_id(interaction)
        for interaction in (
            Interaction("a", "b", None),
            Interaction("b", "a", None),
            Interaction(None, "a", "b"),
            Interaction("ab", None, None),
            Interaction("a", "b", "c"),
        )
    }
    assert len(different) == 5
    assert content_id(Interaction("a", None)) == content_id(Interaction("a", ""))


def test_a_fingerprint_is_the_same_on_every_machine_and_release():
    assert fingerprint([row(place="x"), row(0.25, "é", "\ud83d", group="g")]) == (
        "edf5b44264e24876bd0d3ac15fb5d18b2de6a9bedfea682856dc9859651a157d"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"label": 0.9},
        {"id": "2"},
        {"weight": 2.0},
        {"group": "g"},
        {"label_source": "human"},
        {"selection": "random"},
        {"interaction": Interaction(input="a")},
        {"interaction": Interaction(input="", output="a")},
    ],
)
def test_a_fingerprint_changes_with_what_training_sees(change):
    assert fingerprint([replace(row(), **change)]) != fingerprint([row()])


def test_a_fingerprint_changes_with_the_order_but_not_with_place_and_extra():
    one, other = row(id="1"), row(id="2")
    assert fingerprint([one, other]) != fingerprint([other, one])
    assert fingerprint([replace(one, place="b", extra={"a": "b"})]) == fingerprint([one])
    assert fingerprint([replace(one, label=1)]) == fingerprint([one])


def test_30_rows_can_be_trained_on_with_a_warning():
    [warning] = check_trainable(many(15, 15))
    assert warning.startswith("30 rows are few")
    assert "256" in warning


def test_256_rows_need_no_warning():
    assert check_trainable(many(200, 56)) == []
    assert len(check_trainable(many(200, 55))) == 1


def test_few_rows_of_one_class_are_warned_of():
    [warning] = check_trainable(many(300, 3))
    assert warning.startswith("only 3 of 303 rows are bad")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "0 labelled rows are too few"),
        (many(5, 4), "9 labelled rows are too few"),
        (many(300, 0), r"none of the 300 rows is bad"),
        (many(0, 300), r"none of the 300 rows is good"),
        (
            [replace(r, weight=0.0) for r in many(20, 20)],
            r"0 labelled rows \(and 40 of weight 0, their own",
        ),
        ([*many(20, 20), row(math.nan, place="a.csv, row 41")], "^a.csv, row 41: has no label"),
    ],
)
def test_rows_that_nothing_can_be_learnt_from_are_an_error(rows, message):
    with pytest.raises(DataError, match=message):
        check_trainable(rows)


def test_a_soft_label_counts_as_good_from_a_half():
    assert row(0.5).good
    assert not row(0.4999).good
