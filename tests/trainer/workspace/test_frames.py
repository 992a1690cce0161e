"""Data frames of all dialects go in and come out, and rows are appended."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from tiny_bundle import make_bundle

from tipstaff_server import repository
from tipstaff_trainer import Metric
from tipstaff_trainer.errors import DataError

TEXTS = {
    "input": ["where", "when"],
    "output": ["it left on monday", "in three days"],
    "ground_truth": ["monday", "tuesday"],
}


@pytest.fixture
def tiny(workspace, tmp_path):
    repository.publish(make_bundle(tmp_path / "tiny"), workspace.repository)
    return "tiny"


def scores(workspace, frame, **more):
    return list(workspace.evaluate_data(frame, "tiny", **more)["tiny_score"])


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pl.LazyFrame, pa.table])
def test_a_frame_comes_back_as_it_came(workspace, tiny, library):
    scored = workspace.evaluate_data(library(TEXTS), tiny)
    expected = pl.DataFrame if library is pl.LazyFrame else library
    assert type(scored).__module__.split(".")[0] == expected.__module__.split(".")[0]
    columns = getattr(scored, "column_names", None) or list(scored.columns)
    assert columns == [*TEXTS, "tiny_verdict", "tiny_reasons", "tiny_score"]


def test_every_dialect_of_a_text_is_read_alike(workspace, tiny):
    plain = scores(workspace, pd.DataFrame(TEXTS))
    for truth in (
        [np.array(["monday"]), ("tuesday",)],
        pd.array(["monday", "tuesday"], dtype="string"),
        pd.array(["monday", "tuesday"], dtype=pd.ArrowDtype(pa.string())),
        [[{"page_content": "monday"}], ["tuesday", None]],
    ):
        assert scores(workspace, pd.DataFrame(TEXTS).assign(ground_truth=truth)) == plain
    nested = pl.DataFrame({**TEXTS, "ground_truth": [["monday"], ["tuesday"]]})
    assert scores(workspace, nested) == plain
    renamed = pd.DataFrame(TEXTS).rename(columns={"ground_truth": "retrieved_contexts"})
    assert scores(workspace, renamed) == plain
    objects = pd.DataFrame(
        {"turn": [{"q": q, "a": a} for q, a in zip(*list(TEXTS.values())[:2], strict=True)]}
    )
    mapping = {"input": "turn.q", "output": "turn.a"}
    with pytest.warns(UserWarning, match="no ground_truth"):
        assert scores(workspace, objects, mapping=mapping) == scores(
            workspace, pd.DataFrame(TEXTS).drop(columns="ground_truth")
        )


def test_numbers_and_absent_values_are_read(workspace, tiny):
    frame = pd.DataFrame(TEXTS)
    frame["output"] = pd.Series([np.int64(3), "in three days"], dtype=object)
    frame["ground_truth"] = pd.array(["monday", None], dtype="string")
    scored = workspace.evaluate_data(frame, tiny)
    assert scored["tiny_score"].between(0, 1).all()
    assert "MISSING_FIELD" in scored["tiny_reasons"][1]


def test_a_row_without_text_gets_nan_and_the_reason(workspace, tiny):
    frame = pd.DataFrame(TEXTS)
    frame.loc[1] = None
    scored = workspace.evaluate_data(frame, tiny)
    assert math.isnan(scored["tiny_score"][1])
    assert scored["tiny_reasons"][1].startswith("no text in ")
    assert scored["tiny_score"][0] == scores(workspace, pd.DataFrame(TEXTS))[0]


def test_a_row_that_can_t_be_read_gets_nan_and_the_reason(workspace, tiny):
    frame = pd.DataFrame(TEXTS).assign(output=["it left on monday", b"\xff"])
    with pytest.warns(UserWarning, match="1 of 2 rows can't be read .* the frame, row 2"):
        scored = workspace.evaluate_data(frame, tiny)
    assert scored["tiny_score"][0] == scores(workspace, pd.DataFrame(TEXTS))[0]
    assert math.isnan(scored["tiny_score"][1])
    assert scored["tiny_reasons"][1].startswith('column "output": ')


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table])
def test_two_versions_of_a_metric_have_columns_of_their_own(workspace, tiny, tmp_path, library):
    repository.publish(make_bundle(tmp_path / "next", seed=1), workspace.repository)
    metrics = [Metric("Tiny", 1), Metric("tiny", 2), Metric("tiny", 2)]
    scored = workspace.evaluate_data(library(TEXTS), metrics)
    columns = getattr(scored, "column_names", None) or list(scored.columns)
    expected = [f"tiny_{n}_{end}" for n in (1, 2) for end in ("verdict", "reasons", "score")]
    assert columns == [*TEXTS, *expected]
    assert list(scored["tiny_1_score"]) != list(scored["tiny_2_score"])
    # Scored again, with the same columns.
    again = workspace.evaluate_data(scored, metrics)
    assert (getattr(again, "column_names", None) or list(again.columns)) == columns


def test_a_field_that_is_lacking_and_json_cells_are_said(workspace, tiny):
    with pytest.warns(UserWarning, match="the frame has no ground_truth, which tiny reads"):
        scores(workspace, pd.DataFrame(TEXTS).drop(columns="ground_truth"))
    json_cells = pd.DataFrame(TEXTS).assign(output=['{"content": "paris"}'] * 2)
    with pytest.warns(UserWarning, match="look like JSON.*output=output.content"):
        scores(workspace, json_cells)
    with pytest.raises(DataError, match='the frame, row 1, column "output"'):
        scores(workspace, pd.DataFrame(TEXTS).assign(output=[b"x", b"y"]))


def test_a_frame_is_uploaded_and_a_data_set_comes_back_as_one(workspace):
    frame = pl.DataFrame({**TEXTS, "label": ["correct", "incorrect"], "system": ["a", "b"]})
    dataset = workspace.upload_dataset(frame, name="From a frame", description="Two answers")
    assert dataset.notes[0] == "Two answers"
    assert any("labels read" in each for each in dataset.notes)
    back = workspace.download_dataset(dataset_id=dataset.id)
    assert list(back["label"]) == [1.0, 0.0]
    assert list(back["system"]) == ["a", "b"]


def test_an_empty_frame_is_no_data_set(workspace):
    with pytest.raises(DataError, match="the frame: has no rows"):
        workspace.upload_dataset(pd.DataFrame({"input": [], "output": []}), name="empty")


def test_several_data_sets_train_one_evaluator_without_leaks(workspace, tmp_path):
    from tipstaff_trainer.operations.sources import StoredData
    from tipstaff_trainer.operations.train import TrainRequest
    from tipstaff_trainer.progress import Reporter
    from tipstaff_trainer.workspace.operations.stored_rows import read_training_rows

    def upload(name, numbers):
        texts = [{"input": f"where {n}", "output": f"paris {n}", "label": n % 2} for n in numbers]
        return workspace.upload_dataset(pd.DataFrame(texts), name=name)

    one, two, test = (
        upload(n, r) for n, r in (("a", range(20)), ("b", range(15, 40)), ("t", range(35, 50)))
    )
    source = StoredData(dataset=one.id, more=(two.id,), test_dataset=test.id)
    request = TrainRequest(name="x", data=source)
    rows = read_training_rows(workspace.stores, request, Reporter())
    trained = {row.interaction.input for row in rows.train}
    tested = {row.interaction.input for row in rows.test}
    assert (len(trained), len(tested)) == (35, 15)
    assert not trained & tested
