"""What the coverage-guided fuzzer found once, and what it begins with: nothing of it breaks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "fuzzing"))

import targets

FOUND = sorted(path for path in targets.CORPUS.rglob("*") if path.is_file())


@pytest.fixture(scope="module", autouse=True)
def _stopped():
    yield
    if targets.server.cache_info().currsize:
        targets.server()[0].stop()


@pytest.mark.parametrize("name", targets.TARGETS)
def test_the_input_to_begin_with_is_right(name):
    targets.TARGETS[name](targets.seed(name))


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_once_breaks_nothing(path):
    targets.TARGETS[path.parent.name](path.read_bytes())
