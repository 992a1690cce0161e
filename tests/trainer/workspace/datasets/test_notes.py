"""Reviewers' notes: in every export, after undo too, and back in an upload."""

from __future__ import annotations

import csv
import json

import pyarrow.parquet as pq
import pytest


def read(path):
    """A download's notes by the row's id, without rows that have none."""
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as file:
            # An apostrophe keeps a spreadsheet from reading an id as a number.
            rows = [row | {"id": row["id"].removeprefix("'")} for row in csv.DictReader(file)]
    elif path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    elif path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
    else:
        tasks = json.loads(path.read_text())
        rows = [
            {"id": task["data"]["id"], "note": text}
            for task in tasks
            for annotation in task["annotations"]
            for result in annotation["result"]
            if result["type"] == "textarea"
            for text in result["value"]["text"]
        ]
    return {row["id"]: row["note"] for row in rows if row["note"]}


@pytest.fixture
def noted(workspace, labels):
    """A row with a note, one whose label was taken back, one without a note; their ids."""
    workspace.stores.reviews.queue(labels, {"pilot": 3}, seed=0)
    ids = []
    for note, undone in (("rounded, up", False), ("<taken> back", True), ("", False)):
        item = workspace.stores.reviews.claim(labels, "ann")
        row = workspace.stores.datasets.row(item.row_id, labels)
        workspace.stores.reviews.submit(
            item.id, 0.0, who="ann", based_on_label_id=row.last_label_id, reason=note
        )
        if undone:
            workspace.stores.reviews.undo(labels, who="ann")
            workspace.stores.reviews.skip(item.id, who="ann")
        ids.append(row.key)
    return ids


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "json"])
def test_notes_are_in_every_export(workspace, dataset, noted, tmp_path, ending):
    path = workspace.download_dataset(dataset, tmp_path / f"rows.{ending}")
    assert read(path) == {noted[0]: "rounded, up", noted[1]: "<taken> back"}
    # And in the next one, after an upload.
    again = workspace.upload_dataset(path, name="again", mapping={"output": "output"})
    back = workspace.download_dataset(again, tmp_path / "again.jsonl")
    expected = {noted[0]: "rounded, up"}
    if ending != "json":
        expected[noted[1]] = "<taken> back"
    assert read(back) == expected


def test_notes_by_several_criteria_and_people_are_told_apart(workspace, dataset, noted, tmp_path):
    workspace.set_criterion(dataset, "faithfulness")
    other = workspace.add_criterion(dataset, "toxicity")
    rows = {row.key: row for row in workspace.stores.datasets.rows(other)}
    row = rows[noted[0]]
    workspace.stores.reviews.queue(other, {"random": 60}, seed=0)
    (item,) = [
        each for each, stored in workspace.stores.reviews.waiting(other) if stored.id == row.id
    ]
    for who, note in (("ann", "calm"), ("ben", "loud"), ("ann", "calm indeed")):
        workspace.stores.reviews.submit(item.id, 1.0, who=who, based_on_label_id=0, reason=note)
    path = workspace.download_dataset(dataset, tmp_path / "all.jsonl", together=True)
    records = {record["id"]: record for record in map(json.loads, path.read_text().splitlines())}
    assert records[noted[0]]["faithfulness.note"] == "rounded, up"
    assert records[noted[0]]["toxicity.note"] == "ann: calm indeed; ben: loud"
    assert records[noted[2]]["toxicity.note"] is None
