from __future__ import annotations

import json
from dataclasses import astuple

import numpy as np
import pytest
from tiny_bundle import word_tokenizer
from tiny_training import tiny_rows, train_bundle

from tipstaff.types import FIELDS
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.encoding import Encoder
from tipstaff_server.evaluator.manifest import MANIFEST_FILE, Encoding, Windows
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.export.golden import (
    candidates_of_rows,
    choose_golden,
    made_up_candidates,
)


def encoder(*order, windows=None):
    return Encoder(
        word_tokenizer().to_str(),
        Encoding(
            order=order,
            marks="words",
            max_length=64,
            cls_id=2,
            sep_id=3,
            pad_id=0,
            windows=windows,
        ),
    )


def by_length(encoded):
    return np.array([1 / (1 + len(each)) for each in encoded])


@pytest.mark.parametrize("count", [0, 1, 2, 3, 8, 40])
@pytest.mark.parametrize("order", [("output", "ground_truth", "input"), ("input",)])
def test_as_many_as_were_asked_for_with_the_fields_that_are_read(order, count):
    golden = choose_golden(made_up_candidates(encoder(*order), count), by_length)
    assert len(golden) == count
    assert all(getattr(item, name) is None for item in golden for name in {*FIELDS} - {*order})
    assert all(any(getattr(item, name) for name in order) for item in golden)


def test_made_up_texts_take_every_path_of_the_encoding():
    windows = Windows(output=24, ground_truth=24, max_runs=20)
    long = encoder("output", "ground_truth", "input", windows=windows)
    encoded = [each for kind in made_up_candidates(long, 8) for each in kind.encoded[: kind.count]]
    assert any(len(each.runs) > 2 for each in encoded)
    assert any(each.missing for each in encoded)
    assert any(each.runs[0].marks.any() for each in encoded)
    assert len({len(each) for each in encoded}) > 3
    texts = [item.output for kind in made_up_candidates(long, 8) for item in kind.interactions]
    assert any(not text.isascii() for text in texts if text)
    # Without windows they are cut.
    cut = made_up_candidates(encoder("output", "ground_truth"), 8)
    assert any(each.partial for kind in cut for each in kind.encoded)


def test_they_are_the_same_each_time():
    once, again = (made_up_candidates(encoder("output"), 8) for _ in range(2))
    assert [kind.interactions for kind in once] == [kind.interactions for kind in again]


def test_high_and_low_scores_are_taken():
    rows = tiny_rows(300)
    encoded = [encoder("output").encode(row.interaction) for row in rows]
    scores = {id(each): place / 300 for place, each in enumerate(encoded)}
    golden = choose_golden(
        candidates_of_rows(rows, encoded, 5),
        lambda some: np.array([scores[id(each)] for each in some]),
    )
    assert [round(item.score, 1) for item in golden] == [0.0, 0.2, 0.5, 0.7, 1.0]
    assert golden[0].output == rows[0].interaction.output


@pytest.mark.parametrize("texts", ["made-up", "rows"])
def test_a_bundle_holds_texts_of_its_rows_only_if_asked_to(bert, tmp_path, texts):
    rows, out = tiny_rows(60), tmp_path / "bundle"
    settings = TrainSettings(base=str(bert), epochs=1, max_length=64, learning_rate=1e-3)
    train_bundle(rows, out, settings, golden_texts=texts)
    bundle = Bundle.open(out)
    contents = [(out / name).read_bytes() for name in (*bundle.manifest.checksums, MANIFEST_FILE)]
    held = [
        text
        for row in rows
        for text in astuple(row.interaction)
        if any(text.encode() in content for content in contents)
    ]
    assert bool(held) is (texts == "rows")
    if texts == "rows":
        golden = json.loads((out / "manifest.json").read_text())["graphs"][0]["golden"]
        assert {item["output"] for item in golden} <= {row.interaction.output for row in rows}
    evaluator = Evaluator.load(out)
    evaluator.warm_up()
    assert evaluator.degraded == ""
    assert len({item.score for item in evaluator.graph.golden}) > 3
