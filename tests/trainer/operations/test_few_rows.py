"""Few rows: a general evaluator to start from is recommended, where one can be."""

from __future__ import annotations

import json

import pytest

from tipstaff_trainer.cli.train import FLAGS
from tipstaff_trainer.operations.few_rows import FEW_ROWS
from tipstaff_trainer.operations.sources import FileData
from tipstaff_trainer.operations.train import TrainRequest, read_training_rows
from tipstaff_trainer.progress import Reporter


class Notes(Reporter):
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def note(self, message, *, remedy="") -> None:
        self.said.append((message, remedy))


@pytest.fixture
def recommended(tmp_path):
    """Whether reading so many rows for a request recommends to start from an evaluator."""

    def read(rows, *, fields=("input", "output", "ground_truth"), **given):
        file = tmp_path / "rows.jsonl"
        records = [
            {name: f"{name} {number}" for name in fields} | {"label": number % 2}
            for number in range(rows)
        ]
        file.write_text("\n".join(map(json.dumps, records)))
        notes = Notes()
        request = TrainRequest.parse({"name": "colours", "data": FileData(data=file), **given})
        read_training_rows(request, notes)
        return [(message, remedy) for message, remedy in notes.said if "a general one" in message]

    return read


def test_few_rows_are_told_of_a_start(recommended):
    ((message, remedy),) = recommended(64)
    assert message.startswith("from 64 rows an evaluator may learn more if it starts from ")
    # The command words the field as its flag.
    assert "{start_from}" in remedy
    assert FLAGS["start_from"] == "--from"


def test_the_rows_to_train_on_count(recommended):
    assert not recommended(FEW_ROWS)
    ((message, _),) = recommended(FEW_ROWS, test_size=0.2)
    assert "from 400 rows" in message


def test_nothing_is_said_where_none_can_be_started_from(recommended, tmp_path):
    assert not recommended(64, base="another")
    assert not recommended(64, fields=("input", "output"))
    assert not recommended(64, start_from=tmp_path)
