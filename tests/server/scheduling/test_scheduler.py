from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tipstaff_server.scheduling.cost import CostModel, Measurement
from tipstaff_server.scheduling.queue import DeadlineQueue, Entry
from tipstaff_server.scheduling.scheduler import BatchLimits, Scheduler

LIMITS = BatchLimits(size=4, tokens=40, padding=0.25)


class Model:
    def __init__(self, batchable=True):
        self.batchable = batchable


MODELS = (Model(), Model(), Model(batchable=False))


def known_costs() -> CostModel:
    """A second for each run, and a sixteenth for each token."""
    costs = CostModel()
    for model in MODELS:
        points = [
            Measurement(batch, length, 1.0 + batch * length / 16)
            for batch in (1, 2, 4)
            for length in (1, 32)
        ]
        costs.learn(model, points)
    return costs


def fill(scheduler: Scheduler, *entries: tuple[Model, int, float]) -> list[Entry]:
    made = []
    for model, length, deadline in entries:
        entry = Entry(model, range(length), deadline, 0.0)
        scheduler.estimate(entry, 0.0)
        scheduler.push(entry)
        made.append(entry)
    return made


ENTRIES = st.lists(
    st.tuples(st.sampled_from(MODELS), st.integers(1, 30), st.integers(0, 40).map(float)),
    max_size=40,
)
COSTS = st.sampled_from([known_costs(), CostModel()])


@given(ENTRIES, COSTS, st.lists(st.integers(0, 39), max_size=8))
def test_every_entry_leaves_once_and_every_batch_keeps_the_rules(entries, costs, cancelled):
    scheduler, now, left = Scheduler(costs, LIMITS), 0.0, []
    pushed = fill(scheduler, *entries)
    for index in cancelled:
        if index < len(pushed) and scheduler.cancel(pushed[index]):
            left.append(pushed[index])
    while len(scheduler):
        waiting = list(scheduler.queue)
        batch, late = scheduler.take(now)
        left += late
        for entry in late:
            assert now >= entry.deadline or now + entry.run_seconds > entry.deadline
        if batch is None:
            continue
        left += batch.entries
        first = next(entry for entry in waiting if entry not in late)
        lengths = [entry.length for entry in batch.entries]
        padded = max(lengths) * len(lengths)
        assert batch.entries[0] is first, "the earliest deadline goes first"
        assert all(entry.model is batch.model for entry in batch.entries)
        assert batch.model.batchable or len(lengths) == 1
        assert len(lengths) <= LIMITS.size
        assert len(lengths) == 1 or padded <= LIMITS.tokens
        assert padded - sum(lengths) <= LIMITS.padding * padded
        ends = now + costs.seconds(batch.model, len(lengths), max(lengths), now)
        assert ends == now + batch.seconds
        assert all(ends <= entry.deadline for entry in batch.entries)
        now += 0.5
    assert sorted(map(id, left)) == sorted(map(id, pushed))


@given(ENTRIES, st.integers(0, 40))
def test_expires_exactly_what_is_past_its_deadline(entries, now):
    scheduler = Scheduler(CostModel(), LIMITS)
    pushed = fill(scheduler, *entries)
    expired = scheduler.expire(float(now))
    assert set(expired) == {entry for entry in pushed if entry.deadline <= now}
    assert len(scheduler) == len(pushed) - len(expired)


def test_neighbours_join_up_to_the_size_limit():
    scheduler = Scheduler(known_costs(), LIMITS)
    entries = fill(scheduler, *[(MODELS[0], 8, 100.0)] * 5)
    batch, late = scheduler.take(0.0)
    assert batch.entries == tuple(entries[:4])
    assert (len(scheduler), late) == (1, [])


def test_joins_past_entries_that_do_not_fit():
    scheduler = Scheduler(known_costs(), LIMITS)
    first, _, _, last = fill(
        scheduler,
        (MODELS[0], 8, 100.0),
        (MODELS[1], 8, 101.0),
        (MODELS[0], 30, 102.0),
        (MODELS[0], 8, 103.0),
    )
    batch, _ = scheduler.take(0.0)
    assert batch.entries == (first, last)


def test_nobody_joins_who_would_make_the_first_late():
    scheduler = Scheduler(known_costs(), LIMITS)
    first, _ = fill(scheduler, (MODELS[0], 16, 2.5), (MODELS[0], 16, 100.0))
    batch, _ = scheduler.take(0.0)
    assert batch.entries == (first,)


def test_a_full_queue_is_not_slowed_down_by_what_is_nearly_late():
    scheduler = Scheduler(known_costs(), BatchLimits(size=4, tokens=100))
    entries = fill(scheduler, *[(MODELS[0], 16, 5.0 + number) for number in range(8)])
    # Each takes 2 seconds alone, and four take 5 together: the first was to run in a batch.
    assert [entry.run_seconds for entry in entries[:5]] == [2.0, 3.0, 4.0, 5.0, 5.0]
    batch, late = scheduler.take(4.0)
    assert late == entries[:4]
    assert batch.entries == tuple(entries[4:])


def test_nobody_joins_where_that_saves_next_to_nothing():
    model, costs = Model(), CostModel()
    costs.learn(model, [Measurement(1, 8, 1.0), Measurement(2, 8, 1.95)])
    scheduler = Scheduler(costs, LIMITS)
    fill(scheduler, (model, 8, 100.0), (model, 8, 100.0))
    batch, _ = scheduler.take(0.0)
    assert len(batch.entries) == 1


def test_what_would_be_late_is_dropped_for_what_is_not():
    scheduler = Scheduler(known_costs(), LIMITS)
    late, fine = fill(scheduler, (MODELS[0], 16, 1.5), (MODELS[0], 16, 3.0))
    batch, dropped = scheduler.take(0.0)
    assert dropped == [late]
    assert batch.entries == (fine,)


def test_an_empty_queue_gives_nothing():
    assert Scheduler(CostModel(), LIMITS).take(0.0) == (None, [])


def test_forming_a_batch_looks_at_few_of_thousands(monkeypatch):
    looked = 0

    def look(queue, index):
        nonlocal looked
        looked += 1
        return original(queue, index)

    original = DeadlineQueue.__getitem__
    monkeypatch.setattr(DeadlineQueue, "__getitem__", look)
    scheduler, limits = Scheduler(CostModel(), BatchLimits()), BatchLimits()
    fill(scheduler, *[(MODELS[0], 1 + index % 512, 1e9 + index) for index in range(5_000)])
    while len(scheduler):
        looked = 0
        scheduler.take(0.0)
        assert looked <= 5 * limits.size
