"""Spans, events, exemplars and the access log of a real server, received by a real endpoint."""

from __future__ import annotations

import gzip
import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tipstaff.v1 import scoring_pb2 as pb
from tipstaff_server.telemetry.trace_context import TraceContext, choose_trace

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "paris is the capital"


class Collector(BaseHTTPRequestHandler):
    received: dict[str, list[bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.received.setdefault(self.path, []).append(body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector():
    Collector.received = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def attributes(item) -> dict[str, object]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in item}


# Stands in for an error in OpenTelemetry's code.
FAULTY = """
from tipstaff_server.telemetry import tracing

def record(*_):
    raise KeyError("span")

tracing.Tracing.record = record
"""


def test_an_error_of_tracing_takes_no_answer_away(start, bundle, collector):
    """Once, the caller got UNKNOWN in place of the score."""
    words = (bundle, "--trace-endpoint", collector, "--trace-share", 1)
    server = start(*words, script=FAULTY)
    for _ in range(3):
        request = pb.ScoreRequest(output=SECRET, input="paris", ground_truth="paris")
        assert server.stub().Score(request, timeout=20).evaluator == "tiny"
    assert server.log.count("interactions can't be told of") == 1
    assert server.metric("tipstaff_request_duration_seconds_count") == 3
    assert server.metric("tipstaff_request_duration_seconds_count", code="OK") == 3


def test_a_caller_s_trace_goes_on_through_the_server(start, bundle, collector):
    server = start(
        *(bundle, "--trace-endpoint", collector, "--trace-share", 0, "--trace-evaluations"),
        *("--access-log-share", 1, "--caller-key", "x-app"),
    )
    stub = server.stub()
    request = pb.ScoreRequest(output=SECRET, input="paris", ground_truth="paris", request_id="a\nb")
    stub.Score(request, timeout=5)  # belongs to no trace, and none is drawn
    unsampled = f"00-{TRACE[::-1]}-{SPAN}-00"
    stub.Score(request, timeout=5, metadata=(("traceparent", unsampled),))
    traced = (("traceparent", f"00-{TRACE}-{SPAN}-01"), ("x-app", "shop"))
    stub.Score(request, timeout=5, metadata=traced)
    with pytest.raises(grpc.RpcError):
        stub.Score(pb.ScoreRequest(evaluator="nobody"), timeout=5, metadata=traced)

    openmetrics = urllib.request.Request(
        server.metrics_url, headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    with urllib.request.urlopen(openmetrics, timeout=5) as response:
        text = response.read().decode()
    assert f'# {{trace_id="{TRACE}"}}' in text
    assert TRACE[::-1] not in text
    server.stop()

    spans = [
        span
        for body in Collector.received["/v1/traces"]
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    roots = [span for span in spans if span.name == "tipstaff score"]
    assert [span.parent_span_id.hex() for span in roots] == [SPAN, SPAN]
    answered, refused = sorted(roots, key=lambda span: span.start_time_unix_nano)
    steps = [span for span in spans if span.parent_span_id == answered.span_id]
    assert [span.name for span in steps] == ["encode", "queue", "run"]
    assert all(
        answered.start_time_unix_nano
        <= span.start_time_unix_nano
        <= span.end_time_unix_nano
        <= answered.end_time_unix_nano
        for span in steps
    )
    told = attributes(answered.attributes)
    assert told["tipstaff.verdict"] in ("PASS", "BLOCK")
    assert (told["tipstaff.request_id"], told["tipstaff.caller"]) == ("a?b", "shop")
    assert attributes(refused.attributes)["rpc.grpc.status_code"] == "NOT_FOUND"
    assert refused.status.code == 2

    (event,) = [
        record
        for body in Collector.received["/v1/logs"]
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]
    assert (event.event_name, event.trace_id.hex()) == ("gen_ai.evaluation.result", TRACE)
    assert event.span_id == answered.span_id
    assert attributes(event.attributes)["gen_ai.evaluation.name"] == "tiny"

    lines = [json.loads(line[line.index("{") :]) for line in server.log.splitlines() if "{" in line]
    assert [line["code"] for line in lines] == ["OK", "OK", "OK", "NOT_FOUND"]
    assert (lines[2]["caller"], lines[2]["trace_id"]) == ("shop", TRACE)
    assert lines[2]["run_ms"] <= lines[2]["milliseconds"]
    everything = server.log + repr(Collector.received)
    assert SECRET not in everything


@pytest.mark.parametrize(
    ("value", "context"),
    [
        (f"00-{TRACE}-{SPAN}-01", TraceContext(int(TRACE, 16), int(SPAN, 16))),
        (f"cc-{TRACE}-{SPAN}-03-later", TraceContext(int(TRACE, 16), int(SPAN, 16))),
        (f"00-{TRACE}-{SPAN}-00", None),
    ],
)
def test_a_caller_decides_whether_its_trace_is_recorded(value, context):
    assert choose_trace([("x", "y"), ("traceparent", value)], 1.0) == context


@pytest.mark.parametrize(
    "value",
    [f"00-{TRACE}-{SPAN}-01-x", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", "", "01"],
)
def test_what_is_no_trace_is_as_none(value):
    assert choose_trace([("traceparent", value)], 0.0) is None
    drawn = choose_trace([("traceparent", value)], 0.5, lambda: 0.4)
    assert drawn is not None
    assert drawn.parent_id == 0
    assert choose_trace([], 0.5, lambda: 0.6) is None
