from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from learnt_examples import NOT_LEARNT
from tiny_bundle import make_bundle, ood_meter

from tipstaff import Client
from tipstaff.types import Interaction, Reason, Score, Timing, Verdict
from tipstaff.v1 import scoring_pb2 as pb
from tipstaff.v1 import scoring_pb2_grpc
from tipstaff_server.access.callers import Callers
from tipstaff_server.access.gate import Gate
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.manifest import BundleCertificate, Policy
from tipstaff_server.metrics import Metrics
from tipstaff_server.repository.registry import Registry
from tipstaff_server.rpc.doors import Doors
from tipstaff_server.rpc.health import HealthServicer
from tipstaff_server.rpc.malformed import MalformedMessages
from tipstaff_server.rpc.server import RpcServer
from tipstaff_server.rpc.servicer import ScoringServicer
from tipstaff_server.scoring.scorer import Task, Unexplained
from tipstaff_server.settings import Settings

REQUEST = pb.ScoreRequest(
    evaluator="tiny", input="capital of france", output="paris is it", ground_truth="paris"
)


def refusal(call, *args, **kwargs) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as raised:
        call(*args, **kwargs)
    return raised.value


def test_a_reply_says_what_the_evaluator_says_in_process(server, bundle):
    reply = server.stub().Score(REQUEST, timeout=5)
    evaluator = Evaluator.load(bundle)
    prediction = evaluator.score(Interaction("capital of france", "paris is it", "paris"))
    assert reply.score == prediction.score
    assert pb.Verdict.Name(reply.verdict) == f"VERDICT_{prediction.verdict.name}"
    assert (reply.evaluator, reply.version, reply.engine) == ("tiny", 0, "fp32/cpu")
    assert (reply.pass_at, reply.block_below) == (0.5, 0.5)
    assert not reply.HasField("certificate")
    assert not reply.HasField("ood_score")
    assert list(reply.reasons) == [pb.REASON_UNCERTIFIED]
    coverage = {part.field: (part.tokens_scored, part.tokens_total) for part in reply.coverage}
    assert coverage == {"output": (3, 3), "ground_truth": (1, 1), "input": (3, 3)}
    timing = reply.timing
    assert 0 < timing.inference_seconds < timing.total_seconds
    assert timing.encode_seconds + timing.queue_seconds < timing.total_seconds


def test_what_is_promised_and_how_unlike_a_request_is_are_in_the_reply(start, tmp_path):
    held = BundleCertificate(
        max_false_pass=0.05, max_false_block=1, confidence=0.95, n=300, date="2026-01-31"
    )
    policy = Policy(pass_at=0.0, block_below=0.0, certificate=held)
    stub = start(make_bundle(tmp_path / "b", policy=policy, ood=ood_meter(longest=10))).stub()
    known = stub.Score(REQUEST, timeout=5)
    assert (known.verdict, list(known.reasons)) == (pb.VERDICT_PASS, [])
    assert 0 < known.ood_score < 1
    promised = known.certificate
    assert (promised.max_false_pass, promised.max_false_block) == (0.05, 1)
    assert (promised.confidence, promised.n, promised.date) == (0.95, 300, "2026-01-31")
    (listed,) = stub.ListEvaluators(pb.ListEvaluatorsRequest()).evaluators
    assert listed.certificate == promised

    unlike = stub.Score(pb.ScoreRequest(output="paris " * 20, ground_truth="paris", input="a"))
    assert (unlike.verdict, list(unlike.reasons)) == (
        pb.VERDICT_REVIEW, [pb.REASON_OUT_OF_DISTRIBUTION],
    )  # fmt: skip
    assert unlike.ood_score > 1


def test_the_request_id_is_repeated_or_made(server):
    stub = server.stub()
    assert (
        stub.Score(pb.ScoreRequest(evaluator="tiny", output="a", request_id="x-1")).request_id
        == "x-1"
    )
    made = {stub.Score(REQUEST).request_id for _ in range(2)}
    assert len(made) == 2
    assert "" not in made
    error = refusal(stub.Score, pb.ScoreRequest(evaluator="nobody", output="a", request_id="x-2"))
    assert ("tipstaff-request-id", "x-2") in error.trailing_metadata()


def test_a_field_that_is_missing_or_not_read_is_said(server):
    stub = server.stub()
    # The bias makes every complete interaction a PASS.
    full = stub.Score(pb.ScoreRequest(evaluator="pair", output="paris", input="capital"))
    assert full.verdict == pb.VERDICT_PASS
    missing = stub.Score(pb.ScoreRequest(evaluator="pair", output="paris"))
    assert missing.verdict == pb.VERDICT_REVIEW
    assert pb.REASON_MISSING_FIELD in missing.reasons
    ignored = stub.Score(
        pb.ScoreRequest(evaluator="pair", output="paris", input="capital", ground_truth="paris")
    )
    assert pb.REASON_IGNORED_FIELD in ignored.reasons
    assert ignored.score == full.score


