from __future__ import annotations

import math
from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tipstaff.errors import UsageError
from tipstaff.types import Interaction
from tipstaff_trainer.data import Row, derive_groups, split_rows, without_groups_of
from tipstaff_trainer.errors import DataError


def row(group="", label=1.0, id="1", **texts):
    return Row(interaction=Interaction(**texts), label=label, id=id, group=group)


def rows_of(groups_and_labels):
    return [
        row(group, float(label), str(index), output=f"text {index}")
        for index, (group, label) in enumerate(groups_and_labels)
    ]


many_rows = st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), min_size=2, max_size=24)


def classes(rows):
    return {row.good for row in rows}


def both_sides_can_have_both_classes(rows):
    """By trying every way to put the groups on two sides."""
    groups = sorted({row.group for row in rows})
    for sides in product((False, True), repeat=len(groups)):
        side_of = dict(zip(groups, sides, strict=True))
        if all(
            len(classes([row for row in rows if side_of[row.group] is side])) == 2
            for side in (False, True)
        ):
            return True
    return False


@given(many_rows.map(rows_of), st.floats(0.01, 0.99), st.integers(0, 9))
def test_groups_stay_whole_rows_stay_in_order_and_no_side_is_empty(rows, size, seed):
    if len({row.group for row in rows}) == 1:
        with pytest.raises(DataError, match="all in one group"):
            split_rows(rows, size, seed=seed)
        return
    rest, part = split_rows(rows, size, seed=seed)
    assert rest
    assert part
    assert not {row.group for row in rest} & {row.group for row in part}
    kept = {row.id for row in part}
    assert rest == [row for row in rows if row.id not in kept]
    assert part == [row for row in rows if row.id in kept]
    assert (rest, part) == split_rows(rows, size, seed=seed)


@given(many_rows.map(rows_of), st.floats(0.01, 0.99), st.integers(0, 9))
def test_no_side_lacks_a_class_where_that_can_be_avoided(rows, size, seed):
    if both_sides_can_have_both_classes(rows):
        for side in split_rows(rows, size, seed=seed):
            assert classes(side) == {True, False}


def test_two_bad_rows_among_many_go_to_either_side():
    rows = rows_of([(str(index), index > 1) for index in range(30)])
    for seed in range(20):
        rest, part = split_rows(rows, 0.2, seed=seed)
        assert sum(not row.good for row in rest) == sum(not row.good for row in part) == 1


@pytest.mark.parametrize("size", [0.1, 0.2, 0.35, 0.5, 0.8])
def test_the_split_is_close_to_its_aim_in_rows_and_classes(size):
    # Groups of one to five rows, a quarter of the rows good.
    rows = rows_of([(f"g{index % 331 % 200}", index % 4 == 0) for index in range(1000)])
    _, part = split_rows(rows, size, seed=3)
    assert len(part) == pytest.approx(1000 * size, abs=5)
    assert sum(row.good for row in part) == pytest.approx(250 * size, abs=5)


def test_what_is_split_off_is_drawn_at_random_not_by_place_or_size_of_group():
    groups = [f"g{index}" for index in range(200) for _ in range(1 + index % 5)]
    rows = rows_of([(group, index % 2) for index, group in enumerate(groups)])
    sizes = Counter(groups)
    drawn = Counter[int]()
    for seed in range(40):
        drawn.update(
            sizes[group] for group in {r.group for r in split_rows(rows, 0.2, seed=seed)[1]}
        )
    shares = [drawn[size] / (40 * 40) for size in range(1, 6)]
    assert all(0.15 < share < 0.25 for share in shares), shares


def test_other_seeds_give_other_splits():
    rows = rows_of([(str(index), index % 2) for index in range(40)])
    assert (
        len({tuple(r.id for r in split_rows(rows, 0.2, seed=seed)[1]) for seed in range(10)}) == 10
    )


def test_rows_without_a_group_are_groups_by_themselves():
    rows = [row("", index % 2, str(index), output="same") for index in range(10)]
    assert len(split_rows(rows, 0.2, seed=0)[1]) == 2


def test_unlabelled_rows_can_be_split_too():
    rows = [row(str(index), math.nan, str(index), output="x") for index in range(10)]
    assert len(split_rows(rows, 0.3, seed=0)[1]) == 3


@pytest.mark.parametrize("size", [0, 1, -0.1, 20, math.nan])
def test_a_size_that_is_no_share_is_a_usage_error(size):
    with pytest.raises(UsageError, match="not a share"):
        split_rows(rows_of([("a", 0), ("b", 1)]), size, seed=0)


def groups_of(rows):
    return [row.group for row in derive_groups(rows)[0]]


def test_rows_of_one_input_are_one_group_whatever_its_case_and_spaces():
    filler = [row(input=str(index)) for index in range(9)]
    first, second, other, *_ = groups_of(
        [row(input="What is it?"), row(input=" what  is it?\n"), row(input="Who?"), *filler]
    )
    assert first == second != other


def test_without_an_input_the_ground_truth_is_what_is_shared_then_the_output():
    filler = [row(output=str(index)) for index in range(9)]
    groups = groups_of(
        [
            row(ground_truth="reference", output="a"),
            row(ground_truth="reference", output="b"),
            row(input="  ", output="a"),
            row(input="", output="a"),
            *filler,
        ]
    )
    assert groups[0] == groups[1] != groups[2] == groups[3]
    assert len(set(groups)) == 2 + len(filler)


def test_given_groups_are_kept_and_only_the_others_derived():
    groups = groups_of([row("mine", input="a"), row(input="a"), row(input="b"), row(input="c")])
    assert groups[0] == "mine"
    assert len(set(groups)) == 4


def test_a_text_that_most_rows_share_is_passed_over():
    rows = [
        row(input="Summarise.", ground_truth="The policy.", output=f"text {index // 2}")
        for index in range(10)
    ]
    grouped, [note] = derive_groups(rows)
    assert len({row.group for row in grouped}) == 5
    assert "the same input" in note
    same = [row(input="a", output="b", id=str(index)) for index in range(10)]
    assert len(set(groups_of(same))) == 10
    assert derive_groups([row(input="a")])[1] == []


def test_groups_are_the_same_from_file_to_file():
    train = [row(input=f"q{index}") for index in range(6)]
    test = [row(input=f"q{index}", output="other") for index in (3, 8, 9)]
    assert groups_of(train)[3] == groups_of(test)[0]


def test_rows_that_share_group_or_text_with_a_test_file_are_left_out_of_training():
    train = [row("a", output="1"), row("b", output="2"), row("c", output="3"), row(output="4")]
    test = [row("a", output="other"), row("z", output="3"), row(output="5")]
    assert without_groups_of(train, test) == [train[1], train[3]]
