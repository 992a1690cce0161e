"""A real gateway in its own process, in front of a real server."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opening_hours import NAME, make_bundles
from running_server import Server, Starter, command, wait_until

from tipstaff.v1 import scoring_pb2 as pb
from tipstaff.v1 import scoring_pb2_grpc


@dataclass
class Gateway:
    """A gateway in its own process."""

    process: subprocess.Popen[bytes]
    log_file: Path
    http: httpx.Client

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    @property
    def url(self) -> str:
        return str(self.http.base_url)

    @property
    def grpc_address(self) -> str:
        match = re.search(r"gRPC on (\S+)", self.log)
        assert match, self.log
        return match[1]

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.http.get(path, **options)

    def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        """Posts JSON, or bytes as they are."""
        kind = "content" if isinstance(body, bytes) else "json"
        return self.http.post(path, **{kind: body}, **options)

    def wait_for_log(self, text: str) -> None:
        wait_until(lambda: text in self.log or self.process.poll() is not None)
        assert text in self.log, self.log

    def stop(self) -> int:
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


class GatewayStarter:
    """Starts gateways, and stops all of them in `stop`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._gateways: list[Gateway] = []

    def __call__(
        self, *words: object, verify: Any = True, wait_for: str = "HTTP", script: str = ""
    ) -> Gateway:
        """Starts a gateway; `script` is Python that runs before it, in the same process."""
        log_file = self._folder / f"gateway-{len(self._gateways)}.log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                command("gateway", "--listen", "127.0.0.1:0", *words, script=script), stderr=log
            )
        pattern = rf"{wait_for}S? on (\S+),"
        wait_until(
            lambda: re.search(pattern, log_file.read_text()) or process.poll() is not None, 60
        )
        match = re.search(pattern, log_file.read_text())
        assert match, log_file.read_text()
        http = httpx.Client(base_url=match[1], timeout=20, verify=verify)
        gateway = Gateway(process, log_file, http)
        self._gateways.append(gateway)
        return gateway

    def stop(self) -> None:
        for gateway in self._gateways:
            gateway.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    starter = Starter(folder)
    server = starter(*make_bundles(folder), "--default-deadline-seconds", 5, wait_for="")
    server.wait_for_log("ready after", 180)
    yield server
    starter.stop()


@pytest.fixture(scope="session")
def gateway(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway, shared by all tests that don't change it."""
    starter = GatewayStarter(tmp_path_factory.mktemp("gateway"))
    yield starter(
        *("--target", server.address, "--grpc-listen", "127.0.0.1:0", "--evaluator", NAME),
        *("--timeout", 10, "--max-body-bytes", 20_000),
    )
    starter.stop()


@pytest.fixture(scope="module")
def start_shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayStarter]:
    """Starts gateways that the tests of a file share."""
    starter = GatewayStarter(tmp_path_factory.mktemp("shared"))
    yield starter
    starter.stop()


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[GatewayStarter]:
    starter = GatewayStarter(tmp_path)
    yield starter
    starter.stop()


@dataclass
class ScriptedService(scoring_pb2_grpc.ScoringServiceServicer):
    """Answers PASS, or refuses or hangs if a test says so. Keeps each call's metadata and time."""

    refusal: tuple[grpc.StatusCode, str] | None = None
    pushback: str = ""
    hangs: bool = False
    waiting: int = 0
    metadata: list[dict[str, str]] = field(default_factory=list)
    remaining: list[float] = field(default_factory=list)
    feedback: list[Any] = field(default_factory=list)

    def ListEvaluators(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._refuse(context)
        return pb.ListEvaluatorsResponse()

    def ScoreBatch(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._refuse(context)
        return pb.ScoreBatchResponse()

    def SubmitFeedback(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._refuse(context)
        self.feedback.append(request)
        return pb.SubmitFeedbackResponse(matches=1)

    def Score(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.metadata.append(dict(context.invocation_metadata()))
        self.remaining.append(context.time_remaining())
        if self.hangs:
            ended = threading.Event()
            context.add_callback(ended.set)
            self.waiting += 1
            ended.wait(60)
            self.waiting -= 1
        self._refuse(context)
        return pb.ScoreResponse(evaluator="scripted", score=0.9, verdict=pb.VERDICT_PASS)

    def _refuse(self, context: grpc.ServicerContext) -> None:
        if self.refusal:
            if self.pushback:
                context.set_trailing_metadata((("grpc-retry-pushback-ms", self.pushback),))
            context.abort(*self.refusal)


@pytest.fixture(scope="module")
def scripted() -> Iterator[tuple[ScriptedService, str]]:
    """A server that answers by script, and its address."""
    service = ScriptedService()
    running = grpc.server(futures.ThreadPoolExecutor(4))
    scoring_pb2_grpc.add_ScoringServiceServicer_to_server(service, running)
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    yield service, f"127.0.0.1:{port}"
    running.stop(0).wait()


@pytest.fixture(scope="module")
def scripted_gateway(
    scripted: tuple[ScriptedService, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ScriptedService, Gateway]]:
    service, address = scripted
    starter = GatewayStarter(tmp_path_factory.mktemp("scripted"))
    yield service, starter("--target", address, "--timeout", 2, "--grpc-listen", "127.0.0.1:0")
    starter.stop()


@pytest.fixture
def refuse(scripted_gateway: tuple[ScriptedService, Gateway]) -> Iterator[Callable[..., Gateway]]:
    """Makes the server refuse, and gives the gateway in front of it."""
    service, gateway = scripted_gateway

    def script(code: str, pushback: str = "") -> Gateway:
        service.refusal, service.pushback = (grpc.StatusCode[code], "by script"), pushback
        return gateway

    yield script
    service.refusal = None
