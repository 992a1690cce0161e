"""A real desk in a process of its own, and a real browser."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from desk_forms import LOCAL
from running_server import command, wait_until
from starlette.testclient import TestClient

from tipstaff_trainer.desk.app import build
from tipstaff_trainer.desk.settings import DeskSettings
from tipstaff_trainer.workspace import Workspace


@dataclass
class RunningDesk:
    """A desk's process and its address."""

    process: subprocess.Popen[bytes]
    log_file: Path
    folder: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    @property
    def way_in(self) -> str:
        match = re.search(r"desk +(http://\S+)", self.log)
        assert match, self.log
        return match[1]

    @property
    def url(self) -> str:
        return self.way_in.partition("/?")[0].rstrip("/")

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


@pytest.fixture(scope="module")
def start_desk(tmp_path_factory) -> Iterator[Callable[..., RunningDesk]]:
    """Starts desks; afterwards stops them and their remaining jobs."""
    started: list[RunningDesk] = []

    def start(folder: Path, *words: object, **environment: str) -> RunningDesk:
        log_file = tmp_path_factory.mktemp("desk") / "log.txt"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                command("desk", folder, "--port", 0, *words),
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            )
        desk = RunningDesk(process, log_file, folder)
        started.append(desk)
        wait_until(lambda: "Ctrl-C" in desk.log or process.poll() is not None, 60)
        assert "Ctrl-C" in desk.log, desk.log
        return desk

    yield start
    for desk in started:
        desk.stop()
    for folder in {desk.folder for desk in started}:
        workspace = Workspace(folder)
        for job in workspace.stores.jobs.active():
            workspace.stores.jobs.stop(job.id)
        workspace.close()


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(tmp_path / "workspace")
    yield workspace
    workspace.close()


@pytest.fixture
def visit(workspace):
    """Makes a browser without scripts for a desk with the given settings."""

    def visit(base_url=LOCAL, **settings) -> TestClient:
        desk = build(workspace, DeskSettings(**settings))
        return TestClient(desk, base_url=base_url, follow_redirects=True)

    return visit
