"""The contenders: Tipstaff over gRPC, peers over HTTP, each in its own processes."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from comparison.loadgen import Answer, NoAnswer
from comparison.processes import Processes
from tipstaff import AsyncClient, Interaction
from tipstaff.errors import DeadlineError, OverloadedError, ScoringError, TipstaffError

_START_SECONDS = 300.0
_REFUSING = (429, 503)
_PORTS = range(20_000, 30_000)


class ContenderError(TipstaffError):
    """A contender can't take part; the message has the end of its log."""


class Contender(ABC):
    """A server that scores the requests of a workload.

    Attributes:
        name: Its name in the tables.
        settings: Its settings and the reasons for them, for the records.
        processes: Its processes, while it runs.
    """

    processes: Processes

    def __init__(self, name: str, settings: Mapping[str, object], logs: Path) -> None:
        self.name = name
        self.settings = dict(settings)
        self._log = logs / f"{name}.log"
        self._log.unlink(missing_ok=True)

    async def start(self, cores: Sequence[int], deadline: float | None = None) -> None:
        """Starts the contender on these cores and waits for its first answer.

        Args:
            cores: The only cores it may use.
            deadline: How long callers wait, in seconds; some contenders have a setting for it.

        Raises:
            ContenderError: It doesn't start.
        """
        port = _free_port()
        command, environment = self._command(port, len(cores), deadline)
        self.processes = Processes(command, cores=cores, environment=environment, log=self._log)
        await self._connect(port)
        give_up = time.monotonic() + _START_SECONDS
        while True:
            try:
                await self.ask(0, 30.0)
                break
            except NoAnswer as error:
                if not self.processes.running or time.monotonic() > give_up:
                    await self.stop()
                    raise ContenderError(f"{self.name}: {error}\n{self.log_end()}") from error
                await asyncio.sleep(0.5)
        # Pinned again: libraries that count the host's cores pin their threads to any of them.
        self.processes.keep_to(cores)

    async def stop(self) -> None:
        """Stops the contender's processes."""
        await self._disconnect()
        await asyncio.to_thread(self.processes.stop)

    def log_end(self) -> str:
        """Returns the last lines of its log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])

    @abstractmethod
    async def ask(self, request: int, seconds: float) -> Answer:
        """Asks for the score of one request within a deadline in seconds.

        Raises:
            NoAnswer: No answer came in time.
        """

    @abstractmethod
    def _command(
        self, port: int, cores: int, deadline: float | None
    ) -> tuple[list[str], dict[str, str]]:
        """The command to run, and its environment variables."""

    @abstractmethod
    async def _connect(self, port: int) -> None: ...

    @abstractmethod
    async def _disconnect(self) -> None: ...


class Tipstaff(Contender):
    """`tipstaff serve` with its defaults."""

    def __init__(
        self,
        bundle: Path,
        interactions: Sequence[Interaction],
        settings: Mapping[str, object],
        logs: Path,
    ) -> None:
        super().__init__("tipstaff", settings, logs)
        self._bundle = bundle
        self._interactions = interactions

    async def ask(self, request: int, seconds: float) -> Answer:
        """Asks over gRPC, with the deadline on the call."""
        return await ask_tipstaff(self._client, self._interactions[request], seconds)

    def _command(
        self, port: int, cores: int, deadline: float | None
    ) -> tuple[list[str], dict[str, str]]:
        tipstaff = Path(sys.executable).with_name("tipstaff")
        listen = f"127.0.0.1:{port}"
        return [
            *(str(tipstaff), "serve", str(self._bundle)),
            *("--listen", listen, "--metrics-listen", "127.0.0.1:0"),
        ], {}

    async def _connect(self, port: int) -> None:
        self._client = AsyncClient(f"127.0.0.1:{port}")

    async def _disconnect(self) -> None:
        await self._client.aclose()


async def ask_tipstaff(client: AsyncClient, interaction: Interaction, seconds: float) -> Answer:
    """Scores one interaction within a deadline in seconds.

    Raises:
        NoAnswer: There is no score; `refused` if the server rejected the request at once.
    """
    try:
        score = await client.score(
            input=interaction.input,
            output=interaction.output,
            ground_truth=interaction.ground_truth,
            timeout=seconds,
        )
    except ScoringError as error:
        # The server also rejects a deadline at once that it can't meet even without load.
        unmeetable = isinstance(error, DeadlineError) and error.code == "FAILED_PRECONDITION"
        refused = unmeetable or isinstance(error, OverloadedError)
        raise NoAnswer(error.code, refused=refused) from None
    assert score.score is not None
    assert score.timing is not None
    return Answer(score.score, score.timing.encode + score.timing.inference)


@dataclass(frozen=True, slots=True)
class Launch:
    """How a peer is started.

    Attributes:
        python: The Python of its environment.
        model: The model folder.
        port: Where to listen, on this machine only.
        cores: How many it may use.
        deadline: How long callers wait, in seconds; None without a limit.
    """

    python: Path
    model: Path
    port: int
    cores: int
    deadline: float | None


@dataclass(frozen=True, slots=True)
class PeerSpec:
    """How a peer is run and called.

    Attributes:
        name: Its name in the tables.
        requirements: The NAME of `peers/NAME.txt`, its pinned requirements.
        command: Makes the command to run.
        environment: Makes its environment variables.
        path: The route that scores.
        body: Makes the request body for an interaction.
        score: Reads the score from the reply.
        settings: Its settings and the reasons for them.
    """

    name: str
    requirements: str
    command: Callable[[Launch], list[str]]
    path: str
    body: Callable[[Interaction], object]
    score: Callable[[Any], float]
    settings: Mapping[str, object]
    environment: Callable[[Launch], dict[str, str]] = field(default=lambda launch: {})


class HttpPeer(Contender):
    """A peer that takes JSON over HTTP, on persistent connections."""

    def __init__(
        self,
        spec: PeerSpec,
        interactions: Sequence[Interaction],
        *,
        python: Path,
        model: Path,
        logs: Path,
    ) -> None:
        super().__init__(spec.name, spec.settings, logs)
        self._spec = spec
        self._python = python
        self._model = model
        self._cache = logs / "hf"
        self._bodies = [json.dumps(spec.body(each)).encode() for each in interactions]

    async def ask(self, request: int, seconds: float) -> Answer:
        """Asks over HTTP; closes the connection at the deadline."""
        try:
            async with self._session.post(
                self._url,
                data=self._bodies[request],
                timeout=aiohttp.ClientTimeout(total=seconds),
            ) as response:
                content = await response.read()
        except TimeoutError:
            raise NoAnswer("DEADLINE_EXCEEDED") from None
        except aiohttp.ClientError as error:
            raise NoAnswer(type(error).__name__) from None
        if response.status != 200:
            refused = response.status in _REFUSING
            raise NoAnswer(f"HTTP {response.status}", refused=refused)
        return Answer(self._spec.score(json.loads(content)))

    def _command(
        self, port: int, cores: int, deadline: float | None
    ) -> tuple[list[str], dict[str, str]]:
        launch = Launch(self._python, self._model, port, cores, deadline)
        environment = {
            # Neither downloads nor telemetry.
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "DO_NOT_TRACK": "1",
            "INFINITY_ANONYMOUS_USAGE_STATS": "0",
            "HF_HOME": str(self._cache),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MODEL": str(self._model),
            **self._spec.environment(launch),
        }
        return self._spec.command(launch), environment

    async def _connect(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}{self._spec.path}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            headers={"Content-Type": "application/json"},
        )

    async def _disconnect(self) -> None:
        await self._session.close()


def _free_port() -> int:
    # Not from the kernel's ephemeral range: a client that connects to such a port before a server
    # listens there may get that same port as its source port, and so be connected to itself.
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ContenderError(f"no free port from {_PORTS.start} to {_PORTS.stop}")
