from __future__ import annotations

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
    # Cut into batches of 8, n rows in one run lie in at most this many of them.
    sizes = {group: sum(one == group for one, _ in rows) for group in parts}
    assert all(len(parts[group]) <= (sizes[group] + 14) // 8 for group in parts)


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


def test_like_lengths_share_batches_but_long_ones_do_not_come_first():
    rows = [(index, 10 if index % 2 else 100) for index in range(160)]
    order = list(sampler(rows))
    batches = [{rows[index][1] for index in order[start : start + 8]} for start in range(0, 160, 8)]
    assert all(len(lengths) == 1 for lengths in batches)
    assert batches != sorted(batches, key=max, reverse=True)
