"""The choice of addresses, by a clock of the test's own."""

from __future__ import annotations

from collections import Counter

import pytest

from tipstaff.pool import Endpoint, Pool


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Changes:
    """What a pool told, and the connections that it closed."""

    def __init__(self) -> None:
        self.rotation: list[tuple[str, bool]] = []
        self.closed: list[object] = []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def pool(clock, changes) -> Pool:
    pool = Pool(
        clock=clock,
        on_change=lambda address, restored: changes.rotation.append((address, restored)),
        close=changes.closed.append,
    )
    pool.update(("a", "b", "c"))
    return pool


def call(pool: Pool, count: int = 1) -> Counter[str]:
    """The addresses of calls, each of which is answered before the next."""
    picked: Counter[str] = Counter()
    for _ in range(count):
        endpoint = pool.pick()
        picked[endpoint.address] += 1
        pool.release(endpoint)
        pool.replied(endpoint, started=100.0)
    return picked


def eject(pool: Pool, address: str) -> Endpoint:
    """Lets an attempt at an address fail."""
    [endpoint] = [each for each in pool._endpoints if each.address == address]
    pool.failed(endpoint, started=pool._clock())
    return endpoint


def probe(pool: Pool, answered: bool) -> list[str]:
    due = list(pool.due_probes())
    for endpoint in due:
        pool.probed(endpoint, answered)
    return [endpoint.address for endpoint in due]


def test_calls_take_turns(pool):
    assert call(pool, 60) == {"a": 20, "b": 20, "c": 20}


def test_not_every_client_begins_with_the_same_address(clock):
    firsts = set()
    for position in range(6):
        pool = Pool(clock=clock, on_change=print, close=print, position=position)
        pool.update(("a", "b", "c"))
        firsts.add(pool.pick().address)
    assert firsts == {"a", "b", "c"}


def test_an_address_with_fewer_attempts_comes_first(pool):
    slow = pool.pick()
    assert slow.address not in call(pool, 60)


def test_a_failed_attempt_ejects_its_address_until_a_probe_and_a_call_are_answered(pool, changes):
    eject(pool, "b")
    assert changes.rotation == [("b", False)]
    assert set(call(pool, 60)) == {"a", "c"}

    assert probe(pool, answered=True) == ["b"]
    assert changes.rotation == [("b", False)]
    assert call(pool, 60)["b"] == 20
    assert changes.rotation == [("b", False), ("b", True)]


def test_an_address_on_trial_gets_one_call_at_a_time(pool):
    eject(pool, "b")
    probe(pool, answered=True)
    running = [pool.pick() for _ in range(9)]
    assert Counter(each.address for each in running)["b"] == 1


