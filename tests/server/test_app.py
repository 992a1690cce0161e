from __future__ import annotations

import hashlib
import json
import random
import shutil
import socket
import stat
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import psutil
import pytest
from running_server import SERVING, Server, command, wait_until
from tiny_bundle import WORDS, break_tokenizer, make_bundle

from tipstaff.types import Interaction
from tipstaff.v1 import scoring_pb2 as pb
from tipstaff.v1.scoring_pb2_grpc import ScoringServiceStub
from tipstaff_server import repository
from tipstaff_server.evaluator import Evaluator

REQUEST = pb.ScoreRequest(input="capital of france", output="paris is it", ground_truth="paris")
INTERACTION = Interaction("capital of france", "paris is it", "paris")


@pytest.fixture(scope="module")
def slow(tmp_path_factory) -> Path:
    """A bundle whose runs take some 30 to 100 milliseconds and one request each."""
    folder = tmp_path_factory.mktemp("slow") / "slow"
    return make_bundle(folder, name="slow", run_cost=1500, batch_invariant=False)


def send(server: Server, count: int, timeout: float = 20) -> list[grpc.Future]:
    stub = server.stub()
    return [stub.Score.future(REQUEST, timeout=timeout) for _ in range(count)]


def seconds_alone(server: Server) -> float:
    """The shortest of a few calls to an idle server, in seconds."""
    stub = server.stub()

    def one() -> float:
        started = time.monotonic()
        stub.Score(REQUEST, timeout=20)
        return time.monotonic() - started

    return min(one() for _ in range(5))


def codes(calls: list[grpc.Future]) -> list[str]:
    return [call.code().name for call in calls]


def test_repeats_are_remembered_until_another_version_serves(start, tmp_path):
    repo = tmp_path / "repo"
    for seed in (1, 2):
        bundle = make_bundle(tmp_path / str(seed), seed=seed)
        repository.publish(bundle, repo)
    repository.promote(repo, "tiny", 1)
    server = start("--repository", repo, "--poll-seconds", 0.1, "--cache-entries", 100)
    stub = server.stub()
    first, again = (stub.Score(REQUEST) for _ in range(2))
    assert (first.cached, again.cached) == (False, True)
    assert again.score == first.score
    assert again.request_id != first.request_id
    assert again.coverage == first.coverage
    assert again.timing.inference_seconds == 0 < again.timing.total_seconds
    assert server.metric("tipstaff_cache_hits_total", evaluator="tiny") == 1
    assert server.metric("tipstaff_batch_size_count") == 1
    repository.promote(repo, "tiny", 2)
    server.wait_for_log("tiny version 2 serves")
    newer = stub.Score(REQUEST)
    assert (newer.version, newer.cached) == (2, False)
    assert newer.score != first.score


def test_without_being_told_nothing_is_remembered(server):
    stub = server.stub()
    request = pb.ScoreRequest(evaluator="tiny", output="remember me not")
    assert not any(stub.Score(request).cached for _ in range(2))


