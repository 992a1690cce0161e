"""A real Envoy between a caller and an LLM API, with the configuration of the docs."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import openai
import pytest
from conftest import BAD, FACTS, GOOD, QUESTION

CONFIG = Path(__file__).with_name("envoy.yaml")
SYSTEM = {"role": "system", "content": f"Answer from <context>{FACTS}</context>"}
USER = {"role": "user", "content": QUESTION}


class LlmApi(BaseHTTPRequestHandler):
    """Answers as the request's `say` asks for."""

    protocol_version = "HTTP/1.1"
    encodings: list = []

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "3")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(b"abc")

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.encodings.append(self.headers.get("accept-encoding"))
        try:
            asked = json.loads(body)
        except ValueError:
            asked = {"say": GOOD}
        status, kind, data = reply(asked)
        time.sleep(asked.get("seconds", 0))
        self.send_response(status)
        self.send_header("content-type", kind)
        if asked.get("encoding"):
            self.send_header("content-encoding", asked["encoding"])
            data = gzip.compress(data)
        if status == 204:
            self.end_headers()
        elif asked.get("chunked"):
            self.send_header("transfer-encoding", "chunked")
            self.send_header("trailer", "x-checksum")
            self.end_headers()
            for start in range(0, len(data), 7):
                piece = data[start : start + 7]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
            self.wfile.write(b"0\r\nx-checksum: 1\r\n\r\n")
        else:
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, *words):
        pass


def reply(asked):
    if "raw" in asked:
        return (
            asked.get("status", 200),
            asked.get("kind", "application/json"),
            asked["raw"].encode(),
        )
    say = asked.get("say", GOOD) * asked.get("times", 1)
    if not asked.get("stream"):
        choices = [{"index": 0, "message": {"role": "assistant", "content": say}}]
        return 200, "application/json", json.dumps({"choices": choices}).encode()
    pieces = [f" {word}" if number else word for number, word in enumerate(say.split(" "))]
    events = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    data = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return 200, "text/event-stream", (data + "data: [DONE]\n\n").encode()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def llm():
    server = ThreadingHTTPServer(("127.0.0.1", 0), LlmApi)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


@pytest.fixture(scope="module")
def envoy(llm, tmp_path_factory):
    """Starts Envoys before the LLM API, by the port of the processor; gives their URL."""
    started = []

    def start(processor=None, change=lambda text: text):
        folder = tmp_path_factory.mktemp("envoy")
        port = free_port()
        processor = processor or os.environ["TIPSTAFF_GATEWAY_GRPC"].rpartition(":")[2]
        text = CONFIG.read_text()
        for old, new in (("10000", port), ("10001", llm), ("9000", processor)):
            assert f"port_value: {old}}}" in text
            text = text.replace(f"port_value: {old}}}", f"port_value: {new}}}")
        file = folder / "envoy.yaml"
        file.write_text(change(text))
        program = shutil.which("envoy", path=str(Path(sys.executable).parent))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, "-c", file, "--use-dynamic-base-id", "-l", "warning"], stderr=log
            )
        started.append(process)
        give_up = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < give_up, (folder / "log").read_text()
                time.sleep(0.05)
        return f"http://127.0.0.1:{port}/v1/chat/completions"

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def url(envoy):
    return envoy()


def ask(url, *, messages=(SYSTEM, USER), headers=None, **body):
    body = {"model": "m", "messages": list(messages), **body}
    return httpx.post(url, json=body, headers=headers, timeout=30)


@pytest.mark.parametrize("stream", [False, True])
def test_a_good_answer_passes_as_it_is(url, stream):
    answer = ask(url, say=GOOD, stream=stream)
    assert answer.status_code == 200
    assert answer.headers["tipstaff-verdict"] == "PASS"
    assert answer.content == reply({"say": GOOD, "stream": stream})[2]


@pytest.mark.parametrize("stream", [False, True])
def test_a_bad_answer_is_replaced_by_an_error_of_openai_s_form(url, stream):
    answer = ask(url, say=BAD, stream=stream)
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert error["code"] == "tipstaff_blocked"
    assert "hours: BLOCK" in error["message"]
    assert BAD not in answer.text


def test_facts_may_come_in_a_header_or_from_a_tool(url):
    header = {"tipstaff-ground-truth": FACTS}
    assert ask(url, messages=[USER], headers=header).status_code == 200
    assert ask(url, messages=[USER], headers=header, say=BAD).status_code == 403
    tool = {"role": "tool", "tool_call_id": "1", "content": FACTS}
    assert ask(url, messages=[USER, tool]).status_code == 200
    assert ask(url, messages=[USER, tool], say=BAD).status_code == 403


