from __future__ import annotations

import gc
import os
import sys
import threading
import time
import weakref
from concurrent.futures import CancelledError, wait

import pytest

from tipstaff_server.errors import (
    DeadlineExpired,
    DeadlineUnreachable,
    InferenceFailed,
    Overloaded,
    ShuttingDown,
)
from tipstaff_server.scheduling import (
    BatchLimits,
    BatchRan,
    Dispatcher,
    RequestLeft,
    WorkerRestarted,
)

POISON = "poison"


def soon(seconds: float = 10.0) -> float:
    return time.monotonic() + seconds


def submit(dispatcher, model, item, deadline, **arrived):
    """Queues a request of one run."""
    (future,) = dispatcher.submit(model, [item], deadline, **arrived)
    return future


def hold(dispatcher, model):
    """Occupies a worker with an item that waits at the model's gate."""
    model.gate.clear()
    while model.started.acquire(blocking=False):
        pass
    future = submit(dispatcher, model, "held", soon())
    assert model.started.acquire(timeout=5)
    return future


def processor_seconds() -> float:
    """The processor time of all dispatchers' threads."""
    return sum(
        time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
        for thread in threading.enumerate()
        if thread.name.startswith("tipstaff-") and thread.ident
    )


def reasons(dispatcher) -> list[str]:
    return [event.reason for event in dispatcher.events if isinstance(event, RequestLeft)]


def eventually(condition) -> bool:
    give_up_at = soon(5)
    while not condition() and time.monotonic() < give_up_at:
        time.sleep(0.001)
    return condition()


@pytest.mark.skipif(sys.platform != "linux", reason="niceness is a process's, not a thread's")
def test_workers_give_way_to_the_threads_that_take_and_answer_requests(dispatcher, fake_model):
    before = set(threading.enumerate())
    served = dispatcher(workers=2)
    served.start()
    submit(served, fake_model(), "abc", soon()).result(5)

    usual = os.getpriority(os.PRIO_PROCESS, os.getpid())
    threads = {thread.name: thread for thread in set(threading.enumerate()) - before}

    def niceness():
        return {
            name: os.getpriority(os.PRIO_PROCESS, thread.native_id) - usual
            for name, thread in threads.items()
        }

    expected = {"tipstaff-worker-0": 2, "tipstaff-worker-1": 2, "tipstaff-sweeper": 0}
    assert eventually(lambda: niceness() == expected), niceness()


def test_answers_with_outputs_and_timings(dispatcher, fake_model):
    served, model = dispatcher(), fake_model(seconds=0.01)
    served.start()
    answer = submit(served, model, "abc", soon()).result(5)
    assert answer.logit == 3.0
    assert answer.embedding.tolist() == [3.0] * 4
    assert 0.0 <= answer.queue_seconds < 1.0
    assert 0.01 <= answer.inference_seconds < 1.0
    assert (answer.batch_size, answer.padding) == (1, 0.0)
    assert served.events == [
        BatchRan(model, (answer.queue_seconds,), answer.inference_seconds, 0.0)
    ]


def test_what_waits_together_runs_together(dispatcher, fake_model):
    served, model = dispatcher(limits=BatchLimits(size=8, tokens=100, padding=0.5)), fake_model()
    served.start()
    held = hold(served, model)
    futures = [submit(served, model, item, soon()) for item in ("aaaa", "bbb", "ccccc")]
    model.gate.set()
    answers = [future.result(5) for future in [held, *futures]]
    assert [answer.logit for answer in answers] == [4.0, 4.0, 3.0, 5.0]
    assert [answer.batch_size for answer in answers] == [1, 3, 3, 3]
    assert answers[1].padding == pytest.approx(0.2)
    assert model.batches == [["held"], ["aaaa", "bbb", "ccccc"]]


def test_a_model_that_is_not_batchable_runs_one_at_a_time(dispatcher, fake_model):
    served, model = dispatcher(workers=2), fake_model(batchable=False)
    served.start()
    held = [hold(served, model), hold(served, model)]
    futures = [submit(served, model, "item", soon()) for _ in range(20)]
    model.gate.set()
    assert all(future.result(5).batch_size == 1 for future in held + futures)
    assert all(len(batch) == 1 for batch in model.batches)


def test_models_do_not_share_runs(dispatcher, fake_model):
    served, one, other = dispatcher(), fake_model(), fake_model()
    served.start()
    held = hold(served, one)
    futures = [submit(served, model, "item", soon()) for model in (one, other) * 5]
    one.gate.set()
    wait([held, *futures], 5)
    assert [len(batch) for batch in one.batches] == [1, 5]
    assert [len(batch) for batch in other.batches] == [5]


