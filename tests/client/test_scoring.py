"""What both clients do with requests and replies."""

from __future__ import annotations

import grpc
import pytest

from tipstaff import (
    Coverage,
    EvaluatorInfo,
    Interaction,
    InvalidRequestError,
    OverloadedError,
    Reason,
    ServerFaultError,
    Timing,
    Verdict,
)


def test_a_score_is_all_that_the_server_said(client):
    score = client.score(input="Q", output="A", ground_truth="T", request_id="r-1")

    assert score.verdict is Verdict.PASS
    assert score.passed
    assert score.score == 0.875
    assert (score.pass_at, score.block_below) == (0.75, 0.25)
    assert (score.evaluator, score.version, score.engine) == ("faithful", 3, "int8/cpu")
    assert score.request_id == "r-1"
    assert score.reasons == (Reason.UNCERTIFIED,)
    assert score.certificate is None
    assert score.coverage == {"ground_truth": Coverage(30, 31)}
    assert score.coverage["ground_truth"].partial
    assert score.timing == Timing(encode=0.001, queue=0.002, inference=0.003, total=0.006)
    assert score.failure is None


def test_the_server_is_asked_all_that_the_caller_said(connect, server):
    client = connect(server.target, evaluator="faithful")

    client.score(input="Q", output="", explain=True, version=2, request_id="r-1")
    client.score(ground_truth="T", evaluator="other")

    first, second = server.service.requests
    assert (first.evaluator, first.version, first.explain) == ("faithful", 2, True)
    assert (first.input, first.output, first.request_id) == ("Q", "", "r-1")
    assert first.HasField("output")
    assert not first.HasField("ground_truth")
    assert (second.evaluator, second.version, second.explain) == ("other", 0, False)


def test_requests_without_an_id_get_one_each(client, service):
    ids = [client.score(output="A").request_id for _ in range(2)]
    client.score_batch([Interaction(output="A"), Interaction(output="B")])

    ids += [request.request_id for request in service.requests[-1].requests]
    assert all(ids)
    assert len(set(ids)) == 4


def test_a_server_lists_its_evaluators(client):
    assert client.evaluators() == [
        EvaluatorInfo(
            name="faithful",
            version=3,
            engine="int8/cpu",
            criterion="Is it so?",
            fields=("output", "ground_truth"),
            pass_at=0.75,
            block_below=0.25,
            certificate=None,
            max_tokens=160,
        )
    ]


def test_items_of_a_batch_fail_singly_and_in_order(client, service):
    outputs = ["fine", "invalid", "\ud800", "too much", "from the future", "also fine"]
    interactions = [Interaction(output=output) for output in outputs]

    results = client.score_batch([*interactions, Interaction()], evaluator="faithful", version=2)

    kinds = [type(result).__name__ for result in results]
    assert kinds == [
        "Score",
        "InvalidRequestError",
        "InvalidRequestError",
        "OverloadedError",
        "ServerFaultError",
        "Score",
        "InvalidRequestError",
    ]
    assert str(results[1]) == "output: empty"
    assert results[3].retry_after == 0.04
    [sent] = service.requests
    assert [each.request_id for each in sent.requests] == [
        results[index].request_id for index in (0, 1, 3, 4, 5)
    ]
    assert {(each.evaluator, each.version) for each in sent.requests} == {("faithful", 2)}


def test_on_failure_stands_in_for_single_items_too(client):
    outputs = ["fine", "invalid", "too much", "from the future"]
    interactions = [Interaction(output=output) for output in outputs]

    fine, invalid, too_much, unread = client.score_batch(interactions, on_failure="closed")

    assert fine.verdict is Verdict.PASS
    assert isinstance(invalid, InvalidRequestError)
    assert (too_much.verdict, too_much.score) == (Verdict.BLOCK, None)
    assert isinstance(too_much.failure, OverloadedError)
    assert too_much.request_id == too_much.failure.request_id != ""
    assert isinstance(unread.failure, ServerFaultError)


def test_a_batch_with_nothing_to_send_is_not_sent(client, service):
    assert client.score_batch([]) == []
    [error] = client.score_batch([Interaction()])
    assert isinstance(error, InvalidRequestError)
    assert not service.requests


def test_a_batch_answered_in_part_is_the_servers_fault(client, service):
    service.loses_items = True
    interactions = [Interaction(output="A"), Interaction(output="B")]
    for result in client.score_batch(interactions):
        assert isinstance(result, ServerFaultError)
        assert "1 answers to 2 requests" in str(result)


def test_an_interaction_without_any_field_is_refused_at_once(client, service):
    with pytest.raises(InvalidRequestError, match="give at least one") as caught:
        client.score()
    assert caught.value.code == "INVALID_ARGUMENT"
    assert not service.requests


def test_a_field_that_is_no_text_is_a_type_error(client, service):
    with pytest.raises(TypeError, match="ground_truth must be a str or None, not list"):
        client.score(output="A", ground_truth=["passage"])
    with pytest.raises(TypeError, match="output must be a str or None, not bytes"):
        client.score_batch([Interaction(output=b"A")])  # type: ignore[arg-type]
    assert not service.requests


def test_text_that_is_no_unicode_is_refused_by_name(client):
    with pytest.raises(InvalidRequestError, match="output: not valid Unicode"):
        client.score(output="a broken escape \ud83d")


@pytest.mark.parametrize("on_failure", ["raise", "open"])
def test_a_request_larger_than_the_server_takes_is_never_let_through(client, service, on_failure):
    text = "x" * (4 * 1024 * 1024)  # gRPC's own limit for a server that sets none
    with pytest.raises(InvalidRequestError, match=r"larger than .* takes, send less"):
        client.score(output=text, on_failure=on_failure)
    half = Interaction(output=text[: len(text) // 2])
    with pytest.raises(InvalidRequestError, match=r"larger than .* takes, send less"):
        client.score_batch([half, half], on_failure=on_failure)
    assert not service.requests


def test_unix_sockets(connect, start_server, tmp_path):
    server = start_server(f"unix:{tmp_path}/tipstaff.sock")
    assert connect(server.target).score(output="A").passed


def test_the_path_of_a_socket_may_have_the_signs_of_a_uri(connect, start_server, tmp_path):
    start_server(f"unix:{tmp_path}/a%252041%23%3F.sock")
    assert (tmp_path / "a%2041#?.sock").is_socket()
    assert connect(f"unix:{tmp_path}/a%2041#?.sock").score(output="A").passed


def test_credentials(connect, start_server):
    server = start_server(credentials=grpc.local_server_credentials())
    client = connect(server.target, credentials=grpc.local_channel_credentials())
    assert client.score(output="A").passed


@pytest.mark.parametrize(
    "settings",
    [
        {"timeout": 0},
        {"timeout": -1.0},
        {"timeout": float("inf")},
        {"timeout": float("nan")},
        {"on_failure": "shrug"},
    ],
)
def test_settings_that_are_none(connect, client, settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        connect("localhost:50051", **settings)
    with pytest.raises(ValueError, match=next(iter(settings))):
        client.score(output="A", **settings)


@pytest.mark.parametrize("keepalive", [0, 9.9, float("nan"), float("inf")])
def test_a_keepalive_that_servers_refuse(connect, keepalive):
    with pytest.raises(ValueError, match="keepalive must be from 10 seconds"):
        connect("localhost:50051", keepalive=keepalive)


def test_a_keepalive_that_servers_allow(connect, server):
    assert connect(server.target, keepalive=10).score(output="A").passed
