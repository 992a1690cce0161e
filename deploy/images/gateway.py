"""The gateway's images: before a server, with TLS on both sides; and with a server inside.

A request that has begun when SIGTERM comes must be answered, and new ones must be turned away.
"""

from __future__ import annotations

import json
import signal
import ssl
import time
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

from images.builder import Builder, Image
from images.container import Container, Mount, free_port
from images.server import serving
from tipstaff import Client

IMAGE = Image("gateway", "gateway/Dockerfile")
KSERVE = Image("kserve", "gateway/Dockerfile", {"LOCK": "kserve"})
_QUESTION = {"output": "paris", "ground_truth": "paris"}
_BODY = json.dumps(_QUESTION).encode()


def check(builder: Builder, bundle: Path) -> str:
    """Checks the gateway's image in front of the server's; returns what it did."""
    with serving(builder, bundle) as server:
        port = free_port()
        words = [
            *("--target", server.address, "--target-ca", "/mnt/ca.pem"),
            *("--tls-certificate", "/mnt/localhost.pem", "--tls-key", "/mnt/localhost.key"),
            *_listen(port),
        ]
        mounts = [Mount(server.certificates, "/mnt", "private")]
        with Container(builder, IMAGE, words, mounts) as container, server.client() as client:
            container.wait_for("HTTPS on")
            container.check_confined()
            trusted = ssl.create_default_context(cafile=server.certificates / "ca.pem")
            connection = HTTPSConnection("localhost", port, timeout=10, context=trusted)
            _check_answers(connection, client)
            _check_leaving(container, connection)
    return "the server's own score over HTTPS; answered what had begun at SIGTERM; ended with 0"


def check_kserve(builder: Builder, bundle: Path) -> str:
    """Checks the image of gateway and server; returns what it did."""
    port = free_port()
    words = ["--bundles", "/mnt", *_listen(port)]
    with Container(builder, KSERVE, words, [Mount(bundle, "/mnt")], scratch=True) as container:
        container.wait_for("HTTP on")
        container.check_confined()
        connection = HTTPConnection("localhost", port, timeout=10)
        container.wait_until(lambda: _is_ready(connection))
        score = _score(connection)
        _check_leaving(container, connection)
    return f"ready for KServe, score {score:.4f}; answered what had begun at SIGTERM; ended with 0"


def _is_ready(connection: HTTPConnection) -> bool:
    connection.request("GET", "/v2/health/ready")
    with connection.getresponse() as response:
        response.read()
        return response.status == 200


def _listen(port: int) -> tuple[str, ...]:
    return (
        *("--listen", f"127.0.0.1:{port}", "--grpc-listen", f"127.0.0.1:{free_port()}"),
        *("--timeout", "10"),
    )


def _score(connection: HTTPConnection) -> float:
    connection.request("POST", "/v1/score", _BODY)
    return _read_score(connection)


def _read_score(connection: HTTPConnection) -> float:
    with connection.getresponse() as response:
        body = response.read()
        assert response.status == 200, (response.status, body)
    return float(json.loads(body)["score"])


def _check_answers(connection: HTTPConnection, client: Client) -> None:
    assert _score(connection) == client.score(**_QUESTION).score


def _check_leaving(container: Container, connection: HTTPConnection) -> None:
    score = _score(connection)
    connection.putrequest("POST", "/v1/score")
    connection.putheader("content-length", str(len(_BODY)))
    connection.endheaders(_BODY[:5])
    time.sleep(0.2)
    container.send(signal.SIGTERM)
    time.sleep(1.0)
    late = HTTPConnection("localhost", connection.port, timeout=10)
    try:
        late.connect()
    except ConnectionRefusedError:
        pass
    else:
        raise AssertionError("it takes new connections while it leaves")
    connection.send(_BODY[5:])
    assert _read_score(connection) == score
    container.finish()
