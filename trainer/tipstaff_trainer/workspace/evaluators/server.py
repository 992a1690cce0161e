"""The server that the playground asks: one that runs elsewhere, or one of the workspace's own."""

from __future__ import annotations

import re
from pathlib import Path

from tipstaff import Client, Score
from tipstaff.errors import ScoringError
from tipstaff.types import Interaction
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import Job
from tipstaff_trainer.workspace.jobs.store import Jobs

_LISTENS = re.compile(r"gRPC on (\S+)")
# People wait longer than applications do; long texts take their time.
_TIMEOUT = 5.0
# Servers that desks elsewhere may have started since ours.
_LATEST = 50
# Up to 64 runs more than a score's.
_EXPLAINED_TIMEOUT = 15.0


class Serving:
    """Scores by a running server.

    Args:
        jobs: Where the workspace's own server runs.
        repository: What it serves.
        address: Of a server that runs elsewhere, None for the workspace's own.
    """

    def __init__(self, jobs: Jobs, repository: Path, address: str | None) -> None:
        self._jobs = jobs
        self._repository = repository
        self._elsewhere = address
        self._clients: dict[str, Client] = {}

    @property
    def own(self) -> bool:
        """Whether the server is the workspace's own."""
        return self._elsewhere is None

    def job(self) -> Job | None:
        """The workspace's own server, if it runs."""
        started = self._jobs.recent(kind="serve", limit=_LATEST)
        latest = [job for job in started if self._jobs.is_here(job)][:1]
        return latest[0] if latest and latest[0].active else None

    def start(self, *, who: str = "") -> Job:
        """Starts the workspace's own server, unless it runs."""
        running = self.job()
        if running is not None:
            return running
        self._repository.mkdir(parents=True, exist_ok=True)
        return self._jobs.start("serve", "Serve the repository", {"listen": "127.0.0.1:0"}, who=who)

    def stop(self) -> None:
        """Stops the workspace's own server."""
        running = self.job()
        if running is not None:
            self._jobs.stop(running.id)

    def address(self) -> str | None:
        """Where the server answers; None while there is none, or while it starts."""
        if self._elsewhere is not None:
            return self._elsewhere
        running = self.job()
        if running is None:
            return None
        found = _LISTENS.findall(self._jobs.log(running.id, most=10**6))
        return found[-1] if found else None

    def score(self, name: str, interaction: Interaction, *, explain: bool = False) -> Score:
        """Asks the server.

        Args:
            name: The evaluator's.
            interaction: What to score.
            explain: Also ask which words of the output lowered the score, which takes seconds.

        Raises:
            WorkspaceError: No server runs.
            ScoringError: It gave no score.
        """
        address = self.address()
        if address is None:
            raise WorkspaceError("no server runs yet: start it, and try again in a moment")
        return self._client(address).score(
            input=interaction.input,
            output=interaction.output,
            ground_truth=interaction.ground_truth,
            evaluator=name,
            explain=explain,
            timeout=_EXPLAINED_TIMEOUT if explain else None,
        )

    def serves(self) -> dict[str, int]:
        """The evaluators that the server has loaded, with their versions; none when it is down."""
        address = self.address()
        if address is None:
            return {}
        try:
            found = self._client(address).evaluators(timeout=1.0)
            return {each.name: each.version for each in found}
        except ScoringError:
            return {}

    def close(self) -> None:
        """Closes the connections; the server goes on."""
        for client in self._clients.values():
            client.close()

    def _client(self, address: str) -> Client:
        client = self._clients.get(address)
        if client is None:
            client = self._clients[address] = Client(address, timeout=_TIMEOUT)
        return client
