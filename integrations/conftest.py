"""What the tests of all integrations share: a client of the server that `run.py` started."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tipstaff import Client
from tipstaff.integrations import Guard

QUESTION = "open sunday"
FACTS = "open monday closed sunday"
GOOD = "closed sunday"
BAD = "open sunday"


@pytest.fixture(scope="session")
def target() -> str:
    return os.environ["TIPSTAFF_TARGET"]


@pytest.fixture(scope="session")
def client(target: str) -> Iterator[Client]:
    with Client(target, evaluator="hours", timeout=10) as client:
        yield client


@pytest.fixture
def guard(client: Client):
    """Makes guards."""

    def make(**options) -> Guard:
        return Guard(client, **options)

    return make
