from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tipstaff_server.scheduling.queue import DeadlineQueue, Entry

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.integers(0, 9)),
        st.tuples(st.just("pop"), st.integers(0, 30)),
        st.tuples(st.just("remove"), st.integers(0, 30)),
    )
)


def entry(deadline: float, work: float = 1.0) -> Entry:
    return Entry(
        None, "item", deadline, 0.0, solo_seconds=work, run_seconds=2 * work, cost_seconds=work
    )


@given(OPERATIONS)
def test_behaves_like_a_list_kept_sorted(operations):
    queue, expected, inserted = DeadlineQueue(), [], []
    for name, number in operations:
        if name == "insert":
            new = entry(float(number), work=number / 8)
            queue.insert(new)
            inserted.append(new)
            expected = sorted([*expected, new], key=lambda one: one.deadline)
        elif name == "pop" and expected:
            index = number % len(expected)
            assert queue.pop(index) is expected.pop(index)
        elif name == "remove" and inserted:
            one = inserted[number % len(inserted)]
            assert queue.remove(one) == (one in expected)
            expected = [other for other in expected if other is not one]
        assert list(queue) == expected
        assert queue.cost_seconds == sum(one.cost_seconds for one in expected)
        assert queue.earliest == (expected[0].deadline if expected else math.inf)
        latest_starts, work = queue.behind(0)
        assert latest_starts.tolist() == [one.latest_start for one in expected]
        assert work.tolist() == [one.cost_seconds for one in expected]


def test_equal_deadlines_keep_their_order():
    queue = DeadlineQueue()
    first, second, third = entry(1.0), entry(1.0), entry(1.0)
    for one in (first, second, third):
        queue.insert(one)
    assert queue.remove(second)
    assert list(queue) == [first, third]
    assert not queue.remove(second)


def test_grows_while_columns_are_held():
    queue = DeadlineQueue()
    queue.insert(entry(1.0))
    held = queue.behind(0)
    queue.insert(entry(2.0))
    assert len(held[0]) == 1
    assert len(queue) == 2


def test_length_is_the_items():
    assert entry(1.0).length == 4
    with pytest.raises(TypeError):
        Entry(None, 5, 1.0, 0.0)