def test_what_does_not_fit_is_said_and_does_not_pass(server):
    reply = server.stub().Score(
        pb.ScoreRequest(evaluator="pair", output="paris " * 100, input="capital")
    )
    assert reply.score > reply.pass_at
    assert reply.verdict == pb.VERDICT_REVIEW
    assert pb.REASON_PARTIAL in reply.reasons
    (output,) = [part for part in reply.coverage if part.field == "output"]
    assert output.tokens_scored < output.tokens_total == 100


def test_an_explained_score_is_the_same_and_says_what_lowered_it(server):
    output = "🦊 paris is the capital of france and it boils at 90 degrees no thanks sorry late"
    asked = {"output": output, "ground_truth": "paris is the capital", "evaluator": "tiny"}
    runs = server.metric("tipstaff_explanation_runs_total", evaluator="tiny")
    with Client(server.address, timeout=10) as client:
        plain, explained = client.score(**asked), client.score(**asked, explain=True)
        assert (explained.score, explained.reasons) == (plain.score, plain.reasons)
        assert plain.highlights == ()
        assert explained.highlights
        score, left = explained.score, output
        for each in sorted(explained.highlights, key=lambda one: -one.start):
            assert each.weight > 0
            left = left[: each.start] + left[each.end :]
        better = client.score(**{**asked, "output": left}).score
        risen = math.log(better / (1 - better)) - math.log(score / (1 - score))
        assert risen == pytest.approx(sum(each.weight for each in explained.highlights), abs=1e-4)
        interaction = Interaction(output=output, ground_truth="paris is the capital")
        several = client.score_batch([interaction] * 3, evaluator="tiny", explain=True)
        assert [one.highlights for one in several] == [explained.highlights] * 3
        assert {one.score for one in several} == {plain.score}
    assert server.metric("tipstaff_explanation_runs_total", evaluator="tiny") > runs + 40


def test_each_sentence_of_an_explained_output_comes_with_its_evidence(server, bundle):
    output = "🦊 the price is 90 euro. paris is it. sorry!"
    truth = "no refund.\nthe price is 30 euro.\nparis is it."
    with Client(server.address, timeout=20) as client:
        asked = {"output": output, "ground_truth": truth, "evaluator": "tiny"}
        assert client.score(**asked).evidence == ()
        evidence = client.score(**asked, explain=True).evidence
    assert evidence == Evaluator.load(bundle).explain_sentences(Interaction(None, output, truth))
    price, paris, sorry = evidence
    assert [output[each.start : each.end] for each in evidence] == [
        "🦊 the price is 90 euro.", "paris is it.", "sorry!",
    ]  # fmt: skip
    assert truth[price.passage.start : price.passage.end] == "the price is 30 euro."
    (number,) = price.contradictions
    assert output[number.start : number.end] == "90"
    assert truth[number.truth_start : number.truth_end] == "30"
    assert price.score < price.evaluator_score
    assert truth[paris.passage.start : paris.passage.end] == "paris is it."
    assert sorry.passage is None


@pytest.mark.parametrize("texts", [{"ground_truth": "paris"}, {"input": "capital"}])
def test_without_an_output_there_is_nothing_to_explain(server, texts):
    reply = server.stub().Score(pb.ScoreRequest(evaluator="tiny", explain=True, **texts))
    assert pb.REASON_NOT_EXPLAINED in reply.reasons
    assert not reply.highlights


def test_a_deadline_too_short_to_explain_leaves_the_score(start, tmp_path):
    # One run at a time; each takes some 20 ms and has one interaction.
    bundle = make_bundle(tmp_path / "slow", name="slow", run_cost=500, batch_invariant=False)
    server = start(bundle, "--workers", 1)
    interaction = {"output": "no refund paris sorry late " * 4}
    with Client(server.address, timeout=30) as client:
        plain = [client.score(**interaction) for _ in range(5)]
        run = min(one.timing.inference for one in plain)
        # Enough time for the score and a third of the runs of its explanation.
        short = client.score(**interaction, explain=True, timeout=14 * run)
        assert short.highlights == ()
        assert Reason.NOT_EXPLAINED in short.reasons
        assert short.score == plain[0].score
        long = client.score(**interaction, explain=True)
        assert long.highlights
        assert Reason.NOT_EXPLAINED not in long.reasons
        assert long.score == plain[0].score


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (pb.ScoreRequest(evaluator="tiny"), "INVALID_ARGUMENT", ["output", "got none"]),
        (pb.ScoreRequest(output="a"), "INVALID_ARGUMENT", ["evaluator: empty", "pair, tiny"]),
        (pb.ScoreRequest(evaluator="nobody", output="a"), "NOT_FOUND", ["nobody", "pair, tiny"]),
        (pb.ScoreRequest(evaluator="tiny", version=7, output="a"), "NOT_FOUND", ["version 0", "7"]),
        (
            pb.ScoreRequest(evaluator="tiny", output="a", ground_truth="é" * 1001),
            "INVALID_ARGUMENT",
            ["ground_truth: ", "2003 bytes", "2000"],
        ),
    ],
)
def test_a_refusal_has_its_status_and_says_why(server, request_, code, words):
    error = refusal(server.stub().Score, request_, timeout=5)
    assert error.code().name == code
    assert all(word in error.details() for word in words), error.details()
    assert "\n" not in error.details()