def test_earlier_deadlines_go_first(dispatcher, fake_model):
    served, model = dispatcher(), fake_model(batchable=False)
    served.start()
    held = hold(served, model)
    futures = [submit(served, model, item, soon(10 + len(item))) for item in ("ccc", "a", "bb")]
    model.gate.set()
    wait([held, *futures], 5)
    assert model.batches == [["held"], ["a"], ["bb"], ["ccc"]]


def test_only_the_poison_request_fails(dispatcher, fake_model):
    served, model = dispatcher(), fake_model()
    served.start()
    held = hold(served, model)
    mates = [submit(served, model, "sixsix", soon()) for _ in range(3)]
    poison = submit(served, model, POISON, soon())
    model.gate.set()
    assert [mate.result(5).logit for mate in mates] == [6.0] * 3
    with pytest.raises(InferenceFailed, match="ValueError: bad request"):
        poison.result(5)
    assert held.result(5)
    assert reasons(served) == ["failed"]
    assert len(model.batches[1]) == 4, "they were one batch at first"


@pytest.mark.parametrize("error", [SystemExit("panic"), KeyboardInterrupt(), MemoryError()])
def test_a_worker_outlives_whatever_a_model_raises(dispatcher, fake_model, error):
    served, model = dispatcher(), fake_model(error=error)
    served.start()
    with pytest.raises(InferenceFailed):
        submit(served, model, POISON, soon()).result(5)
    assert submit(served, model, "fine", soon()).result(5).logit == 4.0
    assert served.healthy


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: setattr(rows, "logits", rows.logits[:-1]),
        lambda rows: setattr(rows, "embeddings", rows.embeddings[:-1]),
        lambda rows: rows.logits.fill(float("nan")),
    ],
    ids=["logit missing", "embedding missing", "not a number"],
)
def test_outputs_that_make_no_sense_are_failures(dispatcher, fake_model, spoil):
    served, model = dispatcher(), fake_model(error=None, spoil=spoil)
    served.start()
    held = hold(served, model)
    mate, poison = (submit(served, model, item, soon()) for item in ("sixsix", POISON))
    model.gate.set()
    with pytest.raises(InferenceFailed):
        poison.result(5)
    assert mate.result(5).logit == 6.0
    assert held.result(5)


@pytest.mark.parametrize("step", ["_run", "_attempt", "_resolve"])
def test_what_a_worker_was_at_when_its_own_code_raised_is_answered(
    dispatcher, fake_model, monkeypatch, step
):
    served, model = dispatcher(), fake_model()
    served.start()
    held = hold(served, model)
    worker = served._workers[0]
    real, dead = getattr(worker, step), []

    def die_once(run):
        if not dead:
            dead.append(step)
            raise SystemExit("a bug")
        return real(run)

    futures = [submit(served, model, "item", soon()) for _ in range(3)]
    monkeypatch.setattr(worker, step, die_once)
    model.gate.set()
    assert held.result(5).logit == 4.0
    assert [future.result(5).logit for future in futures] == [4.0] * 3
    assert dead
    assert served.healthy
    assert [type(event) for event in served.events].count(WorkerRestarted) == 1
    assert sum(event.size for event in served.events if isinstance(event, BatchRan)) == 4


def test_a_request_in_which_a_worker_dies_twice_fails_alone(dispatcher, fake_model, monkeypatch):
    served, model = dispatcher(), fake_model(error=None)
    served.start()
    held = hold(served, model)
    worker = served._workers[0]
    resolve = worker._resolve

    def die(run):
        if any(entry.item == POISON for entry in run.entries):
            raise SystemExit("a bug")
        resolve(run)

    monkeypatch.setattr(worker, "_resolve", die)
    poison, mate = (submit(served, model, item, soon()) for item in (POISON, "sixsix"))
    model.gate.set()
    assert held.result(5)
    with pytest.raises(InferenceFailed, match="a bug"):
        poison.result(5)
    assert mate.result(5).logit == 6.0
    assert submit(served, model, "item", soon()).result(5).logit == 4.0
    assert served.healthy
    assert reasons(served) == ["failed"]


def test_a_scheduler_that_raises_does_not_end_the_workers(dispatcher, fake_model, monkeypatch):
    served, model = dispatcher(), fake_model()
    served.start()

    def die(_):
        monkeypatch.undo()
        raise SystemExit("a bug")

    monkeypatch.setattr(served._scheduler, "take", die)
    assert submit(served, model, "item", soon()).result(5).logit == 4.0
    assert served.healthy