def test_an_address_that_fails_on_trial_waits_longer_for_each_probe(pool, clock):
    endpoint = eject(pool, "b")
    waits = []
    for _ in range(8):
        begin = clock.now
        while not probe(pool, answered=True):
            clock.now += 0.25
        waits.append(clock.now - begin)
        pool.failed(endpoint, started=clock.now)
    assert waits == [0.0, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


def test_probes_that_are_not_answered_come_more_and_more_seldom(pool, clock):
    eject(pool, "b")
    times = []
    for _ in range(60):
        if probe(pool, answered=False):
            times.append(clock.now - 100)
        clock.now += 0.25
    assert times == [0.0, 0.5, 1.5, 3.5, 7.5, 12.5]
    assert "b" not in call(pool, 60)


def test_an_address_is_probed_once_at_a_time(pool, clock):
    eject(pool, "b")
    [running] = pool.due_probes()
    clock.now += 60
    assert list(pool.due_probes()) == []
    pool.probed(running, answered=False)


def test_attempts_from_before_an_ejection_say_nothing_new(pool, clock, changes):
    started = clock.now
    endpoint = eject(pool, "b")
    clock.now += 1
    probe(pool, answered=True)
    pool.failed(endpoint, started)
    assert endpoint.on_trial
    assert len(changes.rotation) == 1


def test_if_all_are_ejected_the_one_that_failed_least_is_called(pool, clock):
    for address in ("a", "c", "b", "c", "a"):
        eject(pool, address)
    assert pool.pick().address == "b"


def test_an_only_address_is_never_ejected(clock, changes):
    pool = Pool(clock=clock, on_change=print, close=changes.closed.append)
    pool.update(("a",))
    endpoint = pool.pick()
    pool.failed(endpoint, started=clock.now)
    assert pool.alone
    assert not endpoint.failures
    assert list(pool.due_probes()) == []


def test_addresses_come_and_go_and_attempts_end_first(pool, changes):
    running = {endpoint.address: endpoint for endpoint in (pool.pick() for _ in range(3))}
    running["a"].outstanding += 1
    for address, endpoint in running.items():
        endpoint.connection = f"connection to {address}"
    pool.release(running["c"])

    pool.update(("b", "d"))

    assert changes.closed == ["connection to c"]
    assert set(call(pool, 9)) == {"d"}, "b still has an attempt"
    pool.release(running["a"])
    assert changes.closed == ["connection to c"], "a has a second attempt"
    pool.release(running["a"])
    pool.release(running["b"])
    assert changes.closed == ["connection to c", "connection to a"]
    assert call(pool, 10) == {"b": 5, "d": 5}


def test_an_address_that_stays_keeps_its_state(pool):
    eject(pool, "b")
    pool.update(("b", "a"))
    assert set(call(pool, 9)) == {"a"}


def connect(pool: Pool, name: str) -> None:
    for endpoint in pool._endpoints:
        endpoint.connection = f"{name} connection to {endpoint.address}"


def test_a_renewal_replaces_connections_and_attempts_end_on_their_own(pool, changes):
    connect(pool, "old")
    running = pool.pick()
    pool.renew()
    assert changes.closed == ["old connection to b", "old connection to c"]
    assert [each.connection for each in pool._endpoints] == [None] * 3
    pool.release(running)
    assert changes.closed[2:] == ["old connection to a"]


def test_a_renewal_keeps_what_is_known_of_an_address(pool, clock, changes):
    """Once, a renewal of certificates brought every ejected address back into rotation."""
    endpoint = eject(pool, "b")
    assert probe(pool, answered=False) == ["b"]
    pool.renew()
    assert set(call(pool, 9)) == {"a", "c"}
    assert list(pool.due_probes()) == []
    clock.now += 0.5
    assert probe(pool, answered=True) == ["b"]
    pool.replied(endpoint, started=clock.now)
    assert changes.rotation == [("b", False)], "a reply over the old connection"
    call(pool, 9)
    assert changes.rotation == [("b", False), ("b", True)]


def test_a_probe_that_runs_during_a_renewal_is_made_again(pool):
    eject(pool, "b")
    [running] = pool.due_probes()
    pool.renew()
    assert probe(pool, answered=True) == ["b"]
    pool.probed(running, answered=False)
    assert call(pool, 60)["b"] == 20


@pytest.mark.parametrize("change", [Pool.renew, lambda pool: pool.update(("b", "c"))])
def test_a_failure_of_a_retired_connection_ejects_nothing(pool, clock, changes, change):
    running = pool.pick()
    change(pool)
    pool.failed(running, started=clock.now)
    assert changes.rotation == []


def test_closing_ends_attempts_on_retired_connections_too(pool, changes):
    connect(pool, "old")
    running = pool.pick()
    pool.renew()
    connect(pool, "new")
    changes.closed.clear()
    pool.close()
    assert sorted(changes.closed) == [
        "new connection to a",
        "new connection to b",
        "new connection to c",
        "old connection to a",
    ]
    pool.release(running)
    assert len(changes.closed) == 4


def test_patience_is_half_of_the_time_but_no_more_than_twice_the_slowest_reply(pool, clock):
    assert pool.patience(0.3) == 0.15
    assert pool.patience(60) == 1.0
    endpoint = pool.pick()
    pool.release(endpoint)
    pool.replied(endpoint, started=clock.now - 7)
    assert pool.patience(60) == 14.0
    assert pool.patience(10) == 5.0
    call(pool, 1000)
    assert pool.patience(60) == pytest.approx(1.0)


def test_an_address_may_fail_as_often_as_it_likes(pool, clock):
    """Once, the thousandth failure raised OverflowError in the caller's own call."""
    endpoint = eject(pool, "b")
    for _ in range(3000):
        clock.now += 10
        pool.failed(endpoint, clock.now)
    assert 0 < endpoint.probe_at - clock.now <= 10
