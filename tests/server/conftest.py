from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from running_server import Server, Starter
from tiny_bundle import make_bundle


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    starter = Starter(tmp_path)
    yield starter
    starter.stop()


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[Server]:
    """One server with two evaluators, shared by all tests that don't change it."""
    folder = tmp_path_factory.mktemp("server")
    two_fields = make_bundle(
        folder / "pair", name="pair", seed=1, order=("output", "input"), bias=4.0
    )
    starter = Starter(folder)
    yield starter(
        *(bundle, two_fields, "--max-request-bytes", 2000, "--max-batch-items", 8),
        *("--default-deadline-seconds", 5),
    )
    starter.stop()
