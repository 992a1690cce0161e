"""How long connections last, and what keeps them."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from raw_http2 import GOAWAY, RawConnection
from running_server import SERVING

from tipstaff.v1 import scoring_pb2 as pb

SERVICE = "tipstaff.v1.ScoringService"


def test_a_client_may_ping_every_10_s_with_no_call_but_a_watch(start, bundle):
    server = start(bundle)
    options = {
        "grpc.keepalive_time_ms": 10_000,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.max_pings_without_data": 0,
    }
    with grpc.insecure_channel(server.address, options=list(options.items())) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=45)
        ends = []

        def follow() -> None:
            try:
                for _ in watch:
                    pass
            except grpc.RpcError as error:
                ends.append(error.code())

        threading.Thread(target=follow).start()
        # gRPC ends a connection at the third early ping.
        time.sleep(38)
        assert ends == []
        watch.cancel()


def test_a_flood_of_pings_ends_the_connection(start, bundle):
    server = start(bundle)
    flood = RawConnection(server.address)
    # The server may hang up before the last of them is sent.
    with suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(10):
            flood.ping()
    assert b"too_many_pings" in flood.payload_of(GOAWAY, seconds=10)


def test_a_connection_ends_at_its_age_and_no_call_fails(start, bundle):
    server = start(bundle, "--connection-age-seconds", 1, "--connection-grace-seconds", 5)
    aging = RawConnection(server.address)
    stub = server.stub()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        stub.Score(pb.ScoreRequest(output="paris"), timeout=5)
    assert b"max_age" in aging.payload_of(GOAWAY, seconds=10)


def test_a_connection_may_last_for_ever(start, bundle):
    server = start(bundle, "--connection-age-seconds", 0)
    assert server.stub().Score(pb.ScoreRequest(output="paris"), timeout=5)


def test_clients_with_health_checks_reach_it(server):
    assert server.health(SERVICE) == server.health("") == SERVING
    config = f"""{{"healthCheckConfig": {{"serviceName": "{SERVICE}"}},
                   "loadBalancingConfig": [{{"round_robin": {{}}}}]}}"""
    options = [("grpc.service_config", config), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(server.address, options=options) as channel:
        call = channel.unary_unary(
            f"/{SERVICE}/Score",
            pb.ScoreRequest.SerializeToString,
            pb.ScoreResponse.FromString,
        )
        request = pb.ScoreRequest(evaluator="tiny", output="paris")
        assert call(request, timeout=10, wait_for_ready=True).evaluator == "tiny"