def test_a_batch_answers_in_order_and_its_items_fail_singly(server):
    stub = server.stub()
    items = [
        REQUEST,
        pb.ScoreRequest(evaluator="nobody", output="a"),
        pb.ScoreRequest(evaluator="pair", output="paris", input="capital", request_id="third"),
        pb.ScoreRequest(evaluator="tiny"),
    ]
    reply = stub.ScoreBatch(pb.ScoreBatchRequest(requests=items), timeout=5)
    kinds = [item.WhichOneof("result") for item in reply.items]
    assert kinds == ["response", "error", "response", "error"]
    assert reply.items[0].response.score == stub.Score(REQUEST).score
    assert reply.items[2].response.request_id == "third"
    assert reply.items[1].error.code == grpc.StatusCode.NOT_FOUND.value[0]
    assert "nobody" in reply.items[1].error.message
    assert reply.items[3].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_a_batch_is_bounded(server):
    stub = server.stub()
    assert len(stub.ScoreBatch(pb.ScoreBatchRequest(requests=[REQUEST] * 8)).items) == 8
    error = refusal(stub.ScoreBatch, pb.ScoreBatchRequest(requests=[REQUEST] * 9))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "requests: 9 items" in error.details()
    assert not stub.ScoreBatch(pb.ScoreBatchRequest()).items


def test_what_is_served_is_listed(server):
    listed = server.stub().ListEvaluators(pb.ListEvaluatorsRequest()).evaluators
    assert [info.name for info in listed] == ["pair", "tiny"]
    assert list(listed[0].fields) == ["input", "output"]
    assert listed[1].criterion == "The answer is right."
    assert (listed[1].max_tokens, listed[1].engine) == (64, "fp32/cpu")


def test_a_deadline_that_has_passed_is_not_run(server):
    runs = server.metric("tipstaff_batch_size_count")
    error = refusal(server.stub().Score, REQUEST, timeout=1e-6)
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert server.metric("tipstaff_batch_size_count") == runs


class StuckScorer:
    """Answers "quick" and never anything else."""

    async def score(self, task: Task, arrival: float, seconds: float | None) -> Score:
        if task.interaction.output != "quick":
            await asyncio.sleep(60)
        return Score(verdict=Verdict.PASS, score=0.9, request_id="", evaluator="e", version=1)


def refused(metrics: Metrics, reason: str) -> float:
    return metrics.registry.get_sample_value("tipstaff_refusals_total", {"reason": reason}) or 0.0


async def missing(address: str, metrics: Metrics) -> None:
    """Lets deadlines pass, in a batch and alone, then disconnects."""
    quick, stuck = pb.ScoreRequest(output="quick"), pb.ScoreRequest(output="stuck")
    async with grpc.aio.insecure_channel(address) as channel:
        stub = scoring_pb2_grpc.ScoringServiceStub(channel)
        reply = await stub.ScoreBatch(
            pb.ScoreBatchRequest(requests=[stuck, quick, stuck]), timeout=2
        )
        assert reply.items[1].response.score == pytest.approx(0.9)
        codes = [item.error.code for item in reply.items]
        late = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
        assert codes == [late, 0, late]
        assert refused(metrics, "deadline_expired") == 2

        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stub.Score(stuck, timeout=0.3)
        assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        while refused(metrics, "deadline_expired") < 3:
            await asyncio.sleep(0.01)

        left = stub.Score(stuck, timeout=20)
        await asyncio.sleep(0.3)
        left.cancel()
        name = "tipstaff_request_duration_seconds_count"
        labels = {"evaluator": "", "code": "CANCELLED"}
        while metrics.registry.get_sample_value(name, labels) != 1:
            await asyncio.sleep(0.01)
        assert refused(metrics, "deadline_expired") == 3


