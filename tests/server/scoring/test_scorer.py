from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from running_server import wait_until
from tiny_bundle import make_bundle

from tipstaff.types import Interaction, Reason, Score, Verdict
from tipstaff.v1 import scoring_pb2 as pb
from tipstaff_server import repository
from tipstaff_server.access.gate import Gate
from tipstaff_server.errors import (
    DeadlineExpired,
    DeadlineUnreachable,
    InferenceFailed,
    Overloaded,
    ShuttingDown,
)
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.manifest import Windows
from tipstaff_server.metrics import Metrics
from tipstaff_server.repository.registry import Registry
from tipstaff_server.rpc.servicer import ScoringServicer
from tipstaff_server.scheduling import Dispatcher
from tipstaff_server.scoring.cache import ScoreCache
from tipstaff_server.scoring.explain import Explainer
from tipstaff_server.scoring.pending import EncoderPool
from tipstaff_server.scoring.scorer import Scorer, Task, Unexplained

TASK = Task(Interaction(output="paris"), evaluator="tiny", version=0, request_id="x")


def parts(
    registry,
    dispatcher,
    threads,
    metrics,
    *,
    max_waiting,
    entries=0,
    max_bytes=20_000,
    long_threads=None,
):
    """A scorer and an explainer, connected as the server's."""
    pool = EncoderPool(threads, dispatcher, max_waiting=max_waiting, long_threads=long_threads)
    cache = ScoreCache(entries)
    scorer = Scorer(
        registry,
        dispatcher,
        pool,
        cache,
        default_deadline_seconds=5,
        max_request_bytes=max_bytes,
    )
    return scorer, Explainer(dispatcher, pool, cache, metrics, max_queue=max_waiting)


async def score_and_explain(scorer, explainer, task, arrival, seconds) -> Score:
    """Scores and explains a request as the servicer does."""
    score = await scorer.score(task, arrival, seconds)
    return await explainer.explain(score) if isinstance(score, Unexplained) else score


class Bench:
    """A scorer with one encoder thread that can be held up."""

    def __init__(
        self,
        bundle: Path,
        cache_entries: int = 0,
        long_threads: ThreadPoolExecutor | None = None,
    ) -> None:
        self.encoders = ThreadPoolExecutor(1)
        self.long_encoders = long_threads
        self.dispatcher = Dispatcher(workers=1, max_queue=4, observe=lambda event: None)
        self.encoded = 0
        self.encode_seconds = 0.0
        self.metrics = Metrics()
        registry = Registry(Evaluator.load, self.dispatcher.forget, self.metrics)
        registry.load_bundles((bundle,))
        self.registry = registry
        evaluator = registry.find("tiny", 0).evaluator
        encode = evaluator.encode

        def counted(interaction: Interaction, *checkpoint):
            self.encoded += 1
            done = time.thread_time() + self.encode_seconds
            while time.thread_time() < done:
                pass
            return encode(interaction, *checkpoint)

        evaluator.encode = counted  # type: ignore[method-assign]
        self.scorer, self.explainer = parts(
            registry,
            self.dispatcher,
            self.encoders,
            self.metrics,
            max_waiting=2,
            entries=cache_entries,
            long_threads=long_threads,
        )
        self.pool = self.scorer._encoders

    def make_room(self) -> None:
        """Makes the queue long enough for an explanation."""
        self.dispatcher._max_queue = self.explainer._max_queue = 500

    async def score(self, seconds: float | None = None, task: Task = TASK):
        return await score_and_explain(self.scorer, self.explainer, task, time.monotonic(), seconds)

    @contextmanager
    def held_up(self) -> Iterator[None]:
        go_on = threading.Event()
        self.encoders.submit(go_on.wait, 20)
        try:
            yield
        finally:
            go_on.set()


@pytest.fixture
def bench(bundle) -> Iterator[Bench]:
    bench = Bench(bundle)
    bench.dispatcher.start()
    yield bench
    bench.dispatcher.stop()
    bench.encoders.shutdown()


