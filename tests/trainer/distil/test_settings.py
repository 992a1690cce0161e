from __future__ import annotations

import pytest
from pydantic import ValidationError

from tipstaff_trainer.distil.settings import TrainSettings


def test_small_data_gets_more_epochs_and_wide_encoders_smaller_steps():
    small = TrainSettings().resolve(rows=200, hidden_size=384)
    large = TrainSettings().resolve(rows=20_000, hidden_size=1024)
    assert small.epochs > large.epochs
    assert small.learning_rate > large.learning_rate
    assert small.head_rate_factor > large.head_rate_factor
    assert small.validation_size > large.validation_size
    assert small.batch_size < large.batch_size


def test_long_rows_get_fewer_epochs():
    short, long = (TrainSettings().resolve(rows=400, hidden_size=384, words=n) for n in (60, 1000))
    assert short == TrainSettings().resolve(rows=400, hidden_size=384)
    assert (short.epochs, long.epochs) == (10, 3.1)


def test_what_was_given_stands():
    given = TrainSettings(
        epochs=1, learning_rate=0.01, head_rate_factor=2, validation_size=0.3, batch_size=7
    )
    found = given.resolve(rows=10, hidden_size=64)
    assert (found.epochs, found.learning_rate, found.batch_size) == (1, 0.01, 7)
    assert (found.head_rate_factor, found.validation_size) == (2, 0.3)


@pytest.mark.parametrize("off", [{"epochs": 0}, {"batch_size": 0}, {"seed": -1}, {"speed": 9}])
def test_settings_that_make_no_sense_are_refused(off):
    with pytest.raises(ValidationError):
        TrainSettings(**off)
