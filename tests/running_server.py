"""Runs a real server in its own process, for tests."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from tipstaff.v1 import scoring_pb2_grpc

SERVING = health_pb2.HealthCheckResponse.SERVING


@dataclass
class Server:
    """A real server in its own process."""

    process: subprocess.Popen[bytes]
    log_file: Path
    _channels: list[grpc.Channel] = field(default_factory=list)

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    @property
    def address(self) -> str:
        return self._logged(r'gRPC on ([^\s"]+)')

    @property
    def metrics_url(self) -> str:
        return self._logged(r'metrics on ([^\s"]+)')

    def _logged(self, pattern: str) -> str:
        match = re.search(pattern, self.log)
        assert match, self.log
        return match[1]

    def channel(self, address: str | None = None) -> grpc.Channel:
        channel = grpc.insecure_channel(
            address or self.address, options=[("grpc.use_local_subchannel_pool", 1)]
        )
        self._channels.append(channel)
        return channel

    def stub(self) -> scoring_pb2_grpc.ScoringServiceStub:
        return scoring_pb2_grpc.ScoringServiceStub(self.channel())

    def health(self, service: str = "") -> int:
        stub = health_pb2_grpc.HealthStub(self.channel())
        return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status

    def scrape(self) -> str:
        with urllib.request.urlopen(self.metrics_url, timeout=5) as response:
            return response.read().decode()

    def metric(self, *names: str, **labels: str) -> float:
        """The sum of the samples of these names and labels in one scrape; 0 when there are none."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.scrape())
            for sample in family.samples
            if sample.name in names and labels.items() <= sample.labels.items()
        )

    def wait_for_log(self, text: str, seconds: float = 20) -> None:
        wait_until(lambda: text in self.log or self.process.poll() is not None, seconds)
        assert text in self.log, self.log

    def stop(self) -> int:
        for channel in self._channels:
            channel.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


def wait_until(holds: Callable[[], bool], seconds: float = 20) -> None:
    give_up_at = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up_at, "timed out"
        time.sleep(0.02)


def command(*words: object, script: str = "") -> list[str]:
    program = [str(Path(sys.executable).with_name("tipstaff"))]
    if script:
        run = "import sys; from tipstaff.cli import main; sys.exit(main())"
        program = [sys.executable, "-c", f"{script}\n{run}"]
    return [*program, *map(str, words)]


class Starter:
    """Starts servers, and stops all of them in `stop`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: list[Server] = []

    def __call__(
        self,
        *words: object,
        wait_for: str = "ready after",
        address: str = "127.0.0.1:0",
        script: str = "",
    ) -> Server:
        """Starts a server; `script` is Python that runs before it, in the same process."""
        log_file = self._folder / f"server-{len(self._servers)}.log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                command(
                    *("serve", "--listen", address, "--metrics-listen", "127.0.0.1:0"),
                    *("--lame-duck-seconds", 0, *words),
                    script=script,
                ),
                stderr=log,
            )
        server = Server(process, log_file)
        self._servers.append(server)
        if wait_for:
            server.wait_for_log(wait_for)
        return server

    def stop(self) -> None:
        for server in self._servers:
            try:
                # A killed process would lose what coverage counted in it.
                server.stop()
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait()
