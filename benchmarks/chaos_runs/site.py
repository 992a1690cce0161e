"""Two servers of one repository, with TLS and tokens, that faults may do anything to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from chaos_runs.harm import Victims
from tipstaff import TLS, Interaction
from tipstaff_server import repository
from tipstaff_server.access.authority import CertificatesRequest, make_certificates
from tipstaff_server.access.tokens import hash_token, new_token
from tipstaff_server.evaluator import Evaluator

NAME = "tiny"
TEXTS = tuple(
    Interaction(f"{place} is it", f"{place} is the capital of {country}", f"{country} in {place}")
    for place in ("paris", "london", "sunday", "refund")
    for country in ("france", "england", "euro")
)
_START_SECONDS = 300.0


@dataclass
class Server:
    """One server, at an address that stays the same when it is started again."""

    port: int
    health_port: int
    words: tuple[str, ...]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Its gRPC address."""
        return f"127.0.0.1:{self.port}"

    def start(self, log: Path | None = None, clock: Path | None = None) -> None:
        """Starts it, without waiting.

        Args:
            log: Where its log goes, instead of its own file.
            clock: A file that says by how many seconds its clock is wrong.
        """
        program = str(Path(sys.executable).with_name("tipstaff"))
        with (log or self.log).open("ab") as stderr:
            self.process = subprocess.Popen(
                [
                    *(program, "serve", *self.words, "--listen", self.address),
                    *("--health-listen", f"127.0.0.1:{self.health_port}"),
                ],
                stdin=subprocess.DEVNULL,
                stderr=stderr,
                env=os.environ | (_false_clock(clock) if clock else {}),
            )

    def wait(self) -> None:
        """Waits until it serves.

        Raises:
            RuntimeError: It doesn't.
        """
        give_up = time.monotonic() + _START_SECONDS
        with grpc.insecure_channel(f"127.0.0.1:{self.health_port}") as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            while time.monotonic() < give_up:
                try:
                    if check(b"", timeout=1.0) == b"\x08\x01":
                        return
                except grpc.RpcError:
                    pass
                time.sleep(0.05)
        ending = "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])
        raise RuntimeError(f"the server at {self.address} doesn't serve:\n{ending}")

    def send(self, number: int) -> None:
        """Sends a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGKILL) -> None:
        """Ends it, and waits for that."""
        if self.process is not None and self.process.poll() is None:
            self.send(signal.SIGCONT)
            self.send(number)
            self.process.wait(timeout=60)


@dataclass
class Site:
    """The servers, their repository, certificates and callers.

    Attributes:
        folder: Holds all files.
        expected: Scores by version and text, computed alone, in this process.
    """

    folder: Path
    servers: list[Server] = field(default_factory=list)
    expected: dict[tuple[int, int], float] = field(default_factory=dict)
    ordinary_token: str = field(default_factory=new_token)
    flooder_token: str = field(default_factory=new_token)

    @property
    def repository(self) -> Path:
        """The repository's folder."""
        return self.folder / "repository"

    @property
    def target(self) -> str:
        """Both servers, as a target of the client."""
        return "ipv4:" + ",".join(server.address for server in self.servers)

    @property
    def clock(self) -> Path:
        """The file that says by how many seconds the clock of a server that follows it is wrong."""
        return self.folder / "clock"

    @property
    def victims(self) -> Victims:
        """The servers, as those see them who do harm."""
        return Victims(self.target, self.tls, self.flooder_token, NAME)

    @property
    def tls(self) -> TLS:
        """What a client needs to reach the servers."""
        return TLS(self.folder / "certs" / "ca.pem", server_name="localhost")

    def build(self, bundles: list[Path]) -> None:
        """Makes the files, and starts the servers."""
        for bundle in bundles:
            repository.publish(bundle, self.repository)
            version = len(repository.versions(self.repository, NAME))
            evaluator = Evaluator.load(bundle)
            for index, text in enumerate(TEXTS):
                self.expected[version, index] = evaluator.score(text).score
        repository.set_serving(self.repository, NAME, 1)
        self.renew_certificates()
        self.write_callers(flooder=True)
        words = (
            *("--repository", str(self.repository), "--metrics-listen", "off"),
            *("--poll-seconds", "0.3", "--lame-duck-seconds", "1", "--workers", "1"),
            *("--tls-certificate", str(self.folder / "certs" / "localhost.pem")),
            *("--tls-key", str(self.folder / "certs" / "localhost.key")),
            *("--callers", str(self.folder / "callers.toml")),
        )
        for number in range(2):
            log = self.folder / f"server-{number}.log"
            self.servers.append(Server(_free_port(), _free_port(), words, log))
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait()

    def renew_certificates(self) -> None:
        """Replaces the servers' certificate by a new one of the same authority."""
        make_certificates(CertificatesRequest(out=self.folder / "certs"))

    def shift_clock(self, seconds: int) -> None:
        """Shifts the clock of the servers that follow the file."""
        staging = self.clock.with_name("clock.new")
        staging.write_text(f"{seconds:+}\n")
        staging.replace(self.clock)

    def write_callers(self, *, flooder: bool) -> None:
        """Writes the file of callers, with or without the one that floods."""
        text = f'[callers.ordinary]\ntokens = ["{hash_token(self.ordinary_token)}"]\n'
        if flooder:
            text += f'[callers.flooder]\ntokens = ["{hash_token(self.flooder_token)}"]\n'
        staging = self.folder / "callers.new"
        staging.touch(mode=0o600)
        staging.write_text(text)
        staging.replace(self.folder / "callers.toml")

    def close(self) -> None:
        """Ends the servers."""
        for server in self.servers:
            server.end()


def faketime() -> Path | None:
    """The library that shifts a process's clock; None if it isn't installed."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def _false_clock(file: Path) -> dict[str, str]:
    """The environment of a process whose clock follows a file; its monotonic clock doesn't."""
    return {
        "LD_PRELOAD": str(faketime()),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def open_files(pid: int) -> int:
    """How many files a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
