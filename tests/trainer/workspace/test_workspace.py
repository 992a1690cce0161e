"""The Python API: data sets in and out, training, promoting, scoring."""

from __future__ import annotations

import json
import subprocess
import sys

import pandas
import pytest
from tiny_bundle import make_bundle

from tipstaff.errors import TipstaffError, UsageError
from tipstaff_server import repository
from tipstaff_trainer.data import read_rows
from tipstaff_trainer.errors import DataError, WorkspaceError
from tipstaff_trainer.workspace import Workspace


@pytest.fixture
def labelled(workspace, dataset, labels):
    workspace.stores.reviews.queue(labels, {"random": 40}, seed=0)
    for index in range(40):
        item = workspace.stores.reviews.claim(labels, "ann")
        good = workspace.stores.datasets.text(item.row_id).extra["system"] == "a"
        workspace.stores.reviews.submit(
            item.id, float(good), who="ann", based_on_label_id=0, reason=f"because {index}"
        )
    return workspace.label_set(dataset)


def test_a_workspace_is_imported_without_torch():
    script = "import sys; from tipstaff_trainer import Workspace; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "tipstaff_trainer.workspace" in loaded
    assert not {"torch", "transformers", "sklearn", "pyarrow", "uvicorn"} & set(loaded)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "json"])
def test_a_download_can_be_uploaded_and_trained_on(workspace, labelled, tmp_path, ending):
    file = workspace.download_dataset(labelled.dataset, tmp_path / f"rows.{ending}")
    again = workspace.label_set(workspace.upload_dataset(file, name="again"))
    assert (again.dataset.rows, again.labelled, again.human) == (60, 40, 40)
    assert again.good == labelled.good
    both = zip(
        workspace.stores.datasets.rows(labelled), workspace.stores.datasets.rows(again), strict=True
    )
    for row, copy in both:
        assert (row.key, row.input, row.output, row.ground_truth, row.label, row.group) == (
            *(copy.key, copy.input, copy.output, copy.ground_truth, copy.label),
            # Label Studio's form can't hold it: it is derived again.
            copy.group,
        )
        assert row.extra["system"] == copy.extra["system"]
    if ending != "json":
        assert len(read_rows(file).rows) == 40


def test_label_studio_s_own_export_is_read(workspace, tmp_path):
    choice = {"from_name": "c", "to_name": "t", "type": "choices"}
    tasks = [
        {
            "id": 7,
            "data": {"question": "2 + 2?", "answer": "4"},
            "annotations": [
                {"completed_by": 1, "result": [{**choice, "value": {"choices": ["Good"]}}]},
                {"was_cancelled": True, "result": [{**choice, "value": {"choices": ["Bad"]}}]},
            ],
        },
        {"id": 8, "data": {"question": "2 + 3?", "answer": "4"}, "annotations": []},
    ]
    file = tmp_path / "project-1.json"
    file.write_text(json.dumps(tasks))
    labels = workspace.label_set(workspace.upload_dataset(file))
    assert (labels.labelled, labels.human, labels.good) == (1, 1, 1)
    tasks[0]["annotations"][0]["result"][0]["value"]["choices"] = ["Purple"]
    file.write_text(json.dumps(tasks))
    with pytest.raises(
        DataError, match=r'^project-1.json, row 1, column "c": "Purple" is not a label'
    ):
        workspace.upload_dataset(file, name="again")


@pytest.mark.parametrize(
    ("content", "mapping", "message"),
    [
        (b"input,output\n1,2,3\n", {}, "has 3 cells and the header has 2"),
        (b"input,output\n\xff,b\n", {}, "not UTF-8"),
        (b"", {}, "has no rows"),
        (b"a,b\n1,2\n", {}, "no column for input, output or ground_truth"),
        (b"input,good\na,maybe\n", {}, 'column "good": "maybe" is not a label'),
        (b"input\na\n", {"output": "reply"}, 'there is no column "reply" to map to output'),
    ],
)
def test_a_broken_file_or_mapping_leaves_nothing_behind(
    workspace, tmp_path, content, mapping, message
):
    (tmp_path / "broken.csv").write_bytes(content)
    with pytest.raises(DataError) as error:
        workspace.upload_dataset(
            tmp_path / "broken.csv", mapping=mapping, display_name="what they call it.csv"
        )
    assert message in str(error.value)
    assert str(error.value).startswith("what they call it.csv")
    assert not workspace.stores.datasets.all()


