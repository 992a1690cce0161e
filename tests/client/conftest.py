"""A real gRPC server that answers by script, and clients of both kinds to call it with."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from tipstaff import AsyncClient, Client
from tipstaff.v1 import scoring_pb2 as pb
from tipstaff.v1 import scoring_pb2_grpc as rpc


@dataclass
class Refusal:
    code: grpc.StatusCode
    details: str = "as the test wants it"
    pushback: str | None = None


class ScriptedService(rpc.ScoringServiceServicer):
    """Refuses calls in the scripted order, then answers; records every request."""

    def __init__(self) -> None:
        self.script: list[Refusal] = []
        self.delay = 0.0
        self.loses_items = False
        self.certificate: pb.Certificate | None = None
        self.verdict = pb.VERDICT_PASS
        self.requests: list[Any] = []
        self.remaining: list[float] = []
        self.arrived = threading.Event()
        self.cancelled = threading.Event()

    def _receive(self, request: Any, context: grpc.ServicerContext) -> None:
        self.requests.append(request)
        self.remaining.append(context.time_remaining())
        context.add_callback(lambda: None if context.is_active() else self.cancelled.set())
        self.arrived.set()
        if self.script:
            refusal = self.script.pop(0)
            if refusal.pushback is not None:
                context.set_trailing_metadata((("grpc-retry-pushback-ms", refusal.pushback),))
            context.abort(refusal.code, refusal.details)
        end = time.monotonic() + self.delay
        while time.monotonic() < end and context.is_active():
            time.sleep(0.005)

    def Score(self, request, context):  # noqa: N802
        self._receive(request, context)
        found = answer(request)
        found.verdict = self.verdict
        if self.certificate:
            found.certificate.CopyFrom(self.certificate)
        return found

    def ScoreBatch(self, request, context):  # noqa: N802
        self._receive(request, context)
        items = [self._item(each) for each in request.requests]
        return pb.ScoreBatchResponse(items=items[1:] if self.loses_items else items)

    def ListEvaluators(self, request, context):  # noqa: N802
        self._receive(request, context)
        return pb.ListEvaluatorsResponse(
            evaluators=[
                pb.EvaluatorInfo(
                    name="faithful",
                    version=3,
                    engine="int8/cpu",
                    criterion="Is it so?",
                    fields=["output", "ground_truth"],
                    pass_at=0.75,
                    block_below=0.25,
                    max_tokens=160,
                )
            ]
        )

    @staticmethod
    def _item(request: pb.ScoreRequest) -> pb.ScoreBatchItem:
        if request.output == "invalid":
            error = pb.ItemError(code=3, message="output: empty")
            return pb.ScoreBatchItem(error=error)
        if request.output == "too much":
            error = pb.ItemError(code=8, message="queue full", retry_after_ms=40)
            return pb.ScoreBatchItem(error=error)
        if request.output == "from the future":
            return pb.ScoreBatchItem()
        return pb.ScoreBatchItem(response=answer(request))


def answer(request: pb.ScoreRequest) -> pb.ScoreResponse:
    """The reply for one interaction; its highlight is the second word."""
    first, second, *_ = [*request.output.split(" "), "", ""]
    start, end = len(first) + 1, len(first) + 1 + len(second)
    return pb.ScoreResponse(
        request_id=request.request_id,
        evaluator=request.evaluator or "faithful",
        version=request.version or 3,
        engine="int8/cpu",
        score=0.875,
        verdict=pb.VERDICT_PASS,
        pass_at=0.75,
        block_below=0.25,
        reasons=[pb.REASON_UNCERTIFIED],
        coverage=[pb.FieldCoverage(field="ground_truth", tokens_scored=30, tokens_total=31)],
        highlights=[pb.Highlight(start=start, end=end, weight=0.5)] if request.explain else [],
        timing=pb.Timing(
            encode_seconds=0.001, queue_seconds=0.002, inference_seconds=0.003, total_seconds=0.006
        ),
    )


@dataclass
class ScriptedServer:
    """The service with its address; can be stopped and started again at the same one."""

    service: ScriptedService
    target: str
    credentials: grpc.ServerCredentials | None = None
    running: grpc.Server | None = None

    def start(self) -> None:
        # Without port reuse, a port that is still in use is an error and is not shared silently.
        options = [("grpc.so_reuseport", 0)]
        self.running = grpc.server(futures.ThreadPoolExecutor(16), options=options)
        rpc.add_ScoringServiceServicer_to_server(self.service, self.running)
        if self.credentials:
            port = self.running.add_secure_port(self.target, self.credentials)
        else:
            port = self.running.add_insecure_port(self.target)
        self.target = self.target.replace(":0", f":{port}")
        self.running.start()

    def stop(self) -> None:
        if self.running:
            self.running.stop(grace=0).wait()
            self.running = None


@pytest.fixture
def start_server() -> Iterator[Callable[..., ScriptedServer]]:
    """Starts servers, by default at a free port of this machine."""
    started: list[ScriptedServer] = []

    def start(target: str = "127.0.0.1:0", **kwargs: Any) -> ScriptedServer:
        server = ScriptedServer(ScriptedService(), target, **kwargs)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def server(start_server: Callable[..., ScriptedServer]) -> ScriptedServer:
    return start_server()


@pytest.fixture
def service(server: ScriptedServer) -> ScriptedService:
    return server.service


@pytest.fixture
def refuse(service: ScriptedService) -> Callable[..., None]:
    """Makes the next calls fail with a status code, given by name."""

    def script(code: str, *, times: int = 1, **kwargs: Any) -> None:
        service.script = [Refusal(grpc.StatusCode[code], **kwargs) for _ in range(times)]

    return script


class BlockingAsyncClient:
    """An AsyncClient driven from blocking code, so that both kinds pass the same tests."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._client = AsyncClient(*args, **kwargs)
        self._runner = asyncio.Runner()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, {"close": "aclose"}.get(name, name))
        if not callable(method):
            return method
        return lambda *args, **kwargs: self._runner.run(method(*args, **kwargs))

    def end(self) -> None:
        self.close()
        self._runner.close()


@pytest.fixture(params=["Client", "AsyncClient"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Makes a client of one kind or the other."""
    made: list[Any] = []

    def make(target: str, **kwargs: Any) -> Any:
        # Long enough for a busy machine, unless a test sets another.
        kwargs.setdefault("timeout", 5)
        kind = Client if request.param == "Client" else BlockingAsyncClient
        made.append(kind(target, **kwargs))
        return made[-1]

    yield make
    for client in made:
        client.close() if isinstance(client, Client) else client.end()


@pytest.fixture
def client(connect: Callable[..., Any], server: ScriptedServer) -> Any:
    return connect(server.target)
