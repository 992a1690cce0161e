from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import auc
from tiny_bundle import make_bundle

from tipstaff.cli import main
from tipstaff.types import Interaction, Verdict
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.cases import Case, run_cases
from tipstaff_server.evaluator.manifest import BundleCertificate, Calibration, Policy, Windows
from tipstaff_trainer.errors import DataError, ReportError
from tipstaff_trainer.evaluation.baselines import metric_values
from tipstaff_trainer.evaluation.contents import make_report
from tipstaff_trainer.evaluation.curves import Curve
from tipstaff_trainer.evaluation.latency import measure_latency
from tipstaff_trainer.evaluation.learning import learning_curves
from tipstaff_trainer.evaluation.notices import doubts
from tipstaff_trainer.evaluation.reference_metrics import reference_metrics
from tipstaff_trainer.report.card import cuts_in_words, model_card
from tipstaff_trainer.report.page import (
    beaten,
    check_folder,
    report_card,
    report_page,
    summary,
    write_report,
)


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory):
    return Evaluator.load(make_bundle(tmp_path_factory.mktemp("bundles") / "b"))


@pytest.fixture
def calibrated(evaluator):
    return evaluator.graph.model_copy(update={"calibration": Calibration(method="platt", n=40)})


@pytest.fixture
def report(evaluator):
    def make(scored, **further):
        return make_report(evaluator, scored, bundle="bundle", data="rows.jsonl", **further)

    return make


def test_verdicts_are_counted_by_class(report, make_scored):
    found = report(make_scored([1, 1, 1, 0, 0], [0.9, 0.8, 0.2, 0.7, 0.1]))
    good, bad = found.cuts.confusion
    assert (good.passed, good.review, good.blocked) == (2, 0, 1)
    assert (bad.passed, bad.review, bad.blocked) == (1, 0, 1)
    assert found.cuts.false_pass.value == 0.5
    assert found.cuts.false_block.value == pytest.approx(1 / 3)


def test_mistakes_come_with_their_text_the_surest_first(report, make_scored):
    found = report(make_scored([0, 0, 0, 1, 1, 1], [0.6, 0.9, 0.2, 0.4, 0.1, 0.8]))
    assert [(each.score, each.output) for each in found.false_passes] == [
        (0.9, "answer 1"),
        (0.6, "answer 0"),
    ]
    assert [(each.score, each.place) for each in found.false_blocks] == [
        (0.1, "row 5"),
        (0.4, "row 4"),
    ]


def test_mistakes_show_what_each_sentence_stands_on(report, make_scored):
    scored = make_scored([0, 1], [0.9, 0.5])
    texts = Interaction(
        "how long?", "It takes 900 days. It is free.", "It takes 30 days to return."
    )
    wrong = replace(scored, rows=[replace(scored.rows[0], interaction=texts), scored.rows[1]])
    found = report(wrong)
    first, second = found.false_passes[0].sentences
    assert (first.text, first.passage) == ("It takes 900 days.", "It takes 30 days to return.")
    assert any("“900” for “30”" in each for each in first.contradictions)
    assert second.text == "It is free."
    page = report_page(found)
    assert "Against: number: “900” for “30”" in page
    without = replace(
        scored, rows=[replace(each, interaction=Interaction("a", "b")) for each in scored.rows]
    )
    assert report(without).false_passes[0].sentences == ()


def test_the_roc_curve_has_the_area_that_is_reported(report, many):
    found = report(many)
    assert auc(found.roc.x, found.roc.y) == pytest.approx(found.overall.auroc.value, abs=0.01)
    assert len(found.roc.x) <= 200


def test_the_reliability_bins_hold_every_row_once(report, many):
    bins = report(many).reliability
    assert sum(part.n for part in bins) == 200
    assert all(part.low <= part.score <= part.high for part in bins)
    assert sum(part.n * part.good for part in bins) == pytest.approx(many.good.sum())


def test_the_reliability_bins_take_soft_labels_as_they_are(report, make_scored):
    (part,) = report(make_scored([0.6] * 9 + [0.4], [0.65] * 10)).reliability
    assert part.good == pytest.approx(0.58)


def test_leaving_the_doubtful_to_a_person_ends_at_the_error_of_all(report, many):
    (curve,) = report(many).risk
    wrong = (many.scores >= 0.5) != many.good
    assert (curve.x[-1], curve.y[-1]) == (1, pytest.approx(wrong.mean(), abs=1e-4))
    assert curve.y[0] < curve.y[-1]


