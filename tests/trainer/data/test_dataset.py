from __future__ import annotations

import csv
import json
import math
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tipstaff.errors import UsageError
from tipstaff.types import FIELDS, Interaction
from tipstaff_trainer.data import LABEL_SOURCES, Row, fingerprint, read_rows
from tipstaff_trainer.data.rows import SELECTIONS, content_id
from tipstaff_trainer.errors import DataError

WORKED = """id,question,answer,context,good,weight,group,label_source,selection,system
r1,q,a,c,1,2,g,human,random,fid
,q2,a2,,0.25,,,,,
"""


def test_every_column_arrives_where_it_belongs(write):
    path = write("train.csv", WORKED)
    data = read_rows(path, label_source="judge", selection="pilot")
    assert data.columns == FIELDS
    assert data.warnings == ()
    first, second = data.rows
    assert first == Row(
        interaction=Interaction("q", "a", "c"),
        label=1.0,
        id="r1",
        weight=2.0,
        group="g",
        label_source="human",
        selection="random",
        extra={"system": "fid"},
    )
    assert first.place == f"{path}, row 1 (line 2)"
    assert second.interaction == Interaction("q2", "a2", None)
    assert second.id == content_id(second.interaction)
    assert (second.label, second.weight) == (0.25, 1.0)
    assert (second.label_source, second.selection) == ("judge", "pilot")
    assert second.group
    assert second.extra == {}


def test_without_a_word_on_them_source_and_selection_are_other_and_unknown(write):
    row = read_rows(write("a.jsonl", '{"output": "a", "label": 1}')).rows[0]
    assert (row.label_source, row.selection) == ("other", "unknown")


def test_an_empty_text_stays_a_text_where_the_format_can_say_so(write):
    path = write("a.jsonl", '{"input": "q", "output": "", "label": 0}\n{"output": "x", "label": 1}')
    rows = read_rows(path).rows
    assert rows[0].interaction == Interaction("q", "", None)
    assert rows[1].interaction == Interaction(None, "x", None)


def test_values_that_are_not_text_reach_extra_as_text(write):
    values = {"output": 42, "documents": ["p", "q"], "label": True, "meta": {"n": 1}, "n": 2}
    row = read_rows(write("a.jsonl", json.dumps(values))).rows[0]
    assert row.interaction == Interaction(None, "42", "p\n\nq")
    assert row.extra == {"meta": '{"n": 1}', "n": "2"}


def test_only_the_chosen_columns_stay_but_ids_and_groups_look_at_all(write):
    text = "input,output,label\n" + "".join(f"q{n // 2},same,{n % 2}\n" for n in range(8))
    everything = read_rows(write("a.csv", text.replace("same", "b")))
    data = read_rows(write("b.csv", text), columns=("output",))
    assert data.columns == ("output",)
    assert {row.interaction for row in data.rows} == {Interaction(None, "same", None)}
    assert len({row.id for row in data.rows}) == len({row.group for row in data.rows}) == 4
    assert [row.group for row in data.rows] == [row.group for row in everything.rows]


def test_rows_without_a_label_are_left_out_and_counted(write):
    path = write("a.csv", "input,label\na,\nb,1\nc,0\n,\n")
    data = read_rows(path)
    assert [row.interaction.input for row in data.rows] == ["b", "c"]
    assert data.warnings == (
        f"{path}: left out 2 of 4 rows, without a label; the first is {path}, row 1 (line 2)",
    )


def test_rows_without_a_label_are_kept_when_asked_for(write):
    data = read_rows(write("a.csv", "input,label\na,\nb,1\n"), labelled=False)
    assert [row.labelled for row in data.rows] == [False, True]
    assert math.isnan(data.rows[0].label)
    unlabelled = read_rows(write("b.csv", "input\na\nb\n"), labelled=False)
    assert not any(row.labelled for row in unlabelled.rows)


def test_a_column_empty_in_every_row_is_not_trained_on_and_told(write):
    path = write("a.csv", "input,output,ground_truth,label\na,b,,1\nc,d,,0\n")
    data = read_rows(path)
    assert data.columns == ("input", "output")
    assert data.warnings == (
        f'{path}: column "ground_truth" is empty in every row, so ground_truth is not trained on',
    )
    with pytest.raises(DataError, match="is empty in every row; fill it"):
        read_rows(path, columns=("input", "ground_truth"))


def test_how_the_file_was_read_is_told(write):
    path = write("train.csv", WORKED.replace("weight", "heaviness"))
    assert read_rows(path, columns=("output", "ground_truth")).notes == (
        f'{path}: 2 rows; read output from "answer", ground_truth from "context", label from '
        '"good", id from "id", group from "group", label_source from "label_source", selection '
        'from "selection"',
        f'{path}: not used: "question", "heaviness" and "system"',
        f"{path}: ground_truth is blank in 1 of 2 rows",
    )
    plain = write("a.csv", "input,label\na,1\nb,0\n")
    assert read_rows(plain).notes == (
        f'{plain}: 2 rows; read input from "input", label from "label"',
    )