def test_the_profile_says_what_runs_take(bundle, slow):
    said = subprocess.run(
        command("serve", bundle, slow, "--profile", "--workers", 3),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()
    tiny_at = said.index("tiny version 0, fp32/cpu, 3 x 1 threads: requests may share a run")
    assert said[0] == (
        "slow version 0, fp32/cpu, 3 x 1 threads: one request a run, since batch-mates would "
        "change its score here"
    )
    for length, milliseconds, best, run, rate in (line.split() for line in said[2:tiny_at]):
        assert int(length) in (16, 32, 64)
        assert best == "1"
        assert run == milliseconds
        # The rate is a whole number, which says little where runs are slow.
        assert float(rate) == pytest.approx(3e3 / float(run), rel=0.02, abs=0.51)
    rows = [line.split() for line in said[tiny_at + 2 :]]
    assert [int(row[0]) for row in rows] == [16, 32, 64]
    assert any(int(best) > 1 for _, _, best, *_ in rows)


def test_there_is_no_profile_of_nothing(tmp_path):
    (tmp_path / "repo").mkdir()
    ended = subprocess.run(
        command("serve", "--repository", tmp_path / "repo", "--profile"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert "nothing to profile" in ended.stderr


def test_scores_are_the_same_alone_and_in_batches(start, tmp_path):
    bundle = make_bundle(tmp_path / "batchable", run_cost=150)
    server = start(bundle, "--workers", 1, "--default-deadline-seconds", 30)
    stub, dice = server.stub(), random.Random(0)

    def text(longest: int) -> str:
        return " ".join(dice.choices(WORDS, k=dice.randint(1, longest)))

    requests = [
        pb.ScoreRequest(input=text(5), output=text(12), ground_truth=text(8)) for _ in range(150)
    ]
    alone = [stub.Score(request).score for request in requests]
    assert server.metric("tipstaff_batch_size_sum") == len(requests)
    assert len(set(alone)) > 100
    for _ in range(2):
        dice.shuffle(order := list(range(len(requests))))
        with ThreadPoolExecutor(64) as pool:
            scores = list(pool.map(lambda index: stub.Score(requests[index]).score, order))
        assert scores == [alone[index] for index in order]
    runs, answers = (server.metric(f"tipstaff_batch_size_{what}") for what in ("count", "sum"))
    assert answers == 3 * len(requests)
    assert runs - len(requests) < len(requests), "hardly any requests shared a run"
    assert 0 < server.metric("tipstaff_padding_ratio_sum") < 0.2 * runs


def test_a_swap_under_load_drops_nothing(start, tmp_path):
    repo = tmp_path / "repo"
    scores = {}
    for version in (1, 2):
        bundle = make_bundle(tmp_path / str(version), seed=version)
        assert repository.publish(bundle, repo) == version
        scores[version] = Evaluator.load(bundle).score(INTERACTION).score
    repository.promote(repo, "tiny", 1)
    server = start("--repository", repo, "--poll-seconds", 0.1, "--default-deadline-seconds", 10)
    stub, seen, over = server.stub(), [], threading.Event()

    def ask() -> None:
        while not over.is_set():
            reply = stub.Score(REQUEST)
            seen.append((reply.version, reply.score))

    with ThreadPoolExecutor(8) as pool:
        askers = [pool.submit(ask) for _ in range(8)]
        try:
            for version in (2, 1, 2):
                repository.promote(repo, "tiny", version)
                wait_until(lambda version=version: seen[-1:] == [(version, scores[version])])
        finally:
            over.set()
        for asker in askers:
            asker.result()
    assert set(seen) == set(scores.items())
    metric = "tipstaff_request_duration_seconds_count"
    assert server.metric(metric) == server.metric(metric, code="OK") == len(seen)
    assert server.metric("tipstaff_evaluator_info") == 1
    assert server.metric("tipstaff_evaluator_info", version="2", engine="fp32/cpu") == 1


def test_a_damaged_promotion_leaves_the_old_version_serving(start, tmp_path, bundle):
    repo = tmp_path / "repo"
    for version in (1, 2):
        repository.publish(bundle, repo, promote=version == 1)
    server = start("--repository", repo, "--poll-seconds", 0.1)
    graph = repo / "tiny" / "2" / "model.fp32.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])
    # Set directly, since `promote` itself refuses a damaged version.
    repository.set_serving(repo, "tiny", 2)
    server.wait_for_log("goes on serving")
    assert str(graph) in server.log
    assert "Traceback" not in server.log
    assert server.stub().Score(REQUEST, timeout=5).version == 1
    assert server.health("tiny") == SERVING
    assert server.metric("tipstaff_reload_failures_total", evaluator="tiny") == 1


def test_a_promotion_whose_tokenizer_panics_leaves_the_old_version_serving(start, tmp_path):
    """Once, the server ended: a panic in Rust is no Exception."""
    repo = tmp_path / "repo"
    repository.publish(make_bundle(tmp_path / "one"), repo, promote=True)
    server = start("--repository", repo, "--poll-seconds", 0.1)
    # Put there directly, since `publish` itself refuses it.
    break_tokenizer(shutil.copytree(repo / "tiny" / "1", repo / "tiny" / "2"))
    repository.set_serving(repo, "tiny", 2)
    server.wait_for_log("version 1 goes on serving")
    assert "tokenizer.json: tokenizers can't load it: index out of bounds" in server.log
    assert server.stub().Score(REQUEST, timeout=5).version == 1
    assert server.metric("tipstaff_reload_failures_total", evaluator="tiny") == 1


# Breaks how a repository is followed while there is a file of this name in it.
FAULTY = """
from tipstaff_server.repository.registry import Registry
follow = Registry.follow

def faulty(self, folder):
    if (folder / "fault").exists():
        raise PermissionError(13, "Permission denied", "somewhere deep down")
    follow(self, folder)

Registry.follow = faulty
"""


def test_an_error_that_nobody_foresaw_ends_no_server_and_is_counted(start, tmp_path):
    """Once, one poll that raised ended the server."""
    repo, failures = tmp_path / "repo", "tipstaff_poll_failures_total"
    for seed in (1, 2):
        repository.publish(make_bundle(tmp_path / str(seed), seed=seed), repo, promote=seed == 1)
    server = start("--repository", repo, "--poll-seconds", 0.05, script=FAULTY)
    assert server.metric(failures) == 0
    (repo / "fault").touch()
    wait_until(lambda: server.metric(failures, poll="repository") >= 3)
    assert server.log.count("polling repository failed") == server.log.count("Traceback") == 1
    assert server.stub().Score(REQUEST, timeout=5).version == 1
    assert server.health("tiny") == SERVING
    (repo / "fault").unlink()
    server.wait_for_log("polling repository succeeds again")
    repository.promote(repo, "tiny", 2)
    server.wait_for_log("tiny version 2 serves")
    assert server.stop() == 0


# Stands in for whatever ends gRPC's server, a moment after it has started.
ENDING = """
import asyncio
from tipstaff_server.rpc.server import RpcServer
start = RpcServer.start

async def and_end(self, addresses):
    bound = await start(self, addresses)
    loop = asyncio.get_running_loop()
    loop.call_later(2, lambda: loop.create_task(self._server.stop(None)))
    return bound

RpcServer.start = and_end
"""


def test_a_server_whose_grpc_ends_ends_too(start, bundle):
    """Once, it lived on without a port, and the health port said SERVING."""
    server = start(bundle, "--health-listen", "127.0.0.1:0", script=ENDING, wait_for="health on")
    assert server.process.wait(timeout=60) == 1
    assert server.log.splitlines()[-1].startswith("tipstaff: error: the gRPC server ended")
    assert "Traceback" not in server.log


def test_an_empty_repository_waits_for_the_first_promotion(start, tmp_path, bundle):
    repo = tmp_path / "repo"
    repo.mkdir()
    server = start("--repository", repo, "--poll-seconds", 0.1, wait_for="nothing serves yet")
    assert server.health() != SERVING
    call = send(server, 1)[0]
    assert call.code() is grpc.StatusCode.UNAVAILABLE
    assert "promoted" in call.details()
    repository.publish(bundle, repo, promote=True)
    wait_until(lambda: server.health() == SERVING)
    assert server.stub().Score(REQUEST, timeout=5).version == 1


def test_it_serves_only_once_warm(start, slow):
    server = start(slow, wait_for="gRPC on")
    seen = []
    wait_until(lambda: seen.append(server.health()) or seen[-1] == SERVING)
    assert seen[0] != SERVING
    assert "slow version 0 serves" in server.log


def test_sigterm_answers_what_was_accepted_and_refuses_the_rest(start, slow):
    server = start(slow, "--workers", 1)
    calls = send(server, 20)
    wait_until(lambda: server.metric("tipstaff_queue_depth") >= 15)
    server.process.terminate()
    server.wait_for_log("draining")
    late = send(server, 1)[0]
    assert late.code() is grpc.StatusCode.UNAVAILABLE
    assert server.process.wait(timeout=20) == 0
    assert codes(calls) == ["OK"] * 20
    assert "stopped" in server.log


def test_overload_is_refused_at_once_with_a_time_to_come_back(start, slow):
    server = start(slow, "--workers", 1, "--max-queue", 2)
    calls = send(server, 20)
    refused = [call for call in calls if call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert refused
    assert set(codes(calls)) == {"OK", "RESOURCE_EXHAUSTED"}
    for call in refused:
        assert int(dict(call.trailing_metadata())["grpc-retry-pushback-ms"]) > 0
    assert server.metric("tipstaff_refusals_total", reason="queue_full") == len(refused)


def test_whether_the_deadline_or_the_queue_is_at_fault_is_told_apart(start, slow):
    server = start(slow, "--workers", 1)
    seconds = seconds_alone(server)
    # Enough time for some of them, not for all.
    calls = send(server, 40, timeout=10 * seconds)
    refused = [call for call in calls if call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert refused
    assert "OK" in codes(calls)
    assert int(dict(refused[0].trailing_metadata())["grpc-retry-pushback-ms"]) > 0
    assert server.metric("tipstaff_refusals_total", reason="deadline") >= len(refused)

    stub = server.stub()

    def too_short() -> bool:
        # The deadline may also pass before the refusal arrives.
        call = stub.Score.future(REQUEST, timeout=seconds / 2)
        return call.code() is grpc.StatusCode.FAILED_PRECONDITION

    wait_until(too_short)
    assert server.metric("tipstaff_refusals_total", reason="deadline_unreachable") >= 1


def test_cancelled_requests_leave_the_queue_unrun(start, slow):
    server = start(slow, "--workers", 1)
    calls = send(server, 2)
    leaving = server.channel()
    stub = ScoringServiceStub(leaving)
    calls += [stub.Score.future(REQUEST, timeout=20) for _ in range(18)]
    done, waiting = "tipstaff_request_duration_seconds_count", "tipstaff_queue_depth"
    # All but the running one have arrived: a call cancelled earlier would never reach the server.
    wait_until(lambda: server.metric(done, waiting) >= 19)
    # Cancelled all at once: between two cancellations the worker could take a request.
    leaving.close()
    wait_until(lambda: server.metric(waiting) == 0)
    wait_until(lambda: server.metric(done) == 20)
    cancelled = server.metric(done, code="CANCELLED")
    assert cancelled >= 8
    assert server.metric("tipstaff_batch_size_sum") <= 20 - cancelled + 1
    assert set(codes(calls)) == {"OK", "CANCELLED"}


def test_unix_sockets_and_several_addresses(start, tmp_path, bundle):
    socket_path = tmp_path / "tipstaff.sock"
    server = start(bundle, "--listen", "[::1]:0", address=f"unix:{socket_path}")
    assert f"gRPC on unix:{socket_path}" in server.log
    assert stat.S_IMODE(socket_path.stat().st_mode) == 0o660
    assert "gRPC on [::1]:" in server.log
    ask = server.channel(f"unix:{socket_path}").unary_unary(
        "/tipstaff.v1.ScoringService/Score",
        pb.ScoreRequest.SerializeToString,
        pb.ScoreResponse.FromString,
    )
    assert ask(REQUEST, timeout=5).evaluator == "tiny"
    second = serve_in_vain(bundle, "--listen", f"unix:{socket_path}", "--metrics-listen", "off")
    assert "another server answers there" in second.stderr
    assert ask(REQUEST, timeout=5).evaluator == "tiny"
    assert server.stop() == 0
    assert not socket_path.exists()


def serve_in_vain(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command("serve", *words), capture_output=True, text=True, timeout=20)


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("flag", ["--listen", "--metrics-listen"])
def test_a_taken_port_is_a_one_line_error(bundle, flag):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        words = {"--listen": "127.0.0.1:0", "--metrics-listen": "off", flag: address}
        done = serve_in_vain(bundle, *(part for pair in words.items() for part in pair))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [last_line(done)]
    assert f"{flag} {address}" in last_line(done)


def test_a_damaged_bundle_is_a_one_line_error_naming_the_file(tmp_path):
    bundle = make_bundle(tmp_path / "damaged")
    (bundle / "tokenizer.json").write_text("{}")
    done = serve_in_vain(bundle, "--listen", "127.0.0.1:0", "--metrics-listen", "off")
    assert done.returncode == 1
    assert last_line(done).startswith(f"tipstaff: error: {bundle / 'tokenizer.json'}: checksum")
    assert "Traceback" not in done.stderr


def test_a_tokenizer_that_panics_is_a_one_line_error_naming_the_file(tmp_path):
    bundle = break_tokenizer(make_bundle(tmp_path / "panics"))
    done = serve_in_vain(bundle, "--listen", "127.0.0.1:0", "--metrics-listen", "off")
    assert done.returncode == 1
    assert last_line(done).startswith(f"tipstaff: error: {bundle / 'tokenizer.json'}: tokenizers")
    # Rust itself has said more before.
    assert "Traceback" not in done.stderr


def test_a_bundle_that_loads_but_cannot_be_run_is_a_one_line_error_naming_the_file(tmp_path):
    bundle = make_bundle(tmp_path / "foreign")
    # A tokenizer of more tokens than the graph has embeddings for.
    tokenizer = json.loads((bundle / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary |= {f"word{number}": len(vocabulary) + number for number in range(1000)}
    text = json.dumps(tokenizer)
    (bundle / "tokenizer.json").write_text(text)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["checksums"]["tokenizer.json"] = hashlib.sha256(text.encode()).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    done = serve_in_vain(bundle, "--listen", "127.0.0.1:0", "--metrics-listen", "off")
    assert done.returncode == 1
    expected = f"tipstaff: error: {bundle / 'model.fp32.onnx'}: can't be run: "
    assert last_line(done).startswith(expected)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("flag", "value"), [("--max-request-bytes", 16777216), ("--max-batch-items", 4096)]
)
def test_settings_work_at_the_ends_of_their_ranges(start, bundle, flag, value):
    server = start(bundle, flag, value)
    assert server.stub().Score(REQUEST, timeout=5).evaluator == "tiny"


def test_golden_scores_that_come_out_otherwise_are_said(start, tmp_path):
    server = start(make_bundle(tmp_path / "shifted", golden_shift=0.1))
    reply = server.stub().Score(REQUEST, timeout=5)
    assert pb.REASON_DEGRADED in reply.reasons
    assert "golden scores differ by 0.1" in server.log
    assert server.metric("tipstaff_evaluator_degraded", evaluator="tiny") == 1


def test_log_lines_as_json_and_never_the_text(start, bundle):
    server = start(bundle, "--log-format", "json", "--log-level", "debug")
    request = pb.ScoreRequest(output="something secret", request_id="find-me\n")
    server.stub().Score(request, timeout=5)
    server.wait_for_log("find-me?")
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert {"time", "level", "logger", "message"} == set(lines[0])
    assert "secret" not in server.log


def test_idling_takes_next_to_no_processor_time(start, bundle):
    server = start(bundle)
    process = psutil.Process(server.process.pid)
    time.sleep(0.5)
    before = process.cpu_times()
    time.sleep(3)
    after = process.cpu_times()
    assert after.user + after.system - before.user - before.system < 0.06