def test_what_would_be_refused_can_be_refused_before_it_is_made(dispatcher, fake_model):
    served, model = dispatcher(max_queue=2), fake_model(seconds=0.05, batchable=False)
    served.learn(model, lambda length: "x" * length, lengths=(4,))
    served.start()
    now = time.monotonic()
    served.check(model, 4, now + 0.5, arrived=now, is_short=True)
    with pytest.raises(DeadlineUnreachable):
        served.check(model, 4, now + 0.02, arrived=now, is_short=True)
    held = hold(served, model)
    waiting = [submit(served, model, "item", soon())]
    now = time.monotonic()
    with pytest.raises(Overloaded, match="late"):
        served.check(model, 4, now + 0.08, arrived=now, is_short=True)
    served.check(model, 4, now + 5, arrived=now, is_short=True)
    waiting.append(submit(served, model, "item", soon()))
    with pytest.raises(Overloaded, match="2 requests are waiting"):
        served.check(model, 4, now + 5, arrived=now, is_short=True)
    assert served.depth == 2
    model.gate.set()
    assert [future.result(5).logit for future in (held, *waiting)] == [4.0] * 3


def test_the_runs_of_a_request_come_together_or_not_at_all(dispatcher, fake_model):
    served, model = dispatcher(workers=2), fake_model(seconds=0.05, batchable=False)
    served.learn(model, lambda length: "x" * length, lengths=(4,))
    served.start()
    with pytest.raises(DeadlineUnreachable, match="20 tokens in 5 runs"):
        served.submit(model, ["item"] * 5, soon(0.1))
    assert served.depth == 0
    started = time.monotonic()
    runs = served.submit(model, ["a", "bb", "ccc", "dddd"], soon())
    assert [run.result(5).logit for run in runs] == [1.0, 2.0, 3.0, 4.0]
    assert time.monotonic() - started < 4 * 0.05


def test_a_cancelled_request_leaves_at_once_and_frees_its_place(dispatcher, fake_model):
    served, model = dispatcher(max_queue=2), fake_model()
    served.start()
    held = hold(served, model)
    first, second = (submit(served, model, item, soon()) for item in ("first", "second"))
    with pytest.raises(Overloaded):
        submit(served, model, "third", soon())
    assert first.cancel()
    assert served.depth == 1
    third = submit(served, model, "third", soon())
    model.gate.set()
    assert {future.result(5).logit for future in (held, second, third)} == {4.0, 5.0, 6.0}
    assert all("first" not in batch for batch in model.batches)
    assert reasons(served) == ["cancelled"]
    assert wait([first], 1).done
    with pytest.raises(CancelledError):
        first.result(0)


def test_a_cancellation_that_loses_the_race_does_not_break_the_batch(dispatcher, fake_model):
    served, model = dispatcher(), fake_model()
    served.start()
    held = hold(served, model)
    assert not held.cancel()
    futures = [submit(served, model, "item", soon()) for _ in range(4)]
    # Simulates a cancellation after the worker took the batch and before it claims the members.
    scheduler_cancel, served._scheduler.cancel = served._scheduler.cancel, lambda entry: False
    assert futures[1].cancel()
    served._scheduler.cancel = scheduler_cancel
    model.gate.set()
    wait([held, *futures], 5)
    assert [future.cancelled() for future in futures] == [False, True, False, False]
    assert futures[0].result().batch_size == 3
    assert reasons(served) == ["cancelled"]


def test_expired_requests_resolve_while_every_worker_is_busy(dispatcher, fake_model):
    served, model = dispatcher(), fake_model()
    served.start()
    held = hold(served, model)
    later = submit(served, model, "later", soon(0.10))
    sooner = submit(served, model, "sooner", soon(0.05))
    with pytest.raises(DeadlineExpired):
        sooner.result(5)
    with pytest.raises(DeadlineExpired):
        later.result(5)
    assert served.depth == 0
    model.gate.set()
    held.result(5)
    assert model.batches == [["held"]]
    assert reasons(served) == ["expired", "expired"]


def test_members_whose_deadline_passes_while_their_batch_fails_are_not_run(dispatcher, fake_model):
    now = 0.0

    def take_seven_seconds_and_raise(_):
        nonlocal now
        now += 7.0
        raise ValueError

    served = dispatcher(clock=lambda: now)
    model = fake_model(error=None, spoil=take_seven_seconds_and_raise)
    served.start()
    held = hold(served, model)
    poison, mate = submit(served, model, POISON, 12.0), submit(served, model, "sixsix", 13.0)
    model.gate.set()
    assert held.result(5)
    with pytest.raises(InferenceFailed):
        poison.result(5)
    with pytest.raises(DeadlineExpired):
        mate.result(5)
    assert model.batches == [["held"], [POISON, "sixsix"], [POISON]]


