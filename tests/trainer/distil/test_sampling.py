from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tipstaff_trainer.distil.sampling import GroupedSampler

ROWS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 100)), min_size=1, max_size=300)


def sampler(rows, batch_size=8, seed=0):
    groups, lengths = zip(*((str(group), length) for group, length in rows), strict=True)
    return GroupedSampler(groups, lengths, batch_size=batch_size, seed=seed)


@given(ROWS, st.integers(1, 40))
def test_every_row_comes_once(rows, batch_size):
    assert sorted(sampler(rows, batch_size)) == list(range(len(rows)))


@given(ROWS)
def test_only_a_batch_boundary_parts_a_group(rows):
    order, parts = list(sampler(rows)), {}
    for start in range(0, len(order), 8):
        for index in order[start : start + 8]:
            parts.setdefault(rows[index][0], set()).add(start)
    # Up to 8 consecutive rows span at most this many batches of 8; larger groups are not kept
    # together.
    sizes = {group: sum(one == group for one, _ in rows) for group in parts}
    assert all(len(parts[group]) <= (sizes[group] + 14) // 8 for group in parts if sizes[group] < 9)


def test_epochs_differ_and_can_be_repeated():
    rows = [(index // 4, 10) for index in range(100)]
    first = list(sampler(rows))
    again = sampler(rows)
    assert list(again) == first
    again.set_epoch(1)
    assert list(again) != first
    again.set_epoch(0)
    assert list(again) == first
    assert list(sampler(rows, seed=1)) != first


def batches_of(order, size):
    return [order[start : start + size] for start in range(0, len(order), size)]


def padding(rows, batches):
    """The share of the tokens in padded batches that are padding."""
    lengths = [[rows[index][1] for index in batch] for batch in batches]
    return 1 - sum(map(sum, lengths)) / sum(max(batch) * len(batch) for batch in lengths)


def test_like_lengths_share_batches_but_long_ones_do_not_come_first():
    rows = [(index, 10 if index % 2 else 100) for index in range(160)]
    batches = [{rows[index][1] for index in batch} for batch in batches_of(list(sampler(rows)), 8)]
    assert all(len(lengths) == 1 for lengths in batches)
    assert batches != sorted(batches, key=max, reverse=True)


@pytest.mark.parametrize(("count", "most"), [(300, 0.2), (1500, 0.2), (20_000, 0.1)])
def test_padding_stays_low_for_lengths_of_every_kind(count, most):
    generator = random.Random(0)
    lengths = [min(512, int(generator.lognormvariate(4, 0.7))) for _ in range(count)]
    rows = [(index // 2, lengths[index // 2]) for index in range(count)]
    in_file_order = padding(rows, batches_of(list(range(count)), 32))
    assert in_file_order > 0.5
    assert padding(rows, batches_of(list(sampler(rows, 32)), 32)) < most


def test_a_large_sorted_group_gives_no_batches_of_one_class():
    rows = [(0, 10)] * 512
    sizes = [
        sum(index < 256 for index in batch) for batch in batches_of(list(sampler(rows, 32)), 32)
    ]
    assert all(4 < good < 28 for good in sizes)


def test_a_large_group_fills_no_batches_by_itself():
    rows = [(max(0, index - 255), 10) for index in range(512)]
    for batch in batches_of(list(sampler(rows, 32)), 32):
        assert sum(index < 256 for index in batch) < 30


def test_a_large_group_has_other_neighbours_in_each_epoch():
    order = sampler([(0, 10)] * 64)
    first = {frozenset(batch) for batch in batches_of(list(order), 8)}
    order.set_epoch(1)
    assert not first & {frozenset(batch) for batch in batches_of(list(order), 8)}


def test_each_epoch_reads_the_rows_of_its_pass():
    rows = GroupedSampler(
        list("aabbcc"), [1] * 6, batch_size=2, seed=0, passes=[[0, 1, 2, 4], [0, 3, 4, 5]]
    )
    assert len(rows) == 4
    read = []
    for epoch in range(3):
        rows.set_epoch(epoch)
        read.append(sorted(rows))
    assert read == [[0, 1, 2, 4], [0, 3, 4, 5], [0, 1, 2, 4]]