def test_slices_by_column_and_by_length(report, many):
    found = report(many, slice_by=["system"])
    by_system = [part for part in found.slices if part.by == "system"]
    assert [(part.value, part.n) for part in by_system] == [("one", 100), ("two", 100)]
    right = (many.scores >= 0.5) == many.good
    assert by_system[0].accuracy.value == pytest.approx(right[::2].mean())
    by_length = [part for part in found.slices if part.by == "length"]
    assert [(part.value, part.n) for part in by_length] == [
        ("1 to 32 tokens", 23),
        ("33 to 64 tokens", 32),
        ("65 to 128 tokens", 64),
        ("129 to 256 tokens", 81),
    ]


def test_a_value_of_several_lines_is_one_cell_of_the_cards_table(report, make_scored):
    found = report(make_scored([1, 0], [0.9, 0.2], system=["a\nb|c", "d"]), slice_by=["system"])
    assert "| system | a b\\|c | 1 |" in report_card(found)


def test_the_card_shows_what_rows_say_as_text(report, make_scored, evaluator):
    values = ["<script>alert(1)</script>", "a_b &lt; _c_ ![x](http://x?a&b) `d`"]
    case = Case(name="<b>*bold*</b>", expect="block", input="a", output="b", ground_truth="c")
    scored = make_scored([1, 0], [0.9, 0.2], system=values)
    (outcome,) = run_cases(evaluator, [case])
    failing = replace(outcome, verdict=Verdict.PASS)
    card = report_card(report(scored, slice_by=["system"], cases=[failing], warnings=["<i> says"]))
    assert "| system | \\<script\\>alert(1)\\</script\\> | 1 |" in card
    assert "| system | a_b \\&lt; \\_c\\_ !\\[x\\](http://x?a&b) \\`d\\` | 1 |" in card
    assert "- fails: \\<b\\>\\*bold\\*\\</b\\> (" in card
    assert "- \\<i\\> says" in card


def test_the_model_card_tells_the_cuts_of_each_graph(evaluator):
    manifest = evaluator.manifest
    (int8,) = manifest.graphs
    uncertified = "PASS from 0.5, BLOCK under 0.5. These cuts are not certified"
    assert f"\n\n{uncertified}" in model_card(manifest)
    certificate = BundleCertificate(
        max_false_pass=0.05, max_false_block=1, confidence=0.95, n=100, date="2026-01-01"
    )
    policy = Policy(pass_at=0.9, block_below=0.4, certificate=certificate)
    fp16 = int8.model_copy(update={"precision": "fp16", "device": "cuda", "policy": policy})
    card = model_card(manifest.model_copy(update={"graphs": (int8, fp16)}))
    assert f"\n- {int8.engine}: {uncertified}" in card
    assert (
        "\n- fp16/cuda: PASS from 0.9, BLOCK under 0.4, REVIEW between. Certified on 100 rows"
        in card
    )


def test_a_column_that_is_not_there_is_told_with_those_that_are(report, many):
    with pytest.raises(
        DataError, match=r'no row has a column "team" beside input, .*selection; there is system'
    ):
        report(many, slice_by=["team"])
    with pytest.raises(DataError) as error:
        report(many, slice_by=["group"])
    assert str(error.value) == (
        '"group" has a meaning of its own, as have input, output, ground_truth, label, id, weight, '
        "label_source, selection; there is system; choose another column"
    )


def test_one_class_and_few_rows_make_a_report_too(report, make_scored):
    scored = make_scored([1, 1], [0.9, 0.2])
    metrics = metric_values(scored.rows, reference_metrics(scored.rows, separator=None))
    found = report(scored, metrics=metrics)
    assert found.roc is None
    assert found.overall.auroc is None
    assert found.cuts.false_pass is None
    page = report_page(found)
    assert 'id="telling"' not in page
    assert "not defined" in report_card(found)
    assert summary(found).startswith("At its cuts, of 100 good ones")


@pytest.mark.parametrize(("label", "these", "others"), [(1, "good", "bad"), (0, "bad", "good")])
def test_rows_of_one_class_say_nothing_of_the_other(make_scored, calibrated, label, these, others):
    (doubt,) = doubts(make_scored([label] * 3, [0.9, 0.2, 0.6]), calibrated)
    assert doubt.startswith(
        f"all 3 rows are {these}, so nothing here shows the verdicts of {others} ones"
    )
    assert not doubts(make_scored([1, 0], [0.9, 0.2]), calibrated)


def test_few_groups_are_told_since_they_make_the_ranges_wide(make_scored, calibrated):
    labels, scores = [1, 0] * 15, [0.9, 0.2] * 15
    few = make_scored(labels, scores, groups=[place % 3 for place in range(30)])
    (doubt,) = doubts(few, calibrated)
    assert doubt.startswith("the 30 rows are in 3 groups, and rows of a group are not independent")
    assert not doubts(make_scored(labels, scores), calibrated)


