from __future__ import annotations

import math
from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tipstaff.errors import UsageError
from tipstaff.types import Interaction
from tipstaff_trainer.data import Row, check_split, split_rows
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
    """Tries every way to divide the groups between two sides."""
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


def test_an_interaction_in_two_groups_takes_both_to_one_side():
    # Each even group shares a text with the next group; each group also has its own text.
    rows = [
        row(f"g{index}", index % 4 < 2, f"{index} {part}", output=f"text {index // 2 * 2} {part}")
        if part == 0
        else row(f"g{index}", index % 4 < 2, f"{index} {part}", output=f"own {index}")
        for index in range(40)
        for part in range(2)
    ]
    for seed in range(10):
        rest, part = split_rows(rows, 0.3, seed=seed)
        assert len(part) == pytest.approx(24, abs=3)
        assert not {r.interaction for r in rest} & {r.interaction for r in part}
        assert not {r.group for r in rest} & {r.group for r in part}


def test_a_split_that_leaves_one_class_to_train_on_is_an_error():
    good, bad = rows_of([("a", 1)] * 8), rows_of([("b", 0)] * 4)
    with pytest.raises(
        DataError, match=r"none of the 8 rows left to train on is bad .* 4 of that"
    ) as raised:
        check_split(good, bad, 0.3)
    # The message names no flag: other front ends show it too.
    assert "--" not in str(raised.value)
    with pytest.raises(DataError, match=r"is good .* went to test whole"):
        check_split(bad, good, 0.3, name="test")
    # All rows are of one class, so the split is not at fault.
    assert check_split(good, good[:4], 0.3) == []


def test_a_split_without_a_class_to_measure_or_far_from_its_aim_is_told():
    both = rows_of([("a", 1), ("a", 0)] * 10)
    assert check_split(both, both[:5], 0.2) == []
    [lacking] = check_split(both, rows_of([("b", 1)] * 5), 0.2)
    assert "none of the 5 validation rows is bad" in lacking
    [small] = check_split(both * 5, both[:2], 0.2)
    assert "2 of 102 rows are for validation instead of 20" in small
    [large] = check_split(both, both, 0.2)
    assert "20 of 40 rows are for validation instead of 8" in large
    assert check_split(both, both[:2], 0.01) == []
