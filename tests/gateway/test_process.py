"""The process: its own server, and addresses that can't be used."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import grpc
import pytest
from opening_hours import GOOD, WORDS, make_bundles
from running_server import Starter, command, wait_until

from tipstaff_server.access.authority import CertificatesRequest, make_certificates


def test_a_gateway_with_a_server_of_its_own(tmp_path, start_gateway):
    make_bundles(tmp_path / "models")
    gateway = start_gateway("--bundles", tmp_path / "models", "--timeout", 10)
    wait_until(lambda: gateway.get("/readyz").status_code == 200, 60)
    inputs = [{"name": "output", "shape": [1], "datatype": "BYTES", "data": [GOOD]}]
    response = gateway.post(f"/v2/models/{WORDS}/infer", {"inputs": inputs})
    assert response.json()["outputs"][1]["data"] == ["PASS"]
    words = ["pgrep", "-P", str(gateway.process.pid)]
    (child,) = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    os.kill(int(child), signal.SIGKILL)
    assert gateway.process.wait(timeout=30) == 1
    assert "server ended" in gateway.log


def test_a_signal_while_its_server_starts_ends_both(tmp_path):
    """Once, SIGTERM left the server behind."""
    folder = tmp_path / "models"
    make_bundles(folder)
    words = command("gateway", "--bundles", folder, "--listen", "127.0.0.1:0")
    gateway = subprocess.Popen(words, stderr=subprocess.PIPE)
    children = ["pgrep", "-P", str(gateway.pid)]
    wait_until(lambda: subprocess.run(children, capture_output=True).returncode == 0)
    (child,) = subprocess.run(children, capture_output=True, text=True).stdout.split()
    gateway.send_signal(signal.SIGTERM)
    _, log = gateway.communicate(timeout=30)
    assert (gateway.returncode, b"Traceback" in log) == (0, False)
    assert not Path(f"/proc/{child}").exists()


def test_evaluators_that_the_server_does_not_have_are_named_at_the_start(
    server, start_gateway, tmp_path
):
    """Once, a wrong name was noticed only by the first request."""
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(f'[nemo]\nevaluator = "word"\n[kserve]\nevaluator = "{WORDS}"\n')
    gateway = start_gateway(
        *("--target", server.address, "--evaluator", "ours", "--mapping", mapping)
    )
    tail = f"the server at {server.address} lists no such evaluator; it lists hours, unsure, words"
    gateway.wait_for_log(f"WARNING evaluator ours: {tail}")
    gateway.wait_for_log(f"WARNING evaluator of [nemo] word: {tail}")
    assert gateway.log.count("WARNING") == 2
    assert gateway.post("/v1/score", {"output": GOOD, "evaluator": WORDS}).status_code == 200


def test_evaluators_are_checked_once_the_server_is_there(start_gateway, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    gateway = start_gateway("--target", address, "--evaluator", "ours")
    assert gateway.get("/readyz").status_code == 503
    starter = Starter(tmp_path)
    try:
        server = starter(*make_bundles(tmp_path), address=address, wait_for="")
        server.wait_for_log("ready after", 180)
        gateway.wait_for_log(f"evaluator ours: the server at {address} lists no such evaluator")
    finally:
        starter.stop()
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.log


def test_a_server_that_does_not_list_its_evaluators_stops_no_gateway(scripted, start_gateway):
    service, address = scripted
    service.refusal = (grpc.StatusCode.UNAUTHENTICATED, "no token")
    try:
        gateway = start_gateway("--target", address, "--evaluator", "ours")
        gateway.wait_for_log("INFO whether the server has evaluator was not checked")
    finally:
        service.refusal = None
    assert gateway.post("/v1/score", {"output": GOOD}).status_code == 200
    assert "WARNING" not in gateway.log


# Breaks how files are followed while there is a file named `fault` beside them.
FAULTY = """
from tipstaff.access_files import Watched
poll = Watched.poll

def faulty(self):
    if self._paths[0].with_name("fault").exists():
        raise PermissionError(13, "Permission denied", "somewhere deep down")
    poll(self)

Watched.poll = faulty
"""


def test_an_error_that_nobody_foresaw_ends_no_poll_and_is_counted_and_logged_once(
    tmp_path, start_gateway
):
    request = CertificatesRequest(out=tmp_path, server=("127.0.0.1",))
    make_certificates(request)
    certificate, key = tmp_path / "127.0.0.1.pem", tmp_path / "127.0.0.1.key"
    gateway = start_gateway(
        *("--target", "127.0.0.1:9", "--tls-certificate", certificate, "--tls-key", key),
        *("--poll-seconds", 0.05),
        verify=ssl.create_default_context(cafile=tmp_path / "ca.pem"),
        script=FAULTY,
    )

    def failures() -> float:
        name = 'tipstaff_gateway_poll_failures_total{poll="tls"} '
        (line,) = (each for each in gateway.get("/metrics").text.splitlines() if name in each)
        return float(line.removeprefix(name))

    assert failures() == 0
    (tmp_path / "fault").touch()
    wait_until(lambda: failures() >= 3)
    assert gateway.log.count("polling tls failed") == gateway.log.count("Traceback") == 1
    (tmp_path / "fault").unlink()
    gateway.wait_for_log("polling tls succeeds again")
    make_certificates(request)
    gateway.wait_for_log("new TLS files are in force")
    assert gateway.stop() == 0


# Stands in for whatever ends gRPC's server, a moment after it has started.
ENDING = """
import asyncio
from tipstaff_gateway import process
start = process._start_rpc

async def and_end(*words):
    server = await start(*words)
    loop = asyncio.get_running_loop()
    loop.call_later(2, lambda: loop.create_task(server.stop(None)))
    return server

process._start_rpc = and_end
"""


def test_a_gateway_whose_grpc_ends_ends_too(start_gateway):
    """Once, it lived on, and Envoy had nobody to ask."""
    words = ("--target", "127.0.0.1:9", "--grpc-listen", "127.0.0.1:0")
    gateway = start_gateway(*words, script=ENDING)
    assert gateway.process.wait(timeout=60) == 1
    assert gateway.log.splitlines()[-1] == "tipstaff: error: the gRPC server ended"
    assert "Traceback" not in gateway.log


@pytest.mark.parametrize("flag", ["--listen", "--grpc-listen"])
def test_an_address_in_use_is_named(flag):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ["--target", "127.0.0.1:9", "--listen", "127.0.0.1:0", flag, address]
        done = subprocess.run(command("gateway", *words), capture_output=True, text=True)
    assert done.returncode == 2
    assert f"{flag} {address}: can't be listened on" in done.stderr.splitlines()[-1]


def test_a_mistake_in_the_words_is_one_line():
    done = subprocess.run(command("gateway"), capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "tipstaff: error: there is no server to ask; give either --target or --bundles\n"
    )
