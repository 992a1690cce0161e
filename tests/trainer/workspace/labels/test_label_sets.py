"""The same rows judged by two criteria: labels by one never count for the other."""

from __future__ import annotations

import csv
import random

import pytest
from sqlalchemy import select

from tipstaff.errors import UsageError
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.judge.labelling import JudgedRow
from tipstaff_trainer.progress import Reporter
from tipstaff_trainer.workspace.db.models import Label
from tipstaff_trainer.workspace.db.rows import to_data_row
from tipstaff_trainer.workspace.labels.log import NewLabel, record
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS
from tipstaff_trainer.workspace.operations import runner
from tipstaff_trainer.workspace.operations.examples import reviewed_examples
from tipstaff_trainer.workspace.operations.label_sink import LabelSink
from tipstaff_trainer.workspace.operations.reporter import JobReporter
from tipstaff_trainer.workspace.review.selection import choose

ROWS = 60


@pytest.fixture
def both(workspace, dataset):
    """A person labels every row faithful and not correct; the judges label the opposite."""
    label_sets = [
        workspace.add_criterion(dataset, name) for name in ("faithfulness", "correctness")
    ]
    rows = [row.id for row in workspace.stores.datasets.rows(label_sets[0])]
    with workspace.stores.database.writing() as session:
        for labels, value in zip(label_sets, (1.0, 0.0), strict=True):
            name = labels.criterion
            for row in rows[:40]:
                record(session, row, name, NewLabel(1 - value, "judge", f"judge of {name}"))
            for row in rows[:20]:
                new = NewLabel(value, "human", "ann", "pilot", reason=f"for {name}")
                record(session, row, name, new)
    return [workspace.label_set(dataset, each.criterion) for each in label_sets]


@pytest.fixture(autouse=True)
def correctness(workspace):
    workspace.stores.criteria.save("correctness", criterion="It is correct.", prompt="{output}")


def human_labels(workspace, labels):
    return {row.label for row in workspace.stores.datasets.rows(labels, only="human")}


def test_effective_labels_and_counts_are_by_criterion(workspace, dataset, both):
    faithful, correct = both
    assert (human_labels(workspace, faithful), human_labels(workspace, correct)) == ({1.0}, {0.0})
    for labels, good in ((faithful, 20), (correct, 20)):
        counts = (labels.labelled, labels.human, labels.judge, labels.good, labels.disputed)
        assert counts == (40, 20, 20, good, 0)
        assert len(workspace.stores.datasets.page(labels, only="judge", size=ROWS).rows) == 20
        assert len(workspace.stores.datasets.page(labels, only="unlabelled", size=ROWS).rows) == 20
        row = next(workspace.stores.datasets.rows(labels))
        log = workspace.stores.datasets.labels(row.id, labels)
        assert [each.who for each in log] == [f"judge of {labels.criterion}", "ann"]
        assert row.last_label_id == log[-1].id
        assert not any(each.concurrent for each in log)
    third = workspace.add_criterion(dataset, "toxicity")
    assert (third.labelled, list(workspace.stores.datasets.rows(third, only="human"))) == (0, [])


def test_a_data_set_with_several_criteria_needs_one_named(workspace, dataset, both, tmp_path):
    file = tmp_path / "rows.csv"
    for call in (
        lambda **options: workspace.label_set(dataset, **options),
        lambda **options: workspace.label_dataset(dataset, model="m", **options),
        lambda **options: workspace.review_queue(dataset, **options),
        lambda **options: workspace.fine_tune_model(dataset, model_name="a", **options),
        lambda **options: workspace.score_dataset(dataset, None, **options),
        lambda **options: workspace.evaluate_dataset(dataset, "a", **options),
        lambda **options: workspace.download_dataset(dataset, file, **options),
    ):
        with pytest.raises(WorkspaceError, match="choose one of 'faithfulness', 'correctness'"):
            call()
        with pytest.raises(WorkspaceError, match="'funny'"):
            call(criterion="funny")
    assert not workspace.stores.jobs.recent()
    assert not file.exists()
    assert len(workspace.stores.datasets.get(dataset).label_sets) == 2


