from __future__ import annotations

import pytest
from judge_rows import Recorder
from judge_server import JudgeServer

from tipstaff_trainer.judge.ledger import Ledger
from tipstaff_trainer.judge.settings import JudgeSettings


@pytest.fixture
def server():
    with JudgeServer() as server:
        yield server


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


@pytest.fixture
def judge(server):
    """Settings of a judge on the local server."""

    def judge(**settings):
        return JudgeSettings(**{"model": "judge-1", "base_url": server.url} | settings)

    return judge


@pytest.fixture
def recorder():
    return Recorder()