async def soon() -> None:
    """Gives all tasks time to run until they wait."""
    await asyncio.sleep(0.02)


def test_what_waits_to_be_encoded_is_bounded(bench):
    async def main() -> None:
        with bench.held_up():
            waiting = [asyncio.create_task(bench.score()) for _ in range(2)]
            await soon()
            with pytest.raises(Overloaded, match="wait to be encoded") as raised:
                await bench.score()
            assert raised.value.reason == "queue_full"
        scores = {(await task).score for task in waiting}
        assert len(scores) == 1
        assert scores == {(await bench.score()).score}

    asyncio.run(main())


def test_a_caller_who_left_is_not_encoded(bench):
    async def main() -> None:
        with bench.held_up():
            leaving = asyncio.create_task(bench.score())
            staying = asyncio.create_task(bench.score())
            await soon()
            leaving.cancel()
            await soon()
        await staying
        assert leaving.cancelled()
        assert bench.encoded == 1
        assert bench.dispatcher.depth == 0

    asyncio.run(main())


def test_a_deadline_that_passes_before_encoding(bench):
    async def main() -> None:
        with bench.held_up():
            late = asyncio.create_task(bench.score(seconds=0.03))
            await asyncio.sleep(0.06)
        with pytest.raises(DeadlineExpired):
            await late
        assert bench.encoded == 0

    asyncio.run(main())


def test_a_text_too_long_to_be_read_in_time_is_the_deadlines_fault(bench):
    bench.encode_seconds = 0.2
    long = replace(TASK, interaction=Interaction(output="paris " * 2000))

    async def main() -> None:
        with pytest.raises(DeadlineUnreachable):
            await bench.score(0.1, long)
        assert bench.encoded == 1
        # Now the cost is known, so nothing is encoded.
        with pytest.raises(DeadlineUnreachable, match="12000 bytes"):
            await bench.score(0.1, long)
        assert bench.encoded == 1
        assert await bench.score(30, long)
        bench.encode_seconds = 0.0
        assert await bench.score(0.1)

    asyncio.run(main())


def test_a_slow_text_speaks_for_no_other(bench):
    text = replace(TASK, interaction=Interaction(output="paris " * 2000))

    async def main() -> None:
        bench.encode_seconds = 1.0
        await bench.score(30, text)
        bench.encode_seconds = 0.0
        refused = 0
        while refused < 4:
            try:
                await bench.score(0.8, text)
                break
            except DeadlineUnreachable:
                refused += 1
        assert refused < 4, "no refusal corrects the estimate"
        await bench.score(0.8, text)
        # Nor does another slow one spoil what is known by now.
        bench.encode_seconds = 1.0
        await bench.score(30, text)
        bench.encode_seconds = 0.0
        await bench.score(0.8, text)

    asyncio.run(main())


def test_what_an_evaluator_reads_at_best_is_known_from_the_start(bench):
    evaluator = bench.registry.find("tiny", 0).evaluator
    bench.pool.learn(evaluator)
    bench.encode_seconds = 1.0

    async def main() -> None:
        text = replace(TASK, interaction=Interaction(output="paris " * 3000))
        assert await bench.score(30, text)
        bench.encode_seconds = 0.0
        # Not one is refused.
        assert await bench.score(0.8, text)
        with pytest.raises(DeadlineUnreachable, match="18000 bytes"):
            await bench.score(1e-3 + 1e-7, text)

    asyncio.run(main())


def test_reading_stops_when_the_deadline_passes_or_the_caller_leaves(bench, monkeypatch):
    evaluator = bench.registry.find("tiny", 0).evaluator
    steps, ended = [], threading.Event()

    def endless(interaction, checkpoint):
        try:
            for step in range(4000):
                steps.append(step)
                time.sleep(0.005)
                checkpoint()
        finally:
            ended.set()

    monkeypatch.setattr(evaluator, "encode", endless)

    async def main() -> None:
        with pytest.raises(DeadlineExpired, match="while the text was encoded"):
            await bench.score(0.1)
        ended.clear()
        leaving = asyncio.create_task(bench.score(30))
        await soon()
        leaving.cancel()
        assert await asyncio.to_thread(ended.wait, 10)

    asyncio.run(main())
    assert len(steps) < 2000


