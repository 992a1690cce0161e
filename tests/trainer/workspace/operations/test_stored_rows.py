"""A data set's rows in the form that operations take."""

from __future__ import annotations

import pytest

from tipstaff_trainer.errors import DataError
from tipstaff_trainer.operations.sources import StoredData
from tipstaff_trainer.workspace.labels import scores
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS
from tipstaff_trainer.workspace.operations.stored_rows import (
    StoredRows,
    UnscoredRows,
    fields_to_read,
    read_labelled,
)

TINY = ("tiny", 1)


def test_rows_are_read_anew_at_each_iteration(workspace, labels):
    stored = list(workspace.stores.datasets.rows(labels))
    rows = StoredRows(60, lambda: workspace.stores.datasets.rows(labels))
    assert len(rows) == 60
    for _ in range(2):
        assert [row.id for row in rows] == [row.key for row in stored]
    assert next(iter(rows)) in rows
    assert "something else" not in rows


def test_unscored_rows_are_those_without_a_score_by_the_scorer(workspace, labels):
    ids = {row.key: row.id for row in workspace.stores.datasets.rows(labels)}
    keys = list(ids)
    workspace.stores.scores.add(labels, TINY, {ids[key]: 0.5 for key in keys[:10]})
    workspace.stores.scores.add(labels, ("tiny", 2), {ids[key]: 0.5 for key in keys[:30]})
    rows = UnscoredRows(workspace.stores, labels, TINY)
    assert len(rows) == 50
    assert [row.id for row in rows] == keys[10:]
    assert rows.row_ids == {key: ids[key] for key in keys[10:]}
    assert len(UnscoredRows(workspace.stores, labels, OTHER_ROWS)) == 60


def test_rows_may_be_scored_while_they_are_read(workspace, labels, monkeypatch):
    monkeypatch.setattr(scores, "_PAGE_ROWS", 7)
    rows = UnscoredRows(workspace.stores, labels, TINY)
    read = []
    for row in rows:
        read.append(row.id)
        workspace.stores.scores.add(labels, TINY, {rows.row_ids.pop(row.id): 0.5})
    assert len(read) == len(set(read)) == 60
    assert not rows.row_ids
    assert not list(UnscoredRows(workspace.stores, labels, TINY))


def test_rows_for_the_other_rows_classifier_have_their_labels(workspace, judged):
    rows = list(UnscoredRows(workspace.stores, judged, OTHER_ROWS))
    assert sum(row.labelled for row in rows) == 20
    assert {row.label_source for row in rows if row.labelled} == {"human"}


def test_labelled_rows_are_read_by_part_and_by_who_labelled_them(workspace, dataset, judged):
    source = StoredData(dataset=dataset.id)
    data = read_labelled(workspace.stores, source)
    assert (data.file, len(data.rows)) == ("traces, all rows", 20)
    assert data.columns == ("input", "output", "ground_truth")
    assert (
        len(read_labelled(workspace.stores, source.model_copy(update={"human": True})).rows) == 20
    )
    nowhere = StoredData(dataset=dataset.id, part="test", human=True)
    with pytest.raises(DataError, match="data set's test has a label from a person; label some"):
        read_labelled(workspace.stores, nowhere)


def test_fields_are_in_the_wire_s_order(dataset):
    assert fields_to_read(StoredData(dataset=1), dataset) == ("input", "output", "ground_truth")
    chosen = StoredData(dataset=1, columns=("ground_truth", "output", "output"))
    assert fields_to_read(chosen, dataset) == ("output", "ground_truth")
    assert fields_to_read(StoredData(dataset=1, columns=()), dataset) == ()
