"""SIGTERM: a lame-duck time, then draining, whatever callers do."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from raw_http2 import RawConnection
from running_server import SERVING, Server, wait_until
from tiny_bundle import make_bundle

from tipstaff.v1 import scoring_pb2 as pb
from tipstaff.v1.scoring_pb2_grpc import ScoringServiceStub

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE = "tipstaff.v1.ScoringService"
SCORE = f"/{SERVICE}/Score"
REQUEST = pb.ScoreRequest(output="paris is it")
RAW = REQUEST.SerializeToString()


def seconds_to_stop(server: Server) -> float:
    started = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=60) == 0
    return time.monotonic() - started


def watch(server: Server, service: str = "") -> Iterator[health_pb2.HealthCheckResponse]:
    stub = health_pb2_grpc.HealthStub(server.channel())
    return stub.Watch(health_pb2.HealthCheckRequest(service=service))


def test_calls_are_answered_through_the_lame_duck_time(start, bundle):
    server = start(bundle, "--lame-duck-seconds", 3)
    stub, ends, over = server.stub(), [], threading.Event()
    stub.Score(REQUEST)

    def call() -> None:
        while not over.is_set():
            try:
                stub.Score(REQUEST, timeout=30)
            except grpc.RpcError as error:
                ends.append((time.monotonic(), error.code()))
                return

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        watches = [watch(server, service) for service in ("", SERVICE, "tiny")]
        assert [next(each).status for each in watches] == [SERVING] * 3
        left = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert [next(each).status for each in watches] == [NOT_SERVING] * 3
        assert [server.health(name) for name in ("", SERVICE, "tiny")] == [NOT_SERVING] * 3
        assert time.monotonic() - left < 3
        assert server.process.wait(timeout=60) == 0
    finally:
        over.set()
        for caller in callers:
            caller.join()
    # Nothing but the new state was sent before the watches ended.
    for each in watches:
        assert list(each) == []
    # Not CANCELLED, which clients don't retry.
    assert [code for _, code in ends] == [grpc.StatusCode.UNAVAILABLE] * 4
    assert min(when for when, _ in ends) - left > 2.9


def test_a_client_that_checks_health_turns_to_another_server_without_an_error(start, bundle):
    leaving, staying = (start(bundle, "--lame-duck-seconds", 3) for _ in range(2))
    config = f"""{{"healthCheckConfig": {{"serviceName": "{SERVICE}"}},
                   "loadBalancingConfig": [{{"round_robin": {{}}}}]}}"""
    target = f"ipv4:{leaving.address},{staying.address}"
    with grpc.insecure_channel(target, options=[("grpc.service_config", config)]) as channel:
        stub = ScoringServiceStub(channel)
        answered = "tipstaff_request_duration_seconds_count"

        def score() -> None:
            stub.Score(REQUEST, timeout=30, wait_for_ready=True)

        wait_until(lambda: score() or leaving.metric(answered) > 5 < staying.metric(answered))
        leaving.process.send_signal(signal.SIGTERM)
        wait_until(lambda: score() or leaving.process.poll() is not None)
        assert leaving.process.wait() == 0
        for _ in range(20):
            score()


def test_a_second_signal_ends_the_lame_duck_time(start, bundle):
    server = start(bundle, "--lame-duck-seconds", 60)
    server.process.send_signal(signal.SIGTERM)
    server.wait_for_log("leaving")
    assert seconds_to_stop(server) < 20


def test_ctrl_c_drains_at_once(start, bundle):
    server = start(bundle, "--lame-duck-seconds", 60)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(timeout=20) == 0
    assert "leaving" not in server.log


def test_a_server_that_served_nothing_has_no_lame_duck_time(start, tmp_path):
    (tmp_path / "repo").mkdir()
    words = ("--repository", tmp_path / "repo", "--lame-duck-seconds", 60)
    assert seconds_to_stop(start(*words, wait_for="nothing serves yet")) < 20


def test_callers_that_take_no_replies_hold_nothing_up(start, bundle):
    server = start(bundle)
    callers = [RawConnection(server.address, window=0) for _ in range(4)]
    for caller in callers:
        for _ in range(50):
            caller.call(SCORE, RAW)
    wait_until(lambda: server.metric("tipstaff_request_duration_seconds_count") == 200)
    assert seconds_to_stop(server) < 10


def test_half_sent_calls_and_open_streams_hold_nothing_up(start, bundle):
    server = start(bundle)
    caller = RawConnection(server.address)
    for _ in range(50):
        caller.call(SCORE, None)
        caller.call("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", None)
        caller.call("/grpc.health.v1.Health/Watch", b"")
    server.stub().Score(REQUEST)
    assert seconds_to_stop(server) < 10


def test_long_work_is_finished_although_others_take_no_replies(start, tmp_path):
    # One run at a time, and in all longer than replies are waited for.
    bundle = make_bundle(tmp_path / "slow", run_cost=300, batch_invariant=False)
    server = start(bundle, "--workers", 1)
    stub = server.stub()
    started = time.monotonic()
    stub.Score(REQUEST, timeout=20)
    count = math.ceil(5 / (time.monotonic() - started))
    caller = RawConnection(server.address, window=0)
    caller.call(SCORE, RAW)
    calls = [stub.Score.future(REQUEST, timeout=60) for _ in range(count)]
    # All have arrived; gRPC drops those that arrive when it has been stopped.
    done, waiting = "tipstaff_request_duration_seconds_count", "tipstaff_queue_depth"
    wait_until(lambda: server.metric(done, waiting) >= count)
    assert seconds_to_stop(server) < 30
    assert {call.code().name for call in calls} == {"OK"}


@pytest.mark.parametrize("seconds", [0, 1])
def test_draining_ends_after_its_time_whatever_is_left(start, tmp_path, seconds):
    bundle = make_bundle(tmp_path / "slow", run_cost=600, batch_invariant=False)
    server = start(bundle, "--workers", 1, "--drain-seconds", seconds)
    stub = server.stub()
    # Time enough for all, so that none is refused at once.
    calls = [stub.Score.future(REQUEST, timeout=600) for _ in range(300)]
    wait_until(lambda: server.metric("tipstaff_queue_depth") >= 200)
    assert seconds_to_stop(server) < seconds + 10
    assert {call.code().name for call in calls} - {"OK"}