@pytest.mark.parametrize(
    "long",
    [
        replace(TASK, interaction=Interaction(output="paris " * 3000)),
        replace(TASK, bytes_before=16384),
    ],
    ids=["a long text", "a short text after others of its call"],
)
def test_long_calls_hold_up_no_short_ones(bundle, long):
    bench = Bench(bundle, long_threads=ThreadPoolExecutor(1))
    bench.dispatcher.start()
    go_on = threading.Event()
    bench.long_encoders.submit(go_on.wait, 20)

    async def main() -> None:
        waiting = asyncio.create_task(bench.score(30, long))
        await soon()
        assert await bench.score(10)
        assert not waiting.done()
        go_on.set()
        assert await waiting

    asyncio.run(main())
    bench.dispatcher.stop()
    bench.encoders.shutdown()
    bench.long_encoders.shutdown()


def test_what_the_queue_leaves_no_time_for_is_refused_unread(bench, monkeypatch):
    evaluator = bench.registry.find("tiny", 0).evaluator
    go_on, run = threading.Event(), evaluator.run
    monkeypatch.setattr(evaluator, "run", lambda batch: (go_on.wait(20), run(batch))[1])

    async def main() -> None:
        calls = []
        for _ in range(5):  # one runs, four wait: the queue is full
            calls.append(asyncio.create_task(bench.score()))
            await soon()
        assert (bench.encoded, bench.dispatcher.depth) == (5, 4)
        with pytest.raises(Overloaded) as raised:
            await bench.score()
        assert raised.value.reason == "queue_full"
        assert bench.encoded == 5
        go_on.set()
        await asyncio.gather(*calls, return_exceptions=True)

    asyncio.run(main())


def test_closing_refuses_the_new_and_answers_the_accepted(bench):
    async def main() -> None:
        with bench.held_up():
            accepted = asyncio.create_task(bench.score())
            await soon()
            bench.scorer.close()
            with pytest.raises(ShuttingDown):
                await bench.score()
        assert (await accepted).evaluator == "tiny"

    asyncio.run(main())


def test_time_is_told_in_parts_that_add_up(bench):
    async def main() -> None:
        with bench.held_up():
            waiting = asyncio.create_task(bench.score())
            await asyncio.sleep(0.05)
        timing = (await waiting).timing
        assert timing.encode > 0.05, "the wait for a thread belongs to encoding"
        assert timing.encode + timing.queue + timing.inference <= timing.total

    asyncio.run(main())


def test_a_retired_evaluator_leaves_memory_without_the_collector(bundle, tmp_path):
    repo = tmp_path / "repo"
    for _ in range(2):
        repository.publish(bundle, repo)
    encoders, metrics = ThreadPoolExecutor(1), Metrics()
    dispatcher = Dispatcher(workers=1, max_queue=4, observe=metrics.observe)
    registry = Registry(Evaluator.load, dispatcher.forget, metrics)
    scorer, explainer = parts(registry, dispatcher, encoders, metrics, max_waiting=20)

    async def main() -> None:
        tasks = [replace(TASK, explain=bool(number % 2)) for number in range(12)]
        calls = [
            score_and_explain(scorer, explainer, task, time.monotonic(), None) for task in tasks
        ]
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(each) for each in ended} == {Score, Overloaded}
        late = scorer.score(TASK, time.monotonic() - 1, 0.5)
        assert isinstance(*await asyncio.gather(late, return_exceptions=True), DeadlineExpired)

    repository.promote(repo, "tiny", 1)
    registry.follow(repo)
    retired = weakref.ref(registry.find("tiny", 0).evaluator)
    gc.disable()
    try:
        # The worker starts late, so that some are refused.
        threading.Timer(0.2, dispatcher.start).start()
        asyncio.run(main())
        repository.promote(repo, "tiny", 2)
        registry.follow(repo)
        # The worker releases its last batch when it asks for the next one.
        wait_until(lambda: retired() is None)
    finally:
        gc.enable()
        dispatcher.stop()
        encoders.shutdown()


