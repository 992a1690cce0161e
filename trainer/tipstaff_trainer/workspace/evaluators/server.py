"""The server that the playground asks: the workspace's own, or another running server."""

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
# Longer than an application's: people wait, and long texts take time.
_TIMEOUT = 5.0
# An explanation takes up to 64 more runs than a score.
_EXPLAINED_TIMEOUT = 15.0


class ScoringServer:
    """Scores interactions with a running server.

    Args:
        jobs: The workspace's jobs; its own server is one of them.
        repository: The repository that its own server serves.
        address: Another server's address; None to use the workspace's own.
    """

    def __init__(self, jobs: Jobs, repository: Path, address: str | None) -> None:
        self._jobs = jobs
        self._repository = repository
        self._other_address = address
        self._clients: dict[str, Client] = {}

    @property
    def own(self) -> bool:
        """Whether the server is the workspace's own job."""
        return self._other_address is None

    def job(self) -> Job | None:
        """The job of the workspace's own server, if it runs."""
        latest = self._jobs.recent(kind="serve", limit=1)
        return latest[0] if latest and latest[0].active else None

    def start(self, *, who: str = "") -> Job:
        """Starts the workspace's own server, unless it is running."""
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
        """The server's address; None if no server runs, or while it starts."""
        if self._other_address is not None:
            return self._other_address
        running = self.job()
        if running is None:
            return None
        matches = _LISTENS.findall(self._jobs.log(running.id, most=10**6))
        return matches[-1] if matches else None

    def score(self, name: str, interaction: Interaction, *, explain: bool = False) -> Score:
        """Scores an interaction.

        Args:
            name: The evaluator's name.
            interaction: The texts to score.
            explain: Also find the words of the output that lowered the score; takes seconds.

        Raises:
            WorkspaceError: No server is running.
            ScoringError: The server gave no score.
        """
        address = self.address()
        if address is None:
            raise WorkspaceError("no server is running: start it, and try again in a moment")
        return self._client(address).score(
            input=interaction.input,
            output=interaction.output,
            ground_truth=interaction.ground_truth,
            evaluator=name,
            explain=explain,
            timeout=_EXPLAINED_TIMEOUT if explain else None,
        )

    def serves(self) -> dict[str, int]:
        """The evaluators that the server has loaded, with their versions; empty if it is down."""
        address = self.address()
        if address is None:
            return {}
        try:
            evaluators = self._client(address).evaluators(timeout=1.0)
            return {each.name: each.version for each in evaluators}
        except ScoringError:
            return {}

    def close(self) -> None:
        """Closes the connections; the server keeps running."""
        for client in self._clients.values():
            client.close()

    def _client(self, address: str) -> Client:
        client = self._clients.get(address)
        if client is None:
            client = self._clients[address] = Client(address, timeout=_TIMEOUT)
        return client
