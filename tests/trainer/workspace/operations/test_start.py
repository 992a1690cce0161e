"""What is checked, chosen and recorded before a job starts."""

from __future__ import annotations

import pytest

from tipstaff.errors import UsageError
from tipstaff_server.evaluator.cases import Case
from tipstaff_trainer.errors import DataError, WorkspaceError
from tipstaff_trainer.operations.score import ScoreRequest
from tipstaff_trainer.operations.sources import FileData
from tipstaff_trainer.workspace.labels.log import NewLabel, record
from tipstaff_trainer.workspace.operations.start import start_score

pytestmark = pytest.mark.usefixtures("queued")
JUDGE = {"model": "m", "base_url": "http://127.0.0.1:9/v1"}


def data_of(job):
    return job.parameters["request"]["data"]


def test_a_job_works_on_no_file(workspace, traces):
    request = ScoreRequest(data=FileData(data=traces))
    with pytest.raises(UsageError, match="data: a job works on a data set"):
        start_score(workspace.stores, request, name=None, version=None)


@pytest.mark.usefixtures("versions")
def test_every_job_names_its_criterion(workspace, dataset, judged):
    """The data set may be judged by more criteria when the job runs or is resumed."""
    jobs = [
        workspace.label_dataset(dataset, **JUDGE),
        workspace.score_dataset(dataset, None),
        workspace.score_dataset(dataset, "tiny"),
        workspace.fine_tune_model(dataset, model_name="a"),
        workspace.evaluate_dataset(dataset, "tiny", wait_for_completion=False),
    ]
    assert [data_of(job)["criterion"] for job in jobs] == ["faithfulness"] * 5
    assert {job.dataset_id for job in jobs} == {dataset.id}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"only": "funny"}, "no filter 'funny' for rows"),
        ({"only": "judge"}, "traces: there are no rows of the kind 'judge'"),
    ],
)
def test_a_judge_gets_no_rows_that_do_not_exist(workspace, dataset, judged, settings, message):
    with pytest.raises(WorkspaceError, match=message):
        workspace.label_dataset(dataset, **JUDGE, **settings)
    assert not workspace.stores.jobs.recent()


def test_a_pilot_needs_rows_that_nobody_has_seen(workspace, dataset, judged):
    job = workspace.label_dataset(dataset, **JUDGE, pilot=True)
    assert job.title == "Label 16 rows of traces: faithfulness"
    waiting = [item.row_id for item, _ in workspace.stores.reviews.waiting(judged)]
    assert sorted(job.parameters["rows"]) == sorted(waiting)
    with workspace.stores.database.writing() as session:
        for row in list(workspace.stores.datasets.rows(judged)):
            if row.label is None:
                record(session, row.id, "faithfulness", NewLabel(1.0, "human", "ann"))
                record(session, row.id, "faithfulness", NewLabel(1.0, "judge", "m"))
    with pytest.raises(WorkspaceError, match="people have labelled every row"):
        workspace.label_dataset(dataset, **JUDGE, pilot=True)


def test_one_job_scores_by_the_other_rows_of_a_criterion(workspace, dataset):
    for name in ("faithfulness", "toxicity"):
        workspace.add_criterion(dataset, name)
    jobs = [
        workspace.score_dataset(dataset, None, criterion=name)
        for name in ("faithfulness", "toxicity", "faithfulness")
    ]
    assert jobs[0].id == jobs[2].id != jobs[1].id
    assert jobs[0].title == "Score the rows of traces, faithfulness with the other rows"


def test_a_training_s_request_holds_what_was_chosen_for_it(workspace, dataset, judged):
    case = Case(name="right", expect="pass", output="paris")
    workspace.stores.cases.add("faithfulness", [case])
    job = workspace.fine_tune_model(
        dataset, model_name="a", selected_columns=["ground_truth", "output"], epochs=2
    )
    request = job.parameters["request"]
    assert data_of(job)["columns"] == ["output", "ground_truth"]
    assert (request["epochs"], request["cases"][0]["name"]) == (2, "right")
    assert request["criterion"] == workspace.stores.criteria.get("faithfulness").criterion
    assert (
        workspace.fine_tune_model(dataset, model_name="a", cases=[]).parameters["request"]["cases"]
        is None
    )


def test_a_training_needs_texts_to_read(workspace, dataset, judged, tmp_path):
    case = Case(name="only a question", expect="pass", input="why?")
    with pytest.raises(UsageError, match=r'case "only a question" has none of output.*remove it'):
        workspace.fine_tune_model(
            dataset, model_name="a", selected_columns=["output"], cases=[case]
        )
    (tmp_path / "outputs.csv").write_text("output,label\na,1\nb,0\n")
    outputs = workspace.upload_dataset(tmp_path / "outputs.csv")
    with pytest.raises(DataError, match="outputs: no column for ground_truth"):
        workspace.fine_tune_model(outputs, model_name="a", selected_columns=["ground_truth"])
    assert not workspace.stores.jobs.recent()


@pytest.mark.usefixtures("versions")
def test_only_versions_that_exist_are_measured(workspace, dataset, judged):
    with pytest.raises(WorkspaceError, match="no version 3"):
        workspace.evaluate_dataset(dataset, "tiny", versions=[2, 3])
    job = workspace.evaluate_dataset(dataset, "tiny", wait_for_completion=False)
    assert (job.title, job.parameters["versions"]) == ("Measure tiny on traces", [2])