def test_a_missed_deadline_is_no_caller_who_left_and_loses_no_other_item():
    async def main() -> None:
        metrics = Metrics()
        registry = Registry(Evaluator.load, lambda evaluator: None, metrics)
        servicer = ScoringServicer(
            StuckScorer(),  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            registry,
            metrics,
            Gate(workers=1),
            max_batch_items=8,
        )
        settings = Settings(bundles=("unused",))
        doors = Doors(Callers, metrics)
        server = RpcServer(servicer, HealthServicer(), MalformedMessages(metrics), settings, doors)
        (address,) = await server.start(["127.0.0.1:0"])
        try:
            await asyncio.wait_for(missing(address, metrics), 20)
        finally:
            await server.stop(0)

    asyncio.run(main())


class UnexplainedScorer:
    """Returns a score at once that still needs its explanation."""

    async def score(self, task: Task, arrival: float, seconds: float | None) -> Unexplained:
        timing = Timing(0.0, 0.0, 0.0, 0.0)
        score = Score(verdict=Verdict.PASS, score=0.9, evaluator="e", version=1, timing=timing)
        return Unexplained(score, task, arrival, arrival + 1, None, None)  # type: ignore[arg-type]


class StuckExplainer:
    """Never ends."""

    async def explain(self, unexplained: Unexplained) -> Score:
        await asyncio.sleep(60)
        raise AssertionError


def stuck_servicer(scorer: UnexplainedScorer, metrics: Metrics) -> ScoringServicer:
    """A servicer whose explanations never come."""
    return ScoringServicer(
        scorer,  # type: ignore[arg-type]
        StuckExplainer(),  # type: ignore[arg-type]
        Registry(Evaluator.load, lambda evaluator: None, metrics),
        metrics,
        Gate(workers=1),
        max_batch_items=8,
    )


def test_a_batch_keeps_the_scores_whose_explanations_its_deadline_cuts_off():
    async def main() -> None:
        metrics = Metrics()
        servicer = stuck_servicer(UnexplainedScorer(), metrics)
        request = pb.ScoreRequest(output="a", explain=True)
        reply = await servicer.ScoreBatch(
            pb.ScoreBatchRequest(requests=[request] * 3),
            SimpleNamespace(time_remaining=lambda: 0.3, invocation_metadata=tuple),  # type: ignore[arg-type]
        )
        assert [item.response.score for item in reply.items] == pytest.approx([0.9] * 3)
        for item in reply.items:
            assert item.response.reasons == [pb.REASON_NOT_EXPLAINED]

    asyncio.run(main())


class QuickScorer(UnexplainedScorer):
    """Scores "quick" at once, and nothing else."""

    async def score(self, task: Task, arrival: float, seconds: float | None) -> Unexplained:
        if task.interaction.output != "quick":
            await asyncio.sleep(60)
        return await super().score(task, arrival, seconds)


def test_every_item_of_an_abandoned_batch_is_counted():
    async def main() -> None:
        metrics = Metrics()
        servicer = stuck_servicer(QuickScorer(), metrics)
        items = [pb.ScoreRequest(output=output, explain=True) for output in ("quick", "stuck")]
        call = asyncio.create_task(
            servicer.ScoreBatch(
                pb.ScoreBatchRequest(requests=items),
                SimpleNamespace(time_remaining=lambda: 20.0, invocation_metadata=tuple),  # type: ignore[arg-type]
            )
        )
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.sleep(0.1)
        name = "tipstaff_request_duration_seconds_count"
        labels = {"evaluator": "", "code": "CANCELLED"}
        assert metrics.registry.get_sample_value(name, labels) == 2

    asyncio.run(main())


def test_reflection_describes_the_service(server):
    database = ProtoReflectionDescriptorDatabase(server.channel())
    services = database.get_services()
    assert "tipstaff.v1.ScoringService" in services
    assert "grpc.health.v1.Health" in services
    found = database.FindFileContainingSymbol("tipstaff.v1.ScoringService")
    assert found.message_type


def test_each_evaluator_has_its_health(server):
    assert [server.health(name) for name in ("", "tiny", "pair")] == [1, 1, 1]
    error = refusal(server.health, "nobody")
    assert error.code() is grpc.StatusCode.NOT_FOUND


def test_reasons_about_the_evaluator_are_on_the_wire_and_counted(start, tmp_path):
    bundle = make_bundle(tmp_path / "b", bias=9.0, calibrated=False, learnt=NOT_LEARNT)
    server = start(bundle)
    reply = server.stub().Score(REQUEST, timeout=5)
    assert reply.verdict == pb.VERDICT_REVIEW
    assert {pb.REASON_NOT_LEARNT, pb.REASON_NOT_CALIBRATED} <= set(reply.reasons)
    for reason in ("NOT_LEARNT", "NOT_CALIBRATED"):
        assert server.metric("tipstaff_reasons_total", evaluator="tiny", reason=reason) == 1
