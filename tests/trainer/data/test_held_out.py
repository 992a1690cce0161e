from __future__ import annotations

import json

import pytest

from tipstaff.types import Interaction
from tipstaff_trainer.data import Row, hold_out, read_rows, without_groups_of
from tipstaff_trainer.errors import DataError


def row(group="", label=1.0, id="1", **texts):
    return Row(interaction=Interaction(**texts), label=label, id=id, group=group)


def read(write, name, records, **options):
    lines = [json.dumps({"label": index % 2} | record) for index, record in enumerate(records)]
    return read_rows(write(name, "\n".join(lines)), **options)


def test_rows_that_share_group_or_text_with_a_test_file_are_left_out_of_training():
    train = [row("a", output="1"), row("b", output="2"), row("c", output="3"), row(output="4")]
    test = [row("a", output="other"), row("z", output="3"), row(output="5")]
    assert without_groups_of(train, test) == [train[1], train[3]]


def test_a_group_that_shares_an_interaction_with_a_test_file_is_left_out_as_a_whole():
    train = [row("a", output="1"), row("a", output="2"), row("b", output="3")]
    test = [row("z", output=" 1 "), *(row(output=f"filler {index}") for index in range(9))]
    assert without_groups_of(train, test) == [train[2]]


def test_a_column_that_only_the_test_file_has_hides_no_row_that_is_in_both(write):
    train = read(write, "train.jsonl", [{"output": f"o{n}"} for n in range(12)])
    test = read(write, "test.jsonl", [{"output": f"o{n}", "input": f"q{n}"} for n in range(6)])
    rows, test_rows, notes = hold_out(train, test)
    assert [row.interaction.output for row in rows] == [f"o{n}" for n in range(6, 12)]
    assert {row.interaction for row in test_rows} == {Interaction(output=f"o{n}") for n in range(6)}
    assert notes == [
        f"left out 6 of 12 rows, whose group or texts are also in {test.file}",
    ]


def test_rows_of_one_reference_are_told_across_files_though_one_groups_by_input(write):
    train = read(
        write, "train.jsonl", [{"output": f"o{n}", "ground_truth": f"r{n}"} for n in range(12)]
    )
    test = read(
        write,
        "test.jsonl",
        [{"output": f"p{n}", "ground_truth": f"r{n}", "input": f"q{n}"} for n in range(6)],
    )
    rows, test_rows, _ = hold_out(train, test)
    assert [row.interaction.ground_truth for row in rows] == [f"r{n}" for n in range(6, 12)]
    assert len(test_rows) == 6


def test_an_input_that_most_rows_share_is_judged_over_both_files(write):
    """All test rows share an input, which most rows of both files together don't."""
    asked = [{"input": "Who?" if n < 4 else f"q{n}", "output": f"o{n}"} for n in range(40)]
    train = read(write, "train.jsonl", asked)
    test = read(write, "test.jsonl", [{"input": "Who?", "output": f"p{n}"} for n in range(10)])
    rows, _, _ = hold_out(train, test)
    assert [row.interaction.input for row in rows] == [f"q{n}" for n in range(4, 40)]


def test_an_instruction_keeps_no_row_out(write):
    told = [{"input": "Summarise.", "output": f"o{n}"} for n in range(20)]
    train = read(write, "train.jsonl", told)
    test = read(
        write,
        "test.jsonl",
        [{"input": "Summarise." if n < 2 else f"q{n}", "output": f"p{n}"} for n in range(4)],
    )
    rows, _, notes = hold_out(train, test)
    assert len(rows) == 20
    assert notes == []


def test_columns_left_out_of_training_still_tell_what_belongs_together(write):
    records = [{"input": f"q{n}", "output": f"o{n}"} for n in range(12)]
    train = read(write, "train.jsonl", records, columns=("output",))
    other = [{"input": f"q{n}", "output": f"p{n}"} for n in range(6)]
    test = read(write, "test.jsonl", other, columns=("output",))
    rows, test_rows, _ = hold_out(train, test)
    assert [row.interaction for row in rows] == [Interaction(output=f"o{n}") for n in range(6, 12)]
    assert test_rows[0].interaction == Interaction(output="p0")


def test_a_test_row_without_any_trained_text_is_named(write):
    train = read(write, "train.jsonl", [{"output": f"o{n}"} for n in range(4)])
    test = read(write, "test.jsonl", [{"output": "a"}, {"input": "q", "output": ""}])
    with pytest.raises(DataError, match=r"row 2 \(line 2\): there is no text in output, which"):
        hold_out(train, test)


def test_a_test_file_without_a_trained_column_is_refused(write):
    train = read(write, "train.jsonl", [{"output": "a"}, {"output": "b"}])
    test = read(write, "test.jsonl", [{"input": "q"}])
    with pytest.raises(DataError, match="has no column output"):
        hold_out(train, test)