def test_missing_facts_never_pass(url):
    answer = ask(url, messages=[USER], say=GOOD)
    assert answer.status_code == 403
    assert "missing: ground_truth" in answer.json()["error"]["message"]


def test_an_image_is_named_as_not_read(url):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    parts = [{"type": "text", "text": QUESTION}, image]
    answer = ask(url, messages=[SYSTEM, {"role": "user", "content": parts}])
    assert answer.status_code == 403
    assert "not read: image" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("raw", "kind", "why"),
    [
        ('{"choices": [{"mess', "application/json", "not JSON"),
        ('{"answer": "open sunday"}', "application/json", "in no form that is known"),
        ("open sunday", "text/plain", "not JSON"),
        ('data: {"choices": [{"delta": {"content": "closed"}}]}\n\n', "text/event-stream", "early"),
        ("data: {\n\n", "text/event-stream", "an event of the stream is not JSON"),
    ],
)
def test_an_answer_that_cannot_be_read_does_not_pass(url, raw, kind, why):
    answer = ask(url, raw=raw, kind=kind)
    assert answer.status_code == 502
    error = answer.json()["error"]
    assert error["code"] == "tipstaff_unreadable"
    assert why in error["message"]


def test_a_compressed_answer_is_not_asked_for_and_checked_where_it_can_be_read(url):
    answer = ask(url, encoding="gzip")
    assert (answer.status_code, answer.headers["tipstaff-verdict"]) == (200, "PASS")
    assert answer.json()["choices"][0]["message"]["content"] == GOOD
    assert ask(url, encoding="gzip", say=BAD).status_code == 403
    unread = ask(url, encoding="br")
    assert unread.status_code == 502
    assert "not read: br" in unread.json()["error"]["message"]
    assert set(LlmApi.encodings) == {None}


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_in_chunks_with_a_trailer_is_checked_whole(url, stream):
    answer = ask(url, chunked=True, stream=stream)
    assert answer.content == reply({"say": GOOD, "stream": stream})[2]
    assert ask(url, chunked=True, stream=stream, say=BAD).status_code == 403


def test_trailers_that_are_sent_on_change_nothing(envoy):
    def change(text):
        kept = "http_protocol_options: {enable_trailers: true}"
        text = text.replace("stat_prefix: llm\n", f"stat_prefix: llm\n                {kept}\n")
        text = text.replace(
            "    - name: llm\n      type: STATIC\n",
            "    - name: llm\n      type: STATIC\n      typed_extension_protocol_options:\n"
            "        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:\n"
            '          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.'
            "HttpProtocolOptions\n"
            f"          explicit_http_config: {{{kept}}}\n",
        )
        return text.replace(
            "response_body_mode: BUFFERED",
            "response_body_mode: BUFFERED\n                        response_trailer_mode: SEND",
        )

    url = envoy(change=change)
    assert ask(url, chunked=True).json()["choices"][0]["message"]["content"] == GOOD
    assert ask(url, chunked=True, say=BAD).status_code == 403


def test_an_answer_without_a_body_passes(url):
    assert ask(url, raw="", status=204).status_code == 204
    assert ask(url, raw="").status_code == 200
    assert httpx.head(url, timeout=30).status_code == 200
    assert httpx.get(url, timeout=30).text == "abc"


def test_a_request_that_is_not_json_has_no_facts(url):
    answer = httpx.post(url, content=b'{"messages": [', timeout=30)
    assert answer.status_code == 403
    assert "missing: input and ground_truth" in answer.json()["error"]["message"]


def test_errors_of_the_api_and_other_paths_pass_as_they_are(url):
    failed = ask(url, raw='{"error": {}}', status=429)
    assert (failed.status_code, failed.json()) == (429, {"error": {}})
    other = url.replace("chat/completions", "embeddings")
    # Larger than the buffer, in both directions.
    for pad in ("", "a" * 2**20, "a" * 2**21):
        large = ask(other, say=BAD, times=100_000, pad=pad)
        assert (large.status_code, len(large.content) > 2**20) == (200, True)