LONG = replace(TASK, interaction=Interaction("a", "paris is it", "the city is paris. " * 40))


@pytest.fixture
def windowed(tmp_path) -> Iterator[Bench]:
    """A server that reads `LONG` in many runs."""
    bundle = make_bundle(
        tmp_path / "b",
        windows=Windows(output=16, ground_truth=16, max_runs=40),
        batch_invariant=False,
        bias=9.0,
    )
    bench = Bench(bundle)
    bench.dispatcher.start()
    yield bench
    bench.dispatcher.stop()
    bench.encoders.shutdown()


def test_what_is_long_is_read_whole_and_may_pass(windowed):
    evaluator = windowed.registry.find("tiny", 0).evaluator

    async def main() -> None:
        score = await windowed.score(task=LONG)
        assert score.verdict is Verdict.PASS
        assert Reason.PARTIAL not in score.reasons
        coverage = score.coverage["ground_truth"]
        assert (coverage.scored, coverage.total) == (200, 200)
        assert score.score == evaluator.score(LONG.interaction).score
        assert 0 < score.timing.queue + score.timing.inference < score.timing.total

    asyncio.run(main())


def test_a_caller_who_left_takes_all_runs_out_of_the_queue(windowed, monkeypatch):
    evaluator = windowed.registry.find("tiny", 0).evaluator
    runs, go_on, run = [], threading.Event(), evaluator.run
    monkeypatch.setattr(
        evaluator, "run", lambda batch: (runs.append(batch), go_on.wait(20), run(batch))[-1]
    )

    async def main() -> None:
        leaving = asyncio.create_task(windowed.score(20, LONG))
        while not runs:
            await soon()
        assert windowed.dispatcher.depth > 5
        leaving.cancel()
        await soon()
        assert windowed.dispatcher.depth == 0
        go_on.set()
        await windowed.score(20)
        assert len(runs) == 2

    asyncio.run(main())


def test_a_run_that_fails_fails_its_request_and_spares_the_rest(windowed, monkeypatch):
    evaluator = windowed.registry.find("tiny", 0).evaluator
    runs, run = [], evaluator.run

    def third_fails(batch):
        runs.append(batch)
        if len(runs) == 3:
            raise ValueError("no")
        return run(batch)

    monkeypatch.setattr(evaluator, "run", third_fails)

    async def main() -> None:
        with pytest.raises(InferenceFailed, match="ValueError: no"):
            await windowed.score(20, LONG)
        await soon()
        assert windowed.dispatcher.depth == 0
        assert len(runs) < 14
        assert (await windowed.score(20)).score

    asyncio.run(main())


WORDY = replace(
    TASK, interaction=Interaction("a", "paris no refund sorry late is it " * 3, "paris")
)


def test_explanations_go_after_all_scores_of_a_batch(tmp_path, monkeypatch):
    bench = Bench(make_bundle(tmp_path / "b", batch_invariant=False))
    bench.make_room()
    bench.dispatcher.start()
    evaluator = bench.registry.find("tiny", 0).evaluator
    lengths, run = [], evaluator.run
    monkeypatch.setattr(
        evaluator, "run", lambda batch: (lengths.append(len(batch[0])), run(batch))[1]
    )
    task = replace(WORDY, explain=True)
    servicer = ScoringServicer(
        bench.scorer,
        bench.explainer,
        bench.registry,
        bench.metrics,
        Gate(workers=1),
        max_batch_items=3,
    )
    tasks = [task, replace(task, evaluator="nobody"), TASK]
    requests = [
        pb.ScoreRequest(
            evaluator=each.evaluator,
            explain=each.explain,
            input=each.interaction.input,
            output=each.interaction.output,
            ground_truth=each.interaction.ground_truth,
        )
        for each in tasks
    ]
    context = SimpleNamespace(time_remaining=lambda: 20.0, invocation_metadata=lambda: ())
    reply = asyncio.run(servicer.ScoreBatch(pb.ScoreBatchRequest(requests=requests), context))
    first, failed, last = reply.items
    assert failed.error.code == grpc.StatusCode.NOT_FOUND.value[0]
    assert first.response.highlights
    assert last.HasField("response")
    assert not last.response.highlights
    whole, alone = (len(evaluator.encode(one.interaction)) for one in (task, TASK))
    assert sorted(lengths[:2]) == sorted((whole, alone)), "the scores, then the explanation"
    assert len(lengths) > 20
    bench.dispatcher.stop()
    bench.encoders.shutdown()


