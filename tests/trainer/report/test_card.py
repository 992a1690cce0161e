from __future__ import annotations

import pytest
from tiny_bundle import make_bundle

from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.manifest import Calibration, Parity, Windows
from tipstaff_server.evaluator.quality import Interval, Quality
from tipstaff_trainer.report.card import model_card


@pytest.fixture
def card(tmp_path):
    """Makes the card of a tiny bundle whose graph has a calibration."""

    def make(calibration, *, metrics=("test",), **further):
        manifest = Bundle.open(make_bundle(tmp_path / "b", **further)).manifest
        graph = manifest.graphs[0].model_copy(update={"calibration": calibration})
        parts = {name: {"n": 100, "accuracy": 0.9} for name in metrics}
        return model_card(manifest.model_copy(update={"graphs": (graph,), "metrics": parts}))

    return make


def test_a_calibrated_score_is_a_probability(card):
    text = card(Calibration(method="platt", n=40))
    assert "Its score is the probability that the output is good." in text
    assert "stopped and calibrated on 0 others" in text
    assert "Its score is calibrated on 40 validation rows." in text


def test_a_score_that_is_not_calibrated_is_said_to_be_no_probability(card):
    text = card(Calibration(), metrics=("validation", "test"))
    assert "Its score is higher for better outputs, but no probability" in text
    assert "is the probability" not in text
    assert "rows, stopped on 0 others" in text
    assert "these rows stopped the training." in text
    assert "and calibrated" not in text
    assert "Its score is not calibrated: there were too few validation rows of both" in text


def test_the_validation_numbers_are_said_to_be_optimistic_where_there_are_any(card):
    calibrated = Calibration(method="platt", n=40)
    text = card(calibrated, metrics=("validation", "test"))
    said = "The validation numbers are optimistic: these rows stopped and calibrated the training."
    assert f"| accuracy | 0.900 | 0.900 |\n\n{said}\n\n" in text
    assert "optimistic" not in card(calibrated)


def test_the_main_figures_have_their_intervals_and_doubts_are_said(tmp_path):
    manifest = Bundle.open(make_bundle(tmp_path / "b")).manifest
    share = Interval(value=0.8, low=0.55, high=0.93, n=20)
    quality = Quality(n=20, good=12, accuracy=share, auroc=None)
    changes = {"metrics": {"test": {"n": 20, "accuracy": 0.8}}, "quality": {"test": quality}}
    text = model_card(manifest.model_copy(update=changes))
    assert "| accuracy (95 % interval) | 0.800 (0.550 to 0.930) |\n" in text
    assert "AUROC (95" not in text
    assert "It was measured on only 20 test rows (12 good, 8 bad), too few to rely on." in text


def test_layers_that_stay_in_fp32_are_counted(tmp_path):
    manifest = Bundle.open(make_bundle(tmp_path / "b")).manifest
    parity = Parity(n=100, changed=0.01, changed_low=0, largest_logit_difference=0.1)
    graph = manifest.graphs[0].model_copy(
        update={"precision": "int8", "wide_layers": ("a", "b"), "parity": parity}
    )
    text = model_card(manifest.model_copy(update={"graphs": (graph,)}))
    assert "over 100 rows. Its int8 products would change more, so 2 linear layers stay" in text


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (("output", "ground_truth"), "windows of 8 (output) and 12 (ground truth), 16 runs"),
        (("output", "input"), "windows of 8 (output), 16 runs"),
    ],
)
def test_windows_are_told_of_the_fields_that_it_reads(order, said, card):
    windows = Windows(output=8, ground_truth=12, max_runs=16)
    assert said in card(Calibration(), order=order, windows=windows)
