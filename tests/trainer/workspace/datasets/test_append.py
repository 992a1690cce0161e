"""Appending rows to a data set: new rows go to its end, and no label is lost."""

from __future__ import annotations

import pandas as pd
import pytest
from sqlalchemy import select

from tipstaff_trainer.errors import DataError
from tipstaff_trainer.workspace.db.models import Label


def test_rows_are_appended_to_a_data_set(workspace, dataset, traces, tmp_path):
    with pytest.raises(DataError):
        workspace.append_rows(dataset, pd.DataFrame({"a": [1]}))
    more = tmp_path / "more.jsonl"
    first = traces.read_text().splitlines()[0]
    more.write_text(
        f'{first}\n{{"id": "new", "input": "q", "output": "paris", "label": 1, "tier": "x"}}\n'
    )
    appended = workspace.append_rows(dataset, more)
    assert appended.rows == 61
    assert any("added 1 rows" in each for each in appended.notes)
    assert any("1 rows were there already" in each for each in appended.notes)
    assert "tier" in appended.extra
    labels = workspace.label_set(dataset)
    assert (labels.labelled, labels.good) == (1, 1)
    last = workspace.stores.datasets.page(labels, before=61, size=1).rows[0]
    assert (last.key, last.position, last.label) == ("new", 60, 1.0)
    assert len(workspace.stores.datasets.page(labels, words="paris", size=100).rows) >= 1


def test_appended_rows_of_a_held_out_group_are_held_out(workspace):
    texts = {"input": [f"q {n}" for n in range(20)], "output": [f"paris {n}" for n in range(20)]}
    frame = pd.DataFrame({**texts, "label": [n % 2 for n in range(20)]})
    dataset = workspace.upload_dataset(frame.assign(id=[f"a{n}" for n in range(20)]), name="split")
    workspace.split(dataset, test_size=0.4)
    appended = workspace.append_rows(dataset, frame.assign(id=[f"b{n}" for n in range(20)]))
    rows = workspace.download_dataset(dataset)
    assert set(rows.groupby("group")["split"].nunique()) == {1}
    assert appended.test == (rows["split"] == "test").sum() == 16


def row(number, **more):
    texts = {"input": f"where is parcel {number}", "output": f"it left on day {number}"}
    return {"id": f"p{number}", **texts, **more}


def stored(workspace, rows):
    return workspace.upload_dataset(pd.DataFrame(rows), name="parcels")


def labels_of(workspace, dataset):
    frame = workspace.download_dataset(dataset)
    columns = ("label", "label_source")
    return {each["id"]: tuple(each[name] for name in columns) for each in frame.to_dict("records")}


def test_labels_of_rows_that_are_there_join_their_logs_and_are_said(workspace, tmp_path):
    judged = [row(n, label=n % 2, label_source="judge") for n in range(4)]
    dataset = stored(workspace, [*judged, row(4)])
    reviewed = [
        row(0, label=1, label_source="human", note="It is right."),
        row(1, label=1, label_source="judge"),
        row(2, label=1, label_source="judge"),
        row(4, label=0, label_source="human"),
    ]
    path = tmp_path / "reviewed.jsonl"
    pd.DataFrame(reviewed).to_json(path, orient="records", lines=True)
    after = workspace.append_rows(dataset, path)
    assert after.rows == 5
    found = labels_of(workspace, dataset)
    assert found["p0"] == (1.0, "human")
    assert found["p1"] == (1.0, "judge")
    assert found["p2"] == (0.5, "judge")
    assert found["p4"] == (0.0, "human")
    said = "\n".join(after.notes)
    assert "4 rows were there already" in said
    assert "1 of these rows had no label and have one now" in said
    assert "2 labels differ from the data set's" in said
    assert "row 1 had 0 (judge), reviewed.jsonl, row 1 (line 1) says 1 (human), which makes" in said
    assert "which makes it 0.5 (judge)" in said
    labels = workspace.label_set(dataset)
    assert (labels.labelled, labels.human, labels.disputed) == (5, 2, 1)
    page = workspace.stores.datasets.page(labels)
    (log,) = (workspace.stores.datasets.labels(each.id, labels) for each in page.rows[:1])
    assert [(each.value, each.source, each.reason) for each in log] == [
        (0.0, "judge", ""),
        (1.0, "human", "It is right."),
    ]
    # The same file again changes nothing.
    again = workspace.append_rows(dataset, path)
    assert labels_of(workspace, dataset) == found
    assert "differ" not in again.notes[-1]
    with workspace.stores.database.reading() as session:
        assert len(session.scalars(select(Label)).all()) == 4 + 3


