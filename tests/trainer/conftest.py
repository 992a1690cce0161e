from __future__ import annotations

import numpy as np
import pytest
from tiny_training import tiny_base
from tools import require

from tipstaff import Interaction, Reason, Verdict
from tipstaff_server.evaluator import Prediction
from tipstaff_trainer.data import Row
from tipstaff_trainer.evaluation.scored import ScoredRows


@pytest.fixture(scope="session")
def bert(tmp_path_factory):
    """The folder of a tiny BERT."""
    return tiny_base("bert", tmp_path_factory.mktemp("bases") / "bert")


@pytest.fixture(scope="module")
def chromium():
    """Debian's chromium, driven by Playwright."""
    path = require("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def make_scored():
    """Makes rows with given scores, to test what reports make of them."""

    def make(labels, scores, *, cut=0.5, groups=None, **columns):
        rows, predictions = [], []
        for place, (label, score) in enumerate(zip(labels, scores, strict=True)):
            rows.append(
                Row(
                    Interaction(f"question {place}", f"answer {place}", f"truth {place}"),
                    label=float(label),
                    id=str(place),
                    group=str(place) if groups is None else str(groups[place]),
                    label_source="human",
                    extra={name: str(values[place]) for name, values in columns.items()},
                    place=f"rows.jsonl, row {place + 1}",
                )
            )
            verdict = Verdict.PASS if score >= cut else Verdict.BLOCK
            predictions.append(
                Prediction(
                    float(score), verdict, (Reason.UNCERTIFIED,), 0.0, np.zeros(1, np.float32)
                )
            )
        return ScoredRows.of(rows, predictions, [10 + place for place in range(len(rows))])

    return make


@pytest.fixture(scope="session")
def many(make_scored):
    """Two hundred rows of two systems, with scores that separate good from bad fairly well."""
    random = np.random.default_rng(3)
    labels = random.random(200) < 0.6
    scores = 1 / (1 + np.exp(-random.normal(2 * labels - 1, 1.2)))
    return make_scored(labels, scores, groups=np.arange(200) // 2, system=["one", "two"] * 100)
