"""Training on text that the encoder can't read: said, refused, or forced."""

from __future__ import annotations

from dataclasses import replace

import pytest
from judge_rows import Recorder
from tiny_training import tiny_rows, train_bundle

from tipstaff import Reason, Verdict
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.manifest import Policy
from tipstaff_server.evaluator.policy import decide
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.errors import TrainingError
from tipstaff_trainer.evaluation.notices import doubts
from tipstaff_trainer.evaluation.predict import predict_all
from tipstaff_trainer.evaluation.scored import ScoredRows

THAI = {"red": "มันเป็นสีแดง", "blue": "มันเป็นสีน้ำเงิน", "green": "มันเป็นสีเขียว"}


def thai_rows(count: int, *, every: int = 1) -> list:
    """Tiny rows, whose outputs are in Thai: all of them, or only some."""
    rows = []
    for number, row in enumerate(tiny_rows(count)):
        output = row.interaction.output
        if number % every == 0:
            output = THAI[output.removeprefix("it is ")]
        rows.append(replace(row, interaction=replace(row.interaction, output=output)))
    return rows


def settings(base) -> TrainSettings:
    return TrainSettings(base=str(base), epochs=1, max_length=64, learning_rate=1e-3)


def test_a_text_in_a_script_that_the_encoder_does_not_know_is_refused(bert, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(TrainingError, match=r"can't read 100% of output \(Thai 100%\)") as raised:
        train_bundle(thai_rows(60), out, settings(bert))
    assert (raised.value.field, raised.value.value) == ("base", str(bert))
    assert "multilingual" in raised.value.remedy
    assert "{allow_unreadable}" in raised.value.remedy
    # Nothing is left that would hinder the next try.
    assert not out.exists()


def test_a_forced_training_says_so_and_its_evaluator_passes_no_such_output(bert, tmp_path):
    recorder = Recorder()
    rows = thai_rows(60)
    bundle = train_bundle(
        rows, tmp_path / "out", settings(bert), reporter=recorder, allow_unreadable=True
    )
    warnings = "\n".join(recorder.warnings)
    assert "can't read 100% of output (Thai 100%)" in warnings
    assert "60 of 60 rows hold more text that the encoder can't read than may pass" in warnings
    assert bundle.manifest.training.unread["output"].scripts == {"Thai": 1.0}
    card = (bundle.path / "card.md").read_text()
    assert "In these rows the encoder can't read 100% of output (Thai 100%)." in card

    evaluator = Evaluator.load(bundle.path)
    predictions = predict_all(evaluator, [row.interaction for row in rows])
    lax = Policy(pass_at=0, block_below=0)
    for prediction in predictions:
        assert Reason.UNREADABLE in prediction.reasons
        assert prediction.verdict is not Verdict.PASS
        assert decide(prediction.score, prediction.reasons, lax) is Verdict.REVIEW
    scored = ScoredRows.of(rows, predictions, [9] * len(rows))
    assert "60 of 60 rows hold more text that the encoder can't read than may pass" in doubts(
        scored, evaluator.graph
    )


def test_a_little_is_only_noted(bert, tmp_path):
    recorder = Recorder()
    train_bundle(thai_rows(60, every=12), tmp_path / "out", settings(bert), reporter=recorder)
    (note,) = [note for note in recorder.notes if "can't read" in note]
    assert "of output (Thai" in note
    assert "5 of 60 rows hold more text that the encoder can't read than may pass" in (
        recorder.warnings
    )