@pytest.mark.parametrize("name", ["May", " May ", "../may", "", "x" * 81])
def test_names_are_unique_and_plain(workspace, traces, name):
    workspace.upload_dataset(traces, name="May")
    with pytest.raises(WorkspaceError, match=r"already|can't be a data set's name"):
        workspace.upload_dataset(traces, name=name)
    assert [each.name for each in workspace.stores.datasets.all()] == ["May"]


def test_pages_go_both_ways_and_can_be_filtered(workspace, labelled):
    page = workspace.stores.datasets.page
    first = page(labelled, size=25)
    second = page(labelled, size=25, after=first.after)
    third = page(labelled, size=25, after=second.after)
    positions = [row.position for part in (first, second, third) for row in part.rows]
    assert positions == list(range(60))
    assert (first.before, third.after) == (None, None)
    back = page(labelled, size=25, before=third.before)
    assert [row.id for row in back.rows] == [row.id for row in second.rows]
    assert len(page(labelled, only="human", size=100).rows) == 40
    assert len(page(labelled, only="unlabelled", size=100).rows) == 20
    with pytest.raises(WorkspaceError, match="funny"):
        page(labelled, only="funny")


def test_a_split_keeps_groups_whole_and_replaces_the_earlier_split(workspace, labelled):
    for seed in (0, 1):
        workspace.split(labelled.dataset, test_size=0.25, seed=seed)
    rows = list(workspace.stores.datasets.rows(labelled))
    test = {row.group for row in rows if row.part == "test"}
    assert not test & {row.group for row in rows if row.part == "train"}
    assert (
        workspace.stores.datasets.get(labelled.dataset).test
        == sum(row.part == "test" for row in rows)
        > 5
    )


def test_a_frame_is_scored_by_the_online_version(workspace, tmp_path):
    repository.publish(make_bundle(tmp_path / "1", seed=1), workspace.repository)
    repository.publish(make_bundle(tmp_path / "2", seed=2), workspace.repository)
    frame = pandas.DataFrame({"answer": ["paris is it", None], "context": ["paris", "london"]})
    latest = workspace.evaluate_data(frame, "tiny")
    added = ["tiny_verdict", "tiny_reasons", "tiny_score"]
    assert list(latest.columns) == ["answer", "context", *added]
    assert latest["tiny_score"].between(0, 1).all()
    assert list(frame.columns) == ["answer", "context"]
    assert workspace.promote("tiny", 1) is None
    assert [each.serving for each in workspace.list_evaluators()] == [False, True]
    online = workspace.evaluate_data(frame, "tiny")
    assert not online["tiny_score"].equals(latest["tiny_score"])
    assert workspace.evaluate_data(frame, "tiny", version=2).equals(latest)
    with pytest.raises(DataError, match="no column for input, output or ground_truth"):
        workspace.evaluate_data(pandas.DataFrame({"a": [1]}), "tiny")


def test_outputs_are_rewritten_to_probe_a_version(workspace, labelled, tmp_path):
    repository.publish(make_bundle(tmp_path / "1"), workspace.repository)
    probing = workspace.probe_dataset(labelled.dataset, "tiny", part="", human=True, sample=10)
    assert {rate.name for rate in probing.probed.probes.rates} >= {"greeting", "question-alone"}
    with pytest.raises(WorkspaceError, match="no evaluator 'a'"):
        workspace.probe_dataset(labelled.dataset, "a", part="")
    with pytest.raises(UsageError) as error:
        workspace.probe_dataset(labelled.dataset, "tiny", part="", sample=1)
    assert error.value.field == "sample"