def test_a_score_that_is_not_calibrated_is_told(make_scored, evaluator):
    graph = evaluator.graph.model_copy(update={"calibration": Calibration()})
    (doubt,) = doubts(make_scored([1, 0], [0.9, 0.2]), graph)
    assert doubt.startswith("the evaluator's score is not calibrated")


def test_a_summary_of_many_rows_is_no_range_from_a_number_to_itself(report, make_scored):
    labels = [0, 1] * 3000
    found = report(make_scored(labels, [0.9 if label else 0.1 for label in labels]))
    assert "of 100 bad outputs, hardly any pass" in summary(found)


def test_each_heading_of_the_card_stands_by_itself(report, make_scored, evaluator):
    case = Case(name="a", expect="review", input="a", output="b", ground_truth="c")
    scored = make_scored([1, 0] * 3, [0.9, 0.2] * 3, system=["a", "b"] * 3)
    card = report_card(
        report(
            scored,
            warnings=["a warning"],
            slice_by=["system"],
            cases=run_cases(evaluator, [case]),
            metrics={"zero": np.zeros(6)},
        )
    ).splitlines()
    headings = [place for place, line in enumerate(card) if line.startswith("## ")]
    assert len(headings) == 5
    assert all(card[place - 1] == card[place + 1] == "" for place in headings)


def test_the_page_stands_alone_and_escapes_what_rows_say(report, make_scored, evaluator):
    case = Case(name="<b>bold</b>", expect="review", input="a", output="b", ground_truth="c")
    scored = make_scored([0, 1, 0, 1] * 3, [0.9, 0.8, 0.3, 0.6] * 3, team=["<script>x", "b"] * 6)
    found = report(
        scored,
        slice_by=["team"],
        cases=run_cases(evaluator, [case]),
        metrics=metric_values(scored.rows, reference_metrics(scored.rows, separator=None)),
        latency=measure_latency(evaluator)[0],
        learning=[Curve(name="training loss", x_label="step", y_label="loss", x=(1, 2), y=(2, 1))],
        warnings=["beware"],
    )
    page = report_page(found)
    assert "<script" not in page
    assert "&lt;script&gt;x" in page
    assert "&lt;b&gt;bold" in page
    # The page loads nothing: its only URLs are XML namespaces.
    assert "https://" not in page
    assert {word for word in page.split('"') if word.startswith("http:")} <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert page.count("<svg") == 7
    # The plots use the page's colours, so they fit light and dark mode.
    assert "#0000f" not in page
    assert page.count('role="img"') == page.count("<svg")
    for words in ("beware", "Risk against coverage", "Time of one request", "Learning curve"):
        assert words in page


@pytest.mark.parametrize(("checked", "doubted"), [(False, True), (True, False), (None, False)])
def test_a_certificate_on_rows_that_nobody_compared_with_the_training_rows_says_so(
    checked, doubted, make_scored, tmp_path
):
    certificate = BundleCertificate(
        max_false_pass=0.05,
        max_false_block=1,
        confidence=0.95,
        n=100,
        date="2026-01-01",
        unseen_checked=checked,
    )
    bundle = make_bundle(tmp_path / "b", policy=Policy(certificate=certificate))
    found = make_report(
        Evaluator.load(bundle), make_scored([1, 0], [0.9, 0.2]), bundle="b", data="rows.jsonl"
    )
    for text in (report_page(found), report_card(found)):
        assert "Certified" in text
        assert ("nobody checked that it had seen none" in text) == doubted


def test_a_promise_is_told_as_it_was_made(make_scored, tmp_path, capsys):
    certificate = BundleCertificate(
        max_false_pass=0.0004, max_false_block=0.07, confidence=0.9995, n=9000, date="2026-01-01"
    )
    policy = Policy(pass_at=0.99998, block_below=0.5, certificate=certificate)
    bundle = make_bundle(tmp_path / "b", policy=policy)
    evaluator = Evaluator.load(bundle)
    page = report_page(
        make_report(evaluator, make_scored([1, 0], [0.9, 0.2]), bundle="b", data="rows.jsonl")
    )
    assert "with 99.95% confidence at most 0.04% of bad outputs pass" in page
    assert "at most 7% of good ones" in page
    card = model_card(evaluator.manifest)
    assert "at most 0.0004 of bad outputs" in card
    assert "confidence 0.9995" in card
    assert main(["inspect", str(bundle)]) == 0
    shown = capsys.readouterr().out
    assert "P(PASS | bad) at most 0.0004" in shown
    assert "confidence 0.9995" in shown
    # Nor is a threshold rounded to 1, which no score reaches.
    for text in (page, card):
        assert "PASS from 0.99998, BLOCK under 0.5, REVIEW between." in text
    assert "pass at 0.99998" in shown