def test_other_paths_pass_through_the_gateway_too(envoy):
    def change(text):
        return re.sub(r'regex: ".*"', 'regex: ".*"', text)

    other = envoy(change=change).replace("chat/completions", "embeddings")
    assert ask(other, say=BAD).status_code == 200
    # Its body is not buffered: it is larger than the buffer.
    large = ask(other, say=BAD, times=100_000)
    assert (large.status_code, len(large.content) > 2**20) == (200, True)


def test_an_answer_that_calls_a_tool_passes(url):
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    assert ask(url, raw=json.dumps({"choices": [{"message": call}]})).status_code == 200


def test_bodies_larger_than_the_buffer_do_not_pass(url):
    assert ask(url, say=GOOD, times=100_000).status_code == 500
    assert ask(url, say=GOOD, pad="a" * 2**21).status_code == 413


def test_clients_of_openai_and_anthropic_raise_their_own_errors(url):
    base = url.removesuffix("/chat/completions")
    client = openai.OpenAI(base_url=base, api_key="k", timeout=30)
    for stream in (False, True):
        with pytest.raises(openai.PermissionDeniedError) as caught:
            client.chat.completions.create(
                model="m", messages=[SYSTEM, USER], stream=stream, extra_body={"say": BAD}
            )
        assert caught.value.code == "tipstaff_blocked"
        assert "hours: BLOCK" in caught.value.message
    asked = len(LlmApi.encodings)
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(
            model="m", messages=[USER], extra_body={"raw": "{}", "kind": "text/plain"}
        )
    assert caught.value.code == "tipstaff_unreadable"
    # It did not pay for the same answer again.
    assert len(LlmApi.encodings) == asked + 1
    content = [{"type": "text", "text": BAD}]
    raw = json.dumps({"type": "message", "role": "assistant", "content": content})
    system = f"Answer from <context>{FACTS}</context>"
    blocked = ask(f"{base}/messages", messages=[USER], system=system, raw=raw)
    assert (blocked.status_code, blocked.json()["type"]) == (403, "error")
    assert blocked.json()["error"]["type"] == "permission_error"


def counted():
    """How often the gateway has counted an exchange with Envoy, by status."""
    text = httpx.get(f"{os.environ['TIPSTAFF_GATEWAY']}/metrics", timeout=30).text
    pattern = r'request_duration_seconds_count{door="envoy",status="(\w+)"} (\d+)'
    return Counter({status: int(count) for status, count in re.findall(pattern, text)})


def counted_since(before, number):
    """What was counted since then, once it is so many; an exchange is over a moment later."""
    give_up = time.monotonic() + 10
    while (counted() - before).total() < number and time.monotonic() < give_up:
        time.sleep(0.05)
    time.sleep(0.5)
    return dict(counted() - before)


def test_each_exchange_is_counted_once_whatever_becomes_of_it(url):
    time.sleep(0.5)
    before = counted()
    statuses = [
        ask(url, say=GOOD).status_code,
        ask(url, say=GOOD, stream=True).status_code,
        ask(url, say=BAD).status_code,
        ask(url, chunked=True, say=BAD).status_code,
        ask(url, raw="{}").status_code,
        ask(url, raw='{"error": {}}', status=429).status_code,
        ask(url, raw="", status=204).status_code,
        httpx.get(url, timeout=30).status_code,
        httpx.head(url, timeout=30).status_code,
    ]
    assert statuses == [200, 200, 403, 403, 502, 429, 204, 200, 200]
    assert counted_since(before, len(statuses)) == {"OK": len(statuses)}


def test_errors_and_callers_who_leave_have_statuses_of_their_own(url):
    time.sleep(0.5)
    before = counted()
    assert ask(url, headers={"tipstaff-timeout-ms": "soon"}).status_code == 503
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, json={"say": GOOD, "seconds": 2}, timeout=0.5)
    assert counted_since(before, 2) == {"INVALID_ARGUMENT": 1, "CANCELLED": 1}


@pytest.mark.parametrize("fails_open", [False, True])
def test_without_a_processor_envoy_s_failure_mode_decides(envoy, fails_open):
    def change(text):
        mode = f"failure_mode_allow: {str(fails_open).lower()}"
        return text.replace("failure_mode_allow: false", mode)

    answer = ask(envoy(free_port(), change), say=BAD)
    assert answer.status_code == (200 if fails_open else 503)


def test_a_mode_that_lets_answers_pass_first_is_refused(envoy):
    def change(text):
        return text.replace("response_body_mode: BUFFERED", "response_body_mode: STREAMED")

    assert ask(envoy(change=change), say=BAD).status_code == 503