def test_an_explained_score_is_remembered_with_its_highlights(bundle):
    bench = Bench(bundle, cache_entries=4)
    bench.make_room()
    bench.dispatcher.start()
    explain = replace(WORDY, explain=True)

    async def main() -> None:
        plain = await bench.score(20, WORDY)
        first, second = [await bench.score(20, explain) for _ in range(2)]
        again = await bench.score(20, WORDY)
        assert plain.score == first.score == second.score == again.score
        assert first.highlights
        assert second.highlights == first.highlights
        assert [one.cached for one in (plain, first, second, again)] == [False, False, True, True]
        assert again.highlights == ()

    asyncio.run(main())
    bench.dispatcher.stop()
    bench.encoders.shutdown()


def test_under_load_the_score_comes_without_an_explanation(windowed, monkeypatch):
    evaluator = windowed.registry.find("tiny", 0).evaluator
    run = evaluator.run
    monkeypatch.setattr(evaluator, "run", lambda batch: (time.sleep(0.05), run(batch))[1])

    async def main() -> None:
        task = replace(WORDY, explain=True)
        started = time.monotonic()
        score = await windowed.score(1.0, task)
        assert time.monotonic() - started < 1.0
        assert score.score == evaluator.score(task.interaction).score
        assert Reason.NOT_EXPLAINED in score.reasons
        assert score.highlights == ()
        while windowed.dispatcher.depth and time.monotonic() - started < 1.5:
            await soon()
        assert windowed.dispatcher.depth == 0, "what was begun is taken out of the queue"

    asyncio.run(main())


def test_what_is_long_is_explained_in_the_window_that_decides(windowed):
    windowed.make_room()
    evaluator = windowed.registry.find("tiny", 0).evaluator
    output = "paris is the capital of france. " * 6 + "no refund sorry late. " * 3
    task = replace(LONG, interaction=replace(LONG.interaction, output=output), explain=True)
    encoded = evaluator.encode(task.interaction)
    logits = [float(evaluator.run([tokens]).logits[0]) for tokens in encoded.runs]
    read = encoded.excerpts[encoded.deciding_run(logits)]["output"]
    assert read != (0, len(output))

    async def main() -> None:
        score = await windowed.score(20, task)
        assert score.highlights == evaluator.explain(task.interaction)
        for each in score.highlights:
            assert read[0] <= each.start < each.end <= read[1]
            assert output[each.start : each.end].strip() == output[each.start : each.end]

    asyncio.run(main())


def test_an_explanation_leaves_the_queue_to_scores(bundle, monkeypatch):
    bench = Bench(bundle)
    bench.make_room()
    queued, submit = [], bench.dispatcher.submit

    def counted(model, items, *args, **kwargs):
        queued.append(len(items))
        return submit(model, items, *args, **kwargs)

    monkeypatch.setattr(bench.dispatcher, "submit", counted)
    bench.dispatcher.start()
    asyncio.run(bench.score(20, replace(WORDY, explain=True)))
    assert sum(queued) > 30
    assert max(queued) == 8
    bench.dispatcher.stop()
    bench.encoders.shutdown()