def test_a_download_is_appended_without_new_labels(workspace, tmp_path):
    dataset = stored(workspace, [row(n, label=n % 2, label_source="judge") for n in range(4)])
    path = workspace.download_dataset(dataset, tmp_path / "down.csv")
    after = workspace.append_rows(dataset, path)
    assert after.rows == 4
    with workspace.stores.database.reading() as session:
        assert len(session.scalars(select(Label)).all()) == 4


def test_an_id_of_a_row_with_other_texts_adds_nothing(workspace):
    dataset = stored(workspace, [row(n) for n in range(4)])
    others = [row(n) | {"id": f"p{n - 10}"} for n in (10, 11)]
    with pytest.raises(DataError) as error:
        workspace.append_rows(dataset, pd.DataFrame([row(9), *others]))
    assert 'row 2: id "p0" is also that of row 1 of the data set' in str(error.value)
    assert "1 further rows" in str(error.value)
    assert "{mapping} id=" in error.value.remedy
    assert workspace.stores.datasets.get(dataset).rows == 4
    after = workspace.append_rows(dataset, pd.DataFrame(others), mapping={"id": ""})
    assert after.rows == 6


def test_a_file_with_fewer_fields_brings_its_labels_by_id(workspace):
    truth = [row(n, ground_truth=f"day {n}") for n in range(4)]
    dataset = stored(workspace, truth)
    sheet = pd.DataFrame([row(n, label=1, label_source="human") for n in range(4)])
    after = workspace.append_rows(dataset, sheet.drop(columns="input"))
    assert (after.rows, workspace.label_set(dataset).human) == (4, 4)
    assert set(workspace.download_dataset(dataset)["ground_truth"]) == {
        each["ground_truth"] for each in truth
    }


def test_people_s_labels_find_their_rows_by_text_where_ids_were_altered(workspace):
    dataset = stored(workspace, [row(n, label=0, label_source="judge") for n in range(4)])
    altered = [row(n, label=1, label_source="human") | {"id": f"1.2E+{n}"} for n in range(3)]
    after = workspace.append_rows(dataset, pd.DataFrame(altered))
    assert (after.rows, workspace.label_set(dataset).human) == (4, 3)
    assert any("3 labels by people were matched to their rows by text" in n for n in after.notes)


def test_rows_go_by_their_texts_where_one_side_has_no_ids(workspace):
    with_ids = [row(n, label=1) for n in range(4)]
    without = [{k: v for k, v in row(n, label=0).items() if k != "id"} for n in range(2, 6)]
    dataset = stored(workspace, with_ids)
    assert workspace.append_rows(dataset, pd.DataFrame(without)).rows == 6
    other = workspace.upload_dataset(pd.DataFrame(without), name="without")
    assert workspace.append_rows(other, pd.DataFrame(with_ids)).rows == 6


def test_contradicting_labels_under_other_ids_are_said(workspace):
    dataset = stored(workspace, [row(n, label=1) for n in range(4)])
    others = [row(n, label=0) | {"id": f"q{n}"} for n in range(3)]
    after = workspace.append_rows(dataset, pd.DataFrame(others))
    assert after.rows == 7
    (note,) = (each for each in after.notes if "contradict" in each)
    assert "3 of the new rows" in note
    assert "the frame, row 1 (0), row 1 had 1 (other)" in note
