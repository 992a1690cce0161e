"""The version before scores the rows that are new to it."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_bundle import make_bundle

from tipstaff import Interaction
from tipstaff.errors import UsageError
from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.data import Row, hash_training_rows
from tipstaff_trainer.operations.previous import scores_before
from tipstaff_trainer.operations.train import TrainRequest
from tipstaff_trainer.progress import Reporter

ROWS = [
    Row(Interaction("capital", f"paris {word}", "paris"), label=1.0, id=word, group=word)
    for word in ("refund", "order", "parcel", "card")
]


class Warnings(Reporter):
    def __init__(self):
        self.messages = []

    def warn(self, message, *, remedy=""):
        self.messages.append(message)


@pytest.fixture
def reporter():
    return Warnings()


def test_rows_that_it_was_trained_on_get_no_score(tmp_path, reporter):
    bundle = make_bundle(tmp_path / "b", seen=hash_training_rows(ROWS[:2]))
    scores = scores_before(bundle, reporter)(ROWS)
    assert np.isnan(scores).tolist() == [True, True, False, False]
    assert scores[2] == Evaluator.load(bundle).score(ROWS[2].interaction).score
    assert not reporter.messages


def test_one_that_knows_all_rows_or_not_its_own_is_told(tmp_path, reporter):
    knows_all = make_bundle(tmp_path / "all", seen=hash_training_rows(ROWS))
    assert np.isnan(scores_before(knows_all, reporter)(ROWS)).all()
    assert scores_before(make_bundle(tmp_path / "old"), reporter)(ROWS) is None
    (tmp_path / "damaged").mkdir()
    assert scores_before(tmp_path / "damaged", reporter)(ROWS) is None
    why = ("trained on all of these rows", "doesn't know the rows", "manifest.json: missing")
    for words, message in zip(why, reporter.messages, strict=True):
        assert "not compared with" in message
        assert words in message


def test_without_one_there_is_nothing_to_compare_with(reporter):
    assert scores_before(None, reporter) is None


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(UsageError, match="no such folder") as raised:
        TrainRequest.parse({"name": "a", "previous": str(tmp_path / "nowhere")})
    assert raised.value.field == "previous"
