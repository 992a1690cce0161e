"""The attempts of a call, by a clock of the test's own."""

from __future__ import annotations

import pytest

from tipstaff.attempts import Attempts, RetryBudget
from tipstaff.pool import Pool
from tipstaff.statuses import Status

UNAVAILABLE = Status("UNAVAILABLE", "")


class World:
    """A pool of addresses, a clock, and the retries that were told of."""

    def __init__(self, *addresses: str) -> None:
        self.now = 0.0
        self.retries: list[tuple[str, str]] = []
        self.budget = RetryBudget()
        self.pool = Pool(clock=lambda: self.now, on_change=lambda *_: None, close=lambda _: None)
        self.pool.update(addresses)

    def call(self, timeout: float = 1.0) -> Attempts:
        return Attempts(
            self.pool,
            self.budget,
            timeout,
            clock=lambda: self.now,
            on_retry=lambda *retry: self.retries.append(retry),
        )

    def spend(self) -> None:
        while self.budget.take():
            pass


@pytest.fixture
def two() -> World:
    return World("a", "b")


def test_an_answer_decides(two):
    call = two.call()
    assert call.wait() == 0
    attempt = call.start()
    assert attempt.endpoint.address == "a"
    assert call.start() is None
    assert call.finish(attempt, None)
    assert attempt.endpoint.outstanding == 0
    assert two.retries == []


def test_a_silent_address_is_ejected_and_the_call_goes_on_at_another(two):
    call = two.call(timeout=1.0)
    first = call.start()
    assert call.wait() == 0.5
    two.now = 0.5
    second = call.start()

    assert (first.endpoint.address, second.endpoint.address) == ("a", "b")
    assert two.retries == [("b", "DEADLINE_EXCEEDED")]
    assert not first.endpoint.in_rotation
    assert call.remaining() == 0.5
    # The first may still answer, and would do.
    assert call.finish(first, None)
    call.close()
    assert second.endpoint.outstanding == 0


def test_two_refused_attempts_pay_for_one_further_attempt(two):
    call = two.call(timeout=2.0)
    first = call.start()
    two.now = 1.0
    second = call.start()
    assert not call.finish(first, UNAVAILABLE)
    assert not call.finish(second, UNAVAILABLE)
    two.now = 1.1
    assert call.start() is not None
    assert call.start() is None
    # One for the silent address, one for both refusals.
    assert sum(iter(two.budget.take, False)) == RetryBudget.FIRST - 2


def test_an_address_that_answers_others_is_not_silent(two):
    call = two.call(timeout=1.0)
    attempt = call.start()
    two.now = 0.4
    two.pool.replied(attempt.endpoint, started=0.3)
    two.now = 0.5
    assert call.start() is None
    assert call.wait() == pytest.approx(0.4)
    assert attempt.endpoint.in_rotation
    two.now = 0.9
    assert call.start() is not None


def test_nobody_else_to_ask_is_waited_for(two):
    two.pool.failed(two.pool.pick(), started=0.0)
    call = two.call()
    attempt = call.start()
    two.now = 0.5
    assert call.start() is None
    assert call.wait() is None
    assert call.finish(attempt, Status("DEADLINE_EXCEEDED", ""))


def test_unavailable_is_tried_elsewhere_at_once(two):
    call = two.call()
    assert not call.finish(call.start(), UNAVAILABLE)
    assert call.wait() == 0
    second = call.start()
    assert second.endpoint.address == "b"
    assert two.retries == [("b", "UNAVAILABLE")]
    assert call.finish(second, None)


def test_an_only_address_is_tried_again_after_a_moment():
    world = World("a")
    call = world.call()
    waits = []
    while not call.finish(call.start(), UNAVAILABLE):
        waits.append(call.wait())
        assert call.start() is None
        world.now += call.wait()
    assert waits == pytest.approx([0.025, 0.05, 0.1])


def test_a_server_says_when_to_try_again_and_whether():
    world = World("a")
    call = world.call()
    assert not call.finish(call.start(), Status("UNAVAILABLE", "", retry_after=0.7))
    assert call.wait() == 0.7
    world.now = 0.7
    assert call.finish(call.start(), Status("UNAVAILABLE", "", retry_after=0.7)), "too late"

    call = world.call()
    assert call.finish(call.start(), Status("UNAVAILABLE", "", may_retry=False))


@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "INTERNAL"])
def test_a_refusal_is_not_tried_again(two, code):
    call = two.call()
    attempt = call.start()
    assert call.finish(attempt, Status(code, "", retry_after=0.01))
    assert attempt.endpoint.in_rotation


@pytest.mark.parametrize(
    ("code", "decided"), [("RESOURCE_EXHAUSTED", False), ("INVALID_ARGUMENT", True)]
)
def test_the_second_address_decides_only_what_holds_for_all(two, code, decided):
    call = two.call()
    first = call.start()
    two.now = 0.5
    assert call.finish(call.start(), Status(code, "")) is decided
    if not decided:
        assert call.finish(first, None)


@pytest.mark.parametrize("calls", [1, 10, 1000])
def test_a_server_that_refuses_everything_gets_ten_more_attempts_and_no_more(calls):
    world = World("a", "b")
    attempts = 0
    for _ in range(calls):
        call = world.call()
        decided = False
        while not decided:
            world.now += call.wait()
            attempts += 1
            decided = call.finish(call.start(), UNAVAILABLE)
    assert attempts <= calls + 10


def test_answered_calls_pay_for_a_tenth_of_further_attempts(two):
    two.spend()
    for _ in range(99):
        two.budget.deposit()
    assert sum(two.budget.take() for _ in range(99)) == 9
    for _ in range(10_000):
        two.budget.deposit()
    assert sum(two.budget.take() for _ in range(99)) == 50


def test_without_a_budget_a_silent_address_is_ejected_all_the_same(two):
    two.spend()
    call = two.call()
    attempt = call.start()
    two.now = 0.5
    assert call.start() is None
    assert not attempt.endpoint.in_rotation


def test_a_retry_goes_elsewhere_even_if_that_is_busier(two):
    call = two.call()
    attempt = call.start()
    # Ejected and restored meanwhile, so that this attempt's failure says nothing new.
    two.now = 0.1
    two.pool.failed(attempt.endpoint, started=0.1)
    two.pool.replied(attempt.endpoint, started=0.1)
    assert [two.pool.pick().address for _ in range(2)] == ["b", "a"]
    two.pool.release(attempt.endpoint)
    call.finish(attempt, UNAVAILABLE)
    assert call.start().endpoint.address == "b"


def test_answered_calls_pay_for_retries(two):
    two.spend()
    for _ in range(11):
        call = two.call()
        call.finish(call.start(), None)
    assert [two.budget.take(), two.budget.take()] == [True, False]


def test_a_call_that_a_stopping_server_cancelled_goes_on_at_another(two):
    call = two.call()
    first = call.start()
    assert not call.finish(first, Status("CANCELLED", ""))
    second = call.start()
    assert second.endpoint is not first.endpoint
    assert call.finish(second, None)
    assert two.retries == [("b", "CANCELLED")]