def test_refuses_what_a_learnt_model_could_not_answer_in_time(dispatcher, fake_model):
    served, model = dispatcher(), fake_model(batchable=False, seconds=0.4)
    served.learn(model, lambda length: "x" * length, lengths=(4,))
    served.start()
    with pytest.raises(DeadlineUnreachable):
        submit(served, model, "item", soon(0.05))
    with pytest.raises(Overloaded) as refusal:
        submit(served, model, "item", soon(0.05), arrived=time.monotonic() - 1.0)
    assert refusal.value.reason == "deadline"
    held = hold(served, model)
    with pytest.raises(Overloaded) as refusal:
        submit(served, model, "item", soon(0.41))
    assert 0.01 <= refusal.value.retry_after < 0.4
    model.gate.set()
    assert held.result(5)


def test_profiles_what_it_learnt(dispatcher, fake_model):
    served, model = dispatcher(limits=BatchLimits(size=4, tokens=16)), fake_model(seconds=0.001)
    served.learn(model, lambda length: "x" * length, lengths=(4, 8))
    profile = served.profile(model)
    shapes = [(1, 4), (1, 8), (2, 4), (2, 8), (4, 4)]
    assert [(point.batch, point.length) for point in profile] == shapes
    assert all(0.001 <= point.seconds < 0.1 for point in profile)
    served.forget(model)
    assert served.profile(model) == ()


def test_stop_resolves_what_is_left(dispatcher, fake_model):
    served, model = dispatcher(), fake_model()
    served.start()
    held = hold(served, model)
    queued = [submit(served, model, "item", soon()) for _ in range(5)]
    served.stop(timeout=0.05)
    for future in [*queued, held]:
        with pytest.raises(ShuttingDown):
            future.result(0)
    model.gate.set()
    assert eventually(lambda: not served.healthy)
    assert reasons(served).count("stopped") == 6
    with pytest.raises(ShuttingDown):
        submit(served, model, "item", soon())


def test_stop_lets_a_run_under_way_finish_and_ends_the_threads(dispatcher, fake_model):
    before = threading.active_count()
    served, model = dispatcher(workers=3), fake_model(seconds=0.05)
    assert not served.healthy
    served.start()
    assert served.healthy
    assert threading.active_count() == before + 4
    future = submit(served, model, "item", soon())
    assert model.started.acquire(timeout=5)
    served.stop()
    assert future.result(0).logit == 4.0
    assert threading.active_count() == before
    assert not served.healthy


def test_an_observer_that_raises_disturbs_nobody(fake_model):
    served, model = Dispatcher(workers=1, max_queue=9, observe=lambda event: 1 / 0), fake_model()
    served.start()
    assert submit(served, model, "item", soon()).result(5).logit == 4.0
    with pytest.raises(InferenceFailed):
        submit(served, model, POISON, soon()).result(5)
    assert served.healthy
    served.stop()


def test_a_callback_that_raises_disturbs_nobody(dispatcher, fake_model):
    served, model = dispatcher(), fake_model()
    served.start()
    held = hold(served, model)
    futures = [submit(served, model, "item", soon()) for _ in range(3)]

    def leave(_):
        raise SystemExit

    futures[0].add_done_callback(leave)
    model.gate.set()
    assert [future.result(5).logit for future in [held, *futures]] == [4.0] * 4


def test_an_idle_dispatcher_uses_no_processor_time(dispatcher, fake_model):
    served, model = dispatcher(workers=2), fake_model()
    served.start()
    for _ in range(10):
        submit(served, model, "item", soon()).result(5)
    before = processor_seconds()
    time.sleep(0.5)
    assert processor_seconds() - before < 0.005


def test_a_worker_keeps_no_model_alive(dispatcher, fake_model):
    served, model = dispatcher(), fake_model()
    served.learn(model, lambda length: "x" * length, lengths=(4,))
    served.start()
    submit(served, model, "item", soon()).result(5)
    served.events.clear()
    served.forget(model)
    gone = weakref.ref(model)
    del model
    assert eventually(lambda: gc.collect() >= 0 and gone() is None)


def test_every_future_resolves_under_a_storm(dispatcher, fake_model):
    served = dispatcher(workers=4, max_queue=50)
    models = [fake_model(), fake_model(batchable=False), fake_model(seconds=0.001)]
    served.start()
    futures, refused, lock = [], [], threading.Lock()

    def send(seed):
        for number in range(300):
            item = POISON if (number + seed) % 50 == 0 else "x" * (1 + number % 30)
            try:
                future = submit(served, models[number % 3], item, soon(0.001 * (number % 60)))
            except (Overloaded, DeadlineUnreachable) as refusal:
                with lock:
                    refused.append(refusal)
                continue
            if number % 7 == 0:
                future.cancel()
            with lock:
                futures.append(future)

    senders = [threading.Thread(target=send, args=(seed,)) for seed in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert wait(futures, 10).not_done == set()
    assert served.depth == 0
    assert len(futures) + len(refused) == 1200
    answered = sum(event.size for event in served.events if isinstance(event, BatchRan))
    assert answered + len(reasons(served)) == len(futures)
    assert served.healthy
