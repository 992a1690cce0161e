from __future__ import annotations

import math
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from tipstaff import Interaction
from tipstaff.errors import UsageError
from tipstaff_trainer.data import Row
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.evaluation.baselines import gaps, probabilities
from tipstaff_trainer.evaluation.reference_metrics import (
    bleu,
    contains,
    custom_metric,
    exact_match,
    reference_metrics,
    rouge_l,
    token_f1,
    truthfulness,
)


def row(output, ground_truth=None, **extra):
    return Row(
        Interaction("a question", output, ground_truth),
        label=1.0,
        id="1",
        extra=extra,
        place="rows.csv, row 1",
    )


def test_exact_match_looks_past_case_punctuation_and_articles():
    assert exact_match("The Beatles!", ["Rolling Stones", "beatles"]) == 1
    assert exact_match("the Beatles of Liverpool", ["beatles"]) == 0


def test_token_f1_is_squads():
    # Precision: two of three words. Recall: two of two.
    assert token_f1("paris in France", ["Paris, France"]) == pytest.approx(2 * (2 / 3) / (5 / 3))
    assert token_f1("berlin", ["paris", "berlin"]) == 1
    assert token_f1("the", ["paris"]) == 0


def test_contains_takes_parts_of_words():
    assert contains("In 1979, on July 10.", ["July 10"]) == 1
    assert contains("Parisian", ["paris"]) == 1
    assert contains("Paris", ["?"]) == 0


def test_bleu_and_rouge_take_the_best_reference():
    for measure in (bleu, rouge_l):
        assert measure("the cat sat on the mat", ["a dog", "the cat sat on the mat"]) == (
            pytest.approx(1)
        )
        assert measure("the cat sat on the mat", ["a dog"]) < 0.1
    # The longest common subsequence has three of six and three of three words, by stems.
    assert rouge_l("the cats sat", ["the cat sat on the mat"]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("Привет, мир", "привет всем", "до свидания"),
        ("東京は日本の首都です。", "日本の首都は東京", "ありえない"),
        ("北京是中国的首都", "中国的首都", "我不知道"),
        ("กรุงเทพ", "กรุง", "ไม่"),
        ("नमस्ते दुनिया", "नमस्ते", "कुछ नहीं"),
        ("das Café", "DAS CAFE\u0301 dort", "nichts"),
    ],
)
def test_rouge_reads_any_script(text, near, far):
    assert rouge_l(text, [text]) == 1
    assert 0.3 < rouge_l(text, [near]) < 1
    assert rouge_l(text, [far]) == 0
    assert truthfulness(text, [text], [far]) == 1


def test_rouge_folds_case_before_it_takes_stems():
    assert rouge_l("Straßen", ["STRASSEN"]) == 1


@given(*[st.text(st.sampled_from(string.printable + "aeinst  " * 9), min_size=1)] * 2)
def test_rouge_of_ascii_is_what_it_is_by_default(output, reference):
    by_default = RougeScorer(["rougeL"], use_stemmer=True).score(reference, output)
    assert rouge_l(output, [reference]) == by_default["rougeL"].fmeasure


def test_truthfulness_is_a_difference():
    correct, incorrect = ["nothing happens"], ["you get bad luck", "you die"]
    assert truthfulness("nothing happens", correct, incorrect) == 1
    assert truthfulness("you die", correct, incorrect) == -1


def test_alternatives_are_parted_or_listed():
    by_sign = reference_metrics([], separator="/")["exact match"]
    assert by_sign(row("Rome", "Paris / Rome")) == 1
    assert reference_metrics([], separator=None)["exact match"](row("Rome", "Paris / Rome")) == 0
    listed = reference_metrics([], separator=None, correct="answers")["exact match"]
    assert listed(row("Rome", "x", answers='["Paris", "Rome"]')) == 1


def test_incorrect_answers_bring_truthfulqas_measure():
    metrics = reference_metrics([], separator=";", incorrect="wrong")
    name = "truthfulness (ROUGE-L)"
    assert metrics[name](row("you die", "nothing happens", wrong="bad luck; you die")) == -1
    assert math.isnan(metrics[name](row("you die", "nothing happens")))
    assert name not in reference_metrics([], separator=";")


@pytest.mark.parametrize("texts", [("", "a"), ("a", " "), (None, "a"), ("a", None)])
def test_without_output_or_reference_there_is_no_value(texts):
    for metric in reference_metrics([], separator="/").values():
        assert math.isnan(metric(row(*texts)))


def test_a_function_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_metrics_1.py").write_text(
        "def words(row):\n    return len(row['output'].split()) + float(row['bonus'])\n"
        "broken = lambda row: row['nothing']\nnumber = 3\n"
        "def text(row):\n    return 'very good'\n"
        "def ends(row):\n    raise SystemExit(3)\n"
    )
    (tmp_path / "my_metrics_2.py").write_text("def f(:\n")
    (tmp_path / "my_metrics_3.py").write_text("import math\nmath.nothing\ndef f(row): return 1\n")
    assert custom_metric("my_metrics_1:words")(row("one two", bonus="0.5")) == 2.5
    with pytest.raises(DataError, match=r"rows\.csv, row 1: my_metrics_1:broken raised KeyError"):
        custom_metric("my_metrics_1:broken")(row("one"))
    with pytest.raises(DataError, match=r'row 1: my_metrics_1:text returned "very good", which is'):
        custom_metric("my_metrics_1:text")(row("one"))
    with pytest.raises(DataError, match=r"my_metrics_1:ends raised SystemExit: 3"):
        custom_metric("my_metrics_1:ends")(row("one"))
    for name, words in (
        ("my_metrics_1", "name it as module:function"),
        ("no_such_metrics:f", "No module named"),
        ("my_metrics_1:f", "has no f"),
        ("my_metrics_2:f", "my_metrics_2 can't be imported: SyntaxError"),
        ("my_metrics_3:f", "my_metrics_3 can't be imported: AttributeError"),
        ("my_metrics_1:number", "is not a function"),
    ):
        with pytest.raises(UsageError, match=words):
            custom_metric(name)


def test_rows_that_a_metric_says_nothing_of_are_told():
    full, some, none = np.ones(4), np.array([1, math.nan, math.inf, 0]), np.full(4, math.nan)
    assert gaps({"exact match": full, "mine:f": full}) == []
    assert gaps({"exact match": full, "mine:f": none}) == [
        "mine:f gives no number for any row, so it is not in the report"
    ]
    (note,) = gaps({"exact match": full, "mine:f": some})
    assert note.endswith("of 4 rows mine:f has one for 2")
    # Rows without a reference have none of these values, which needs no note.
    assert gaps({"exact match": none, "BLEU": none}) == []


def test_a_value_becomes_a_probability_whatever_its_scale():
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 5)
    good = np.repeat(random.random(60) < 0.5, 5)
    values = good + random.normal(0, 0.3, 300)
    found = probabilities(values, good, groups)
    assert ((found >= 0.5) == good).mean() > 0.9
    assert np.isfinite(found).all()
    # The scale of the values changes nothing.
    assert probabilities(1000 * values + 5, good, groups) == pytest.approx(found, abs=1e-6)


def test_a_metric_that_is_the_same_everywhere_is_not_worse_than_nothing():
    # 80 of 150 are good; a fold without a group of good rows has a smaller share of good rows.
    good = np.arange(150) < 80
    found = probabilities(np.zeros(150), good, np.arange(150) // 5)
    assert found == pytest.approx(80 / 150)