def test_the_criterion_of_a_file_s_labels_is_set_by_somebody(workspace, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    file = tmp_path / "rows.csv"
    file.write_text("output,label\na,1\nb,0\n")
    unset = workspace.upload_dataset(file)
    with pytest.raises(WorkspaceError, match="the criterion of its labels is not set"):
        workspace.label_dataset(unset, criterion="toxicity", model="m")
    with pytest.raises(WorkspaceError, match="has no criterion yet"):
        workspace.label_dataset(unset, model="m")
    labels = workspace.set_criterion(unset, "correctness")
    assert (labels.criterion, labels.labelled, labels.good) == ("correctness", 2, 1)
    assert [row.label for row in workspace.stores.datasets.rows(labels)] == [1.0, 0.0]
    # A job or a page from before the criterion was set keeps working with the same labels.
    assert workspace.label_set(unset, "").criterion == "correctness"
    assert workspace.add_criterion(unset, "toxicity").labelled == 0
    with pytest.raises(WorkspaceError, match="by 'correctness', 'toxicity' already"):
        workspace.set_criterion(unset, "faithfulness")
    named = workspace.upload_dataset(file, name="named", criterion="toxicity")
    assert workspace.label_set(named).criterion == "toxicity"
    with pytest.raises(WorkspaceError, match="no criterion 'funny'"):
        workspace.upload_dataset(file, name="more", criterion="funny")


def test_a_label_from_before_the_criterion_was_set_is_refused(workspace, labels, dataset):
    row = next(workspace.stores.datasets.rows(labels))
    workspace.set_criterion(dataset, "faithfulness")
    with (
        pytest.raises(WorkspaceError, match="open them again"),
        workspace.stores.database.writing() as session,
    ):
        record(session, row.id, "", NewLabel(1.0, "human", "ann"))


def test_each_criterion_has_its_own_review_queue(workspace, both):
    faithful, correct = both
    assert len(workspace.stores.reviews.queue(faithful, {"random": ROWS}, seed=0)) == 40
    assert workspace.stores.reviews.progress(correct).total == 0
    assert workspace.stores.reviews.claim(correct, "ann") is None
    # Each draw is over all rows, independent of the other.
    assert len(workspace.stores.reviews.queue(correct, {"random": ROWS}, seed=1)) == 40
    for labels, value in ((faithful, 1.0), (correct, 0.0)):
        item = workspace.stores.reviews.claim(labels, "ann")
        workspace.stores.reviews.submit(item.id, value, who="ann", based_on_label_id=0)
        row = workspace.stores.datasets.row(item.row_id, labels)
        assert (row.label, row.selection) == (value, "random")
    # In each draw: the 20 that a person had labelled before, and the one just now.
    drawn = [
        sum(row.selection == "random" for row in workspace.stores.datasets.rows(labels))
        for labels in both
    ]
    assert drawn == [21, 21]
    assert workspace.stores.reviews.undo(correct, who="ann") is not None
    assert workspace.stores.reviews.progress(faithful).done == 1


def test_rows_are_ranked_by_the_criterion_s_own_judges(workspace, both):
    """The other criterion's judge disagrees everywhere, and does not count."""
    faithful, correct = both
    with workspace.stores.database.writing() as session:
        for labels in both:
            rows = choose(
                session,
                labels,
                {"ranked": 5, "disputed": 5},
                rank_by="disagreement",
                generator=random.Random(0),
            )
            assert not any("judge 2" in each.why for each in rows)
            assert not any(each.selection == "disputed" for each in rows)
    workspace.stores.scores.add(faithful, OTHER_ROWS, {1: 0.5})
    workspace.stores.scores.add(correct, ("tiny", 1), {1: 0.5})
    assert workspace.stores.scores.counts(faithful) == {OTHER_ROWS: 1, ("tiny", 1): 1}
    assert workspace.stores.scores.counts(correct) == {("tiny", 1): 1}
    workspace.stores.scores.delete(correct, OTHER_ROWS)
    assert OTHER_ROWS in workspace.stores.scores.counts(faithful)


def test_a_judge_s_examples_and_labels_are_by_its_criterion(workspace, both):
    for labels, value in zip(both, (1.0, 0.0), strict=True):
        examples = reviewed_examples(workspace.stores, labels, 20, Reporter())
        assert examples
        assert {row.label for row in examples} == {value}
        notes = {text for row in examples for text in row.extra.values() if "for " in text}
        assert notes == {f"for {labels.criterion}"}
    # A label is recorded unless the row has the same label by the same criterion already.
    for index, expected in ((0, [60, 40]), (1, [60, 60]), (0, [60, 60])):
        store = LabelSink(workspace.stores.database, both[index], 1)
        for row in list(workspace.stores.datasets.rows(both[0]))[40:]:
            store(JudgedRow(to_data_row(row), 1.0, "verdict", "", "", "gpt", "c", "h"))
        store.flush()
        counts = [workspace.label_set(each.dataset, each.criterion).labelled for each in both]
        assert counts == expected
    with workspace.stores.database.reading() as session:
        criteria = session.scalars(
            select(Label.criterion).where(Label.who == "gpt").order_by(Label.id)
        ).all()
    assert criteria == ["faithfulness"] * 20 + ["correctness"] * 20


def test_jobs_train_measure_and_score_by_one_criterion(workspace, dataset, both, monkeypatch):
    monkeypatch.setattr(workspace.stores.jobs, "_launch", workspace.stores.jobs.get)
    calls = []

    def stop(rows):
        calls.append(rows)
        raise InterruptedError

    monkeypatch.setattr(
        "tipstaff_trainer.workspace.operations.run.train", lambda _, rows, *__: stop(rows().train)
    )
    monkeypatch.setattr(
        "tipstaff_trainer.workspace.operations.run.evaluate",
        lambda _, rows, *__, **___: stop(rows().rows),
    )
    monkeypatch.setattr(workspace.stores.evaluators, "find", lambda *_: 1)
    monkeypatch.setattr("tipstaff_trainer.label_quality.label_errors.out_of_fold_scores", stop)
    for name, good in (("faithfulness", True), ("correctness", False)):
        calls.clear()
        train = workspace.fine_tune_model(dataset, model_name="a", criterion=name)
        assert train.title == f"Train a on traces, {name}"
        measure = workspace.evaluate_dataset(
            dataset, "a", part="", human=True, criterion=name, wait_for_completion=False
        )
        score = workspace.score_dataset(dataset, None, criterion=name)
        for job in (train, measure, score):
            with pytest.raises(InterruptedError):
                runner.run(workspace.stores, job, JobReporter(workspace.stores.jobs, job.id))
        learnt, measured, others = calls
        assert len(learnt) == len(others) == 40
        assert {row.good for row in learnt if row.label_source == "human"} == {good}
        assert {row.good for row in measured} == {good}
        assert {row.good for row in others if row.label_source == "human"} == {good}
    criteria = [
        job.parameters["request"]["criterion"] for job in workspace.stores.jobs.recent(kind="train")
    ]
    assert criteria[0] == "It is correct."
    assert criteria[1] != criteria[0]


def test_a_download_has_the_labels_by_one_criterion(workspace, dataset, both, tmp_path):
    for name, value in (("faithfulness", "1.0"), ("correctness", "0.0")):
        file = workspace.download_dataset(dataset, tmp_path / f"{name}.csv", criterion=name)
        with file.open() as lines:
            labels = [row["label"] for row in csv.DictReader(lines)][:20]
        assert set(labels) == {value}
        tasks = workspace.download_dataset(dataset, tmp_path / f"{name}.json", criterion=name)
        other = {"faithfulness": "correctness", "correctness": "faithfulness"}[name]
        assert f"judge of {name}" in tasks.read_text()
        assert f"judge of {other}" not in tasks.read_text()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_download_of_all_labels_can_be_uploaded_by_each_criterion(
    workspace, dataset, both, tmp_path, ending
):
    file = workspace.download_dataset(dataset, tmp_path / f"all.{ending}", together=True)
    for labels in both:
        name = labels.criterion
        again = workspace.upload_dataset(
            file, name=f"again {name}", mapping={"label": f"{name}.label"}, criterion=name
        )
        uploaded = workspace.label_set(again, name)
        copies = list(workspace.stores.datasets.rows(uploaded))
        rows = list(workspace.stores.datasets.rows(labels))
        assert len(copies) == ROWS
        for part in ("key", "output", "label", "label_source", "selection"):
            assert [getattr(row, part) for row in copies] == [getattr(row, part) for row in rows]
        # The other criterion's labels are not lost, and don't count.
        assert (uploaded.labelled, uploaded.human, uploaded.judge) == (40, 20, 20)
        (other,) = {each.criterion for each in both} - {name}
        assert f"{other}.label" in copies[0].extra
    with pytest.raises(UsageError, match=r"all\.json: end it in one of \.csv, "):
        workspace.download_dataset(dataset, tmp_path / "all.json", together=True)
    with pytest.raises(UsageError, match="every criterion; leave out"):
        workspace.download_dataset(dataset, file, together=True, criterion="correctness")


def test_test_rows_are_the_same_for_every_criterion(workspace, dataset, both):
    few = workspace.add_criterion(dataset, "toxicity")
    warnings = workspace.split(dataset, test_size=0.25)
    parts = [
        {row.id for row in workspace.stores.datasets.rows(labels, only="test")}
        for labels in workspace.stores.datasets.get(dataset).label_sets
    ]
    assert len(parts) == 3
    assert parts[0] == parts[1] == parts[2]
    assert parts[0]
    assert all(each.startswith("correctness: ") for each in warnings)
    # A criterion with a few labels gets a warning; the split stays.
    rows = [row.id for row in workspace.stores.datasets.rows(few)]
    with workspace.stores.database.writing() as session:
        for row in rows:
            if row in parts[0]:
                record(session, row, "toxicity", NewLabel(0.0, "human", "ann"))
        record(session, next(iter(set(rows) - parts[0])), "toxicity", NewLabel(1.0, "human", "ann"))
    assert "toxicity: none of the 1 rows left to train on is bad" in str(
        workspace.split(dataset, test_size=0.25)
    )
    assert workspace.stores.datasets.get(dataset).test == len(parts[0])
