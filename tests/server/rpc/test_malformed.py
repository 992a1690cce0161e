from __future__ import annotations

import asyncio
import logging

import grpc
import pytest

from tipstaff.v1 import scoring_pb2 as pb
from tipstaff_server.metrics import Metrics
from tipstaff_server.rpc.malformed import MalformedMessages

SERVICE = "/tipstaff.v1.ScoringService"
NOT_UTF8 = bytes.fromhex("22046162fffe")
CUT_OFF = bytes.fromhex("22ff01")
NO_FIELD = bytes.fromhex("ffffffffff")
BATCH = b"\x0a" + bytes([len(NOT_UTF8)]) + NOT_UTF8
REQUEST = pb.ScoreRequest(evaluator="tiny", output="paris")


def malformed(server) -> float:
    return server.metric("tipstaff_refusals_total", reason="malformed")


def refuse(call) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as refused:
        list(call())
    return refused.value


@pytest.mark.parametrize(
    ("path", "message"),
    [
        *((f"{SERVICE}/Score", message) for message in (NOT_UTF8, CUT_OFF, NO_FIELD)),
        *((f"{SERVICE}/ScoreBatch", message) for message in (BATCH, CUT_OFF, NO_FIELD)),
        (f"{SERVICE}/ListEvaluators", NO_FIELD),
        ("/grpc.health.v1.Health/Check", bytes.fromhex("0a04") + NOT_UTF8[2:]),
        ("/grpc.health.v1.Health/Watch", NO_FIELD),
        ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", NO_FIELD),
        ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", NO_FIELD),
    ],
)
def test_a_message_that_cannot_be_parsed_is_the_caller_s_fault(server, path, message):
    before = malformed(server)
    # On the wire a call with one message is the same, whatever its method is declared to be.
    call = server.channel().unary_stream(path)
    error = refuse(lambda: call(message, timeout=10))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "can't be parsed" in error.details()
    assert malformed(server) == before + 1
    assert server.stub().Score(REQUEST, timeout=10).evaluator == "tiny"


def test_many_leave_one_line_in_the_log_and_no_traceback(start, bundle):
    server = start(bundle)
    call = server.channel().unary_unary(f"{SERVICE}/Score")
    for _ in range(50):
        refuse(lambda: call(NOT_UTF8, timeout=10))
    lines = [line for line in server.log.splitlines() if "malformed" in line]
    assert len(lines) == 1
    assert f"malformed messages: 1, the last to {SERVICE}/Score from ipv4:127.0.0.1:" in lines[0]
    assert "Traceback" not in server.log
    assert malformed(server) == 50


def test_later_ones_are_logged_as_a_count(caplog):
    async def main() -> None:
        messages = MalformedMessages(Metrics(), pause=0.05)
        for number in range(10):
            messages.add("/s/M", f"peer-{number}")
        await asyncio.sleep(0.2)
        messages.add("/s/M", "late")

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert [record.getMessage() for record in caplog.records] == [
        "malformed messages: 1, the last to /s/M from peer-0",
        "malformed messages: 9, the last to /s/M from peer-9",
        "malformed messages: 1, the last to /s/M from late",
    ]


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_what_is_too_large_is_refused_by_its_unpacked_size(start, bundle, compression):
    server = start(bundle, "--max-request-bytes", 2000)
    call = server.channel().unary_unary(f"{SERVICE}/Score")
    small = call(REQUEST.SerializeToString(), compression=compression, timeout=10)
    assert pb.ScoreResponse.FromString(small).evaluator == "tiny"
    memory = server.metric("process_resident_memory_bytes")
    for _ in range(20):
        with pytest.raises(grpc.RpcError) as refused:
            call(bytes(50_000_000), compression=compression, timeout=30)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert server.metric("process_resident_memory_bytes") < memory + 40e6


@pytest.mark.parametrize("path", [f"{SERVICE}/None", "/no.Service/Score", "/"])
def test_an_unknown_method_is_said_to_be_unknown(server, path):
    with pytest.raises(grpc.RpcError) as refused:
        server.channel().unary_unary(path)(b"", timeout=10)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