def test_where_the_cuts_meet_nothing_is_between():
    assert cuts_in_words(Policy()) == "PASS from 0.5, BLOCK under 0.5."


def test_the_plots_of_one_page_share_no_ids(report, many):
    page = report_page(report(many))
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(|href=")#([\w-]+)', page)) <= set(ids)


def test_the_three_files_say_the_same(report, many, tmp_path):
    found = report(many, slice_by=["system"])
    page = write_report(found, tmp_path / "out")
    assert page == tmp_path / "out" / "index.html"
    data = json.loads((tmp_path / "out" / "report.json").read_text())
    accuracy = data["overall"]["accuracy"]["value"]
    assert accuracy == pytest.approx(found.overall.accuracy.value)
    card = (tmp_path / "out" / "card.md").read_text()
    for text in (page.read_text(), card):
        assert f"{accuracy:.1%}" in text
    assert "| system | two | 100 |" in card
    # A report may overwrite an older one.
    write_report(found, tmp_path / "out")


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(ReportError, match="holds other files"):
        check_folder(tmp_path)
    with pytest.raises(ReportError, match="is a file"):
        check_folder(tmp_path / "index.html")
    with pytest.raises(ReportError, match=r"can't be written: .*index\.html is a file"):
        check_folder(tmp_path / "index.html" / "deep" / "report")
    check_folder(tmp_path / "new" / "report")
    assert not (tmp_path / "new").exists()


def test_cheap_metrics_are_held_against_it(report, many):
    lengths = np.array([float(len(row.interaction.output)) for row in many.rows])
    found = report(many, metrics={"length": lengths})
    evaluator, length = found.baselines
    assert evaluator.name == "evaluator"
    assert evaluator.auroc == found.overall.auroc
    assert length.lead.value == pytest.approx(evaluator.auroc.value - length.auroc.value)
    assert length.lead.low > 0
    assert "ahead of each" in beaten(found)
    # Out of fold, an uninformative metric is no better than the share of good rows.
    share = many.good.mean()
    entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    assert length.cross_entropy == pytest.approx(entropy, abs=0.05)


def test_cheap_metrics_are_measured_against_soft_labels_as_the_evaluator_is(report, make_scored):
    labels = np.array([0.6, 0.2] * 100)
    found = report(make_scored(labels, labels), metrics={"nothing": np.zeros(200)})
    evaluator, nothing = found.baselines
    assert evaluator.cross_entropy == found.metrics["log_loss"]
    # A constant metric becomes the mean label, 0.4, not the share of labels of at least 0.5.
    expected = -(0.4 * np.log(0.4) + 0.6 * np.log(0.6))
    assert nothing.cross_entropy == pytest.approx(expected, abs=0.003)


def test_a_metric_as_good_is_not_beaten(report, many):
    found = report(many, metrics={"itself": many.scores})
    assert found.baselines[1].lead.value == 0
    assert "No difference that these rows can show: itself" in beaten(found)


def test_a_learning_curve_is_read_from_a_runs_lines(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text(
        '{"step": 1, "loss": 0.7}\n{"step": 2, "loss": 0.6}\n'
        '{"step": 2, "eval_calibrated_loss": 0.5, "eval_roc_auc": 0.8}\n{"step": 3, "lo'
    )
    loss, validation, auroc = learning_curves(file)
    assert (loss.x, loss.y) == ((1, 2), (0.7, 0.6))
    assert (validation.x, validation.y) == ((2,), (0.5,))
    assert auroc.name == "validation AUROC"
    assert learning_curves(tmp_path / "none") == ()


def test_latency_is_measured_at_each_length_for_each_evaluator(tmp_path):
    windows = Windows(output=8, ground_truth=12, max_runs=16)
    short = Evaluator.load(make_bundle(tmp_path / "a", max_length=32, windows=windows))
    dear = Evaluator.load(make_bundle(tmp_path / "b", max_length=64, run_cost=100))
    one, other = measure_latency(short, dear)
    assert [point.tokens for point in one] == [2**power for power in range(4, 13)]
    assert [point.tokens for point in other] == [16, 32, 64]
    assert [point.runs for point in one[:2]] == [1, 1]
    assert 1 < one[2].runs < one[3].runs
    assert one[-1].runs == 16
    assert other[0].median_ms > one[0].median_ms
    assert all(point.median_ms <= point.p90_ms for point in (*one, *other))