def test_versions_are_measured_side_by_side(workspace, labelled, tmp_path):
    for seed in (1, 2):
        bundle = make_bundle(tmp_path / str(seed), seed=seed)
        repository.publish(bundle, workspace.repository)
    job = workspace.evaluate_dataset(
        labelled.dataset,
        "tiny",
        versions=[2, 1],
        part="",
        human=True,
        slice_by=["system"],
        wait_for_completion=120,
    )
    assert {name: each["n"] for name, each in job.result["measured"].items()} == {"2": 40, "1": 40}
    folder = workspace.stores.jobs.folder(job.id)
    assert "tiny version 2" in (folder / "report" / "index.html").read_text()
    slices = json.loads((folder / "report" / "report.json").read_text())["slices"]
    assert {each["by"] for each in slices} == {"system"}
    assert "tiny version 1" in (folder / "comparison" / "index.html").read_text()


def test_a_source_of_labels_that_does_not_exist_is_refused(workspace, tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("output,label\na,1\n")
    with pytest.raises(
        UsageError, match="label_source alien: Input should be 'human', 'judge' or 'other'"
    ):
        workspace.upload_dataset(file, label_source="alien")


def test_mistakes_are_reported_before_a_job_starts(workspace, dataset, tmp_path):
    for arguments, message in [
        ({"model_name": "?!"}, "no letter from a to z"),
        ({"model_name": "a", "selected_columns": []}, "no column to train on"),
        ({"model_name": "a", "selected_columns": ["label"]}, "selected_columns label: is no field"),
        ({"model_name": "a", "epochs": -1}, "epochs"),
        ({"model_name": "a"}, "no row has a label yet"),
    ]:
        with pytest.raises(TipstaffError, match=message):
            workspace.fine_tune_model(dataset, **arguments)
    with pytest.raises(UsageError, match="model"):
        workspace.label_dataset(dataset, criterion="faithfulness")
    with pytest.raises(UsageError, match="ends in _API_KEY"):
        workspace.label_dataset(
            dataset,
            criterion="faithfulness",
            model="m",
            key_variable="AWS_SECRET_ACCESS_KEY",
        )
    with pytest.raises(WorkspaceError, match="no criterion 'funny'"):
        workspace.label_dataset(dataset, criterion="funny", model="m")
    with pytest.raises(WorkspaceError, match="no evaluator 'a'"):
        workspace.evaluate_dataset(dataset, "a")
    with pytest.raises(WorkspaceError, match="no data set 'June'"):
        workspace.split("June")
    with pytest.raises(UsageError, match=r"rows\.xlsx"):
        workspace.download_dataset(dataset, tmp_path / "rows.xlsx")
    assert not workspace.stores.jobs.recent()


def test_two_workspaces_share_a_folder(workspace, dataset, labels):
    other = Workspace(workspace.folder)
    other.stores.reviews.queue(labels, {"random": 5})
    assert workspace.stores.reviews.progress(labels).waiting == 5
    other.close()


def test_a_damaged_bundle_is_shown_as_such(workspace, tmp_path):
    repository.publish(make_bundle(tmp_path / "tiny"), workspace.repository)
    (workspace.repository / "tiny" / "1" / "manifest.json").write_text("{")
    (version,) = workspace.list_evaluators()
    assert version.manifest is None
    assert "not JSON" in version.damage


@pytest.mark.parametrize("count", ["3", 2.5, None])
def test_a_count_of_rows_to_review_is_a_whole_number(workspace, dataset, count):
    with pytest.raises(UsageError, match=r"random .*: is not a whole number"):
        workspace.review_queue(dataset, {"random": count})


@pytest.mark.parametrize("size", ["x", "0.2", None, 0, 1, -0.5, float("nan")])
def test_a_test_set_s_size_is_a_share(workspace, dataset, size):
    with pytest.raises(UsageError, match=r"test_size .*: is not a share"):
        workspace.split(dataset, test_size=size)
    with pytest.raises(UsageError, match="seed 'x': is not a whole number"):
        workspace.split(dataset, seed="x")