def test_several_labels_of_one_id_become_one_row_and_are_told(write):
    text = "id,output,label,label_source\n1,a,1,judge\n2,b,1,judge\n1,a,0,human\n"
    path = write("a.csv", text)
    data = read_rows(path)
    assert [(row.id, row.label, row.label_source) for row in data.rows] == [
        ("1", 0.0, "human"),
        ("2", 1.0, "judge"),
    ]
    assert data.warnings[0].startswith(f"{path}: 3 rows hold 2 interactions")


def test_a_common_input_groups_by_what_else_is_shared_and_is_told(write):
    text = "input,ground_truth,output,label\n"
    text += "".join(f"Summarise.,document {n // 3},summary {n},{n % 2}\n" for n in range(12))
    path = write("a.csv", text)
    data = read_rows(path)
    assert len({row.group for row in data.rows}) == 4
    assert data.warnings[0].startswith(f"{path}: more than half of the rows have the same input")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("input,label\na,1\nb,5\n", 'row 2 (line 3), column "label": "5" is not a label'),
        ("input,good\na,1\nb,?\n", 'row 2 (line 3), column "good": "?" is not a label'),
        ("input,label,weight\na,1,-1\n", 'row 1 (line 2), column "weight": "-1" is not a weight'),
        ("input,label,selection\na,1,x\n", 'column "selection": "x" is not one of random, pilot'),
        ("input,label,label_source\na,1,gpt\n", '"gpt" is not one of human, judge, other'),
        ("input,output,label\n ,,1\n", "none of its 1 rows has a text in input or output"),
        ("input,label\na,\n", "none of its 1 rows has a label"),
        ("input,output\na,b\n", "no column for label"),
        ("text,label\na,1\n", "no column for input, output or ground_truth"),
        ("id,input,label\n1,a,1\n2,b,1\n1,c,0\n", 'row 3 (line 4): id "1" is also in'),
    ],
)
def test_a_row_that_cannot_be_used_is_one_line_that_says_where_and_why(write, text, message):
    path = write("train.csv", text)
    with pytest.raises(DataError) as error:
        read_rows(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_blank_row_is_left_out_and_counted(write):
    path = write("a.csv", "input,output,label\na,b,1\n ,,1\nc,,0\n")
    data = read_rows(path)
    assert [row.interaction.input for row in data.rows] == ["a", "c"]
    assert data.warnings == (
        f"{path}: left out 1 of 3 rows, without a text in input or output; the first is {path}, "
        "row 2 (line 3)",
    )
    # Of the chosen columns, the text of another is none.
    assert [row.interaction.output for row in read_rows(path, columns=("output",)).rows] == ["b"]


def test_wrong_words_for_columns_and_mappings_are_usage_errors(write):
    path = write("a.csv", "input,correct\na,1\n")
    assert read_rows(path, mapping={"label": "correct"}).rows[0].label == 1.0
    with pytest.raises(UsageError):
        read_rows(path, mapping={"correct": "label"})
    with pytest.raises(UsageError):
        read_rows(path, mapping={"label": "correct"}, columns=())


texts = st.text(
    alphabet=st.one_of(
        st.characters(codec="utf-8"), st.sampled_from(' ,"\n\r\t\ufeff\x00\x0b\x1c\u2028é😀')
    ),
    max_size=12,
)
identifiers = st.text(alphabet="abcdefghij0123456789-_ é", min_size=1, max_size=8).map(str.strip)
given_rows = st.lists(
    st.builds(
        Row,
        interaction=st.builds(
            Interaction,
            input=texts,
            output=texts.filter(str.strip),
            ground_truth=st.none() | texts,
        ),
        label=st.floats(0, 1),
        id=identifiers.filter(bool),
        weight=st.floats(0, 1e6),
        group=identifiers.filter(bool),
        label_source=st.sampled_from(LABEL_SOURCES),
        selection=st.sampled_from(SELECTIONS),
        extra=st.dictionaries(st.just("system"), identifiers.filter(bool)),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda row: row.id,
)


def _write(path: Path, rows: list[Row]) -> None:
    records = [
        {name: row.interaction.get(name) for name in FIELDS}
        | {"label": row.label, "id": row.id, "weight": row.weight, "group": row.group}
        | {"label_source": row.label_source, "selection": row.selection}
        | {"system": row.extra.get("system")}
        for row in rows
    ]
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, records[0])
            writer.writeheader()
            writer.writerows(records)
    elif path.suffix == ".jsonl":
        with path.open("w", newline="\n", encoding="utf-8") as file:
            file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    else:
        pq.write_table(pa.Table.from_pylist(records), path)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@settings(max_examples=60)
@given(rows=given_rows)
def test_rows_written_and_read_again_are_the_same_rows(suffix, rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows{suffix}"
        _write(path, rows)
        data = read_rows(path)
    expected = [
        Row(
            **{
                **{name: getattr(row, name) for name in Row.__slots__},
                "interaction": Interaction(
                    **{
                        name: _as_kept(row.interaction.get(name), suffix)
                        for name in FIELDS
                        if any(other.interaction.get(name) for other in rows)
                    }
                ),
            }
        )
        for row in rows
    ]
    assert data.rows == expected
    assert fingerprint(data.rows) == fingerprint(expected)


def _as_kept(text: str | None, suffix: str) -> str | None:
    return text or None if suffix == ".csv" else text
