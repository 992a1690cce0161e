from __future__ import annotations

import pytest
from tiny_training import tiny_tokenizer

from tipstaff import Interaction
from tipstaff_server.evaluator.encoding import Encoder
from tipstaff_server.evaluator.manifest import Encoding, Windows
from tipstaff_trainer.data import Row
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.distil.window_sizes import choose_windows
from tipstaff_trainer.errors import TrainingError

ALL = ("output", "ground_truth", "input")


def rows_of(given: int, output: int, truth: int) -> list[Row]:
    texts = ("the " * length for length in (given, output, truth))
    return [Row(Interaction(*texts), label=1.0, id="a")]


def chosen(rows, order=ALL, max_length=512, **settings) -> Windows | None:
    encoding = Encoding(
        order=order, marks="overlap", max_length=max_length, cls_id=2, sep_id=3, pad_id=0
    )
    tokenizer = tiny_tokenizer().backend_tokenizer.to_str()
    return choose_windows(rows, Encoder(tokenizer, encoding), TrainSettings(**settings))


@pytest.mark.parametrize(
    ("lengths", "windows"),
    [
        ((10, 20, 30), (128, 64)),
        ((10, 20, 200), (128, 200)),
        ((10, 150, 100), (300, 100)),
        # 508 tokens of text in total; input and output get at most a quarter each.
        ((80, 140, 900), (127, 301)),
        ((900, 900, 900), (127, 254)),
    ],
)
def test_windows_are_as_long_as_the_texts_learnt_from(lengths, windows):
    found = chosen(rows_of(*lengths))
    assert (found.output, found.ground_truth) == windows
    assert found.max_runs == 64


def test_windows_are_longer_where_training_lengthens_rows():
    found = chosen(rows_of(10, 20, 30), lengthened=0.1)
    assert (found.output, found.ground_truth) == (128, 128)
    found = chosen(rows_of(10, 20, 30), max_length=128, lengthened=0.1)
    assert (found.output, found.ground_truth) == (31, 83)


def test_windows_are_shorter_where_most_long_texts_have_to_be_cut():
    found = chosen(rows_of(10, 20, 900), lengthened=0.1)
    assert (found.output, found.ground_truth, found.close_up) == (128, 192, None)
    short, whole, long = (rows_of(10, 20, length) for length in (30, 300, 900))
    assert chosen([*short * 5, *long, *whole], lengthened=0.1).ground_truth == 371
    assert chosen([*short * 5, *long * 2, *whole], lengthened=0.1).ground_truth == 192
    # What fits into a run stays whole.
    assert chosen(rows_of(10, 20, 350), lengthened=0.1).ground_truth == 350
    assert chosen(rows_of(10, 20, 900), max_length=2000, lengthened=0.1).ground_truth == 900


@pytest.mark.parametrize(("truth", "close_up"), [(3, 16), (30, 30), (128, None), (200, None)])
def test_a_close_up_is_as_long_as_the_texts_learnt_from(truth, close_up):
    found = chosen(rows_of(10, 20, truth), lengthened=0.1)
    assert (found.handicap, found.close_up) == (8, close_up)
    short = chosen(rows_of(10, 20, truth))
    assert (short.handicap, short.close_up) == (0, None)


@pytest.mark.parametrize("max_length", [16, 20, 64, 300, 8192])
@pytest.mark.parametrize("order", [ALL, ("output", "input"), ("ground_truth",), ("output",)])
def test_windows_fit_into_a_run(max_length, order):
    found = chosen(rows_of(400, 400, 400), order, max_length)
    Encoding(order=order, marks="off", max_length=max_length, cls_id=1, sep_id=1, pad_id=0,
             windows=found)  # fmt: skip


def test_what_was_asked_for_counts():
    found = chosen(rows_of(10, 20, 30), output_window=40, ground_truth_window=99, max_runs=5)
    assert found == Windows(output=40, ground_truth=99, max_runs=5)
    for asked in ({"ground_truth_window": 500, "output_window": 20}, {"ground_truth_window": 507}):
        with pytest.raises(TrainingError, match=r"max_length 512: windows .*; choose a larger one"):
            chosen(rows_of(10, 20, 30), **asked)


def test_one_run_means_cutting_and_an_input_alone_has_no_windows():
    assert chosen(rows_of(10, 20, 30), max_runs=1) is None
    assert chosen(rows_of(10, 20, 30), order=("input",)) is None
