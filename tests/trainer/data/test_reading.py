from __future__ import annotations

import csv
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tipstaff_trainer.data.reading import read_table
from tipstaff_trainer.errors import DataError


def test_csv_cells_keep_commas_quotes_and_line_ends_and_rows_know_their_line(write):
    path = write("a.csv", 'input,label\r\n"one\ntwo, ""three""",1\r\n\r\nfour,0\r\n')
    table = read_table(path)
    assert table.columns == ("input", "label")
    assert [record.values for record in table.records] == [
        {"input": 'one\ntwo, "three"', "label": "1"},
        {"input": "four", "label": "0"},
    ]
    assert [record.place for record in table.records] == [
        f"{path}, row 1 (line 2)",
        f"{path}, row 2 (line 5)",
    ]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json"])
def test_a_byte_order_mark_is_no_part_of_the_text(write, name):
    text = {
        "a.csv": "input,label\né,1\n",
        "a.jsonl": '{"input": "é", "label": "1"}\n',
        "a.json": '[{"input": "é", "label": "1"}]',
    }[name]
    table = read_table(write(name, text.encode("utf-8-sig")))
    assert table.columns == ("input", "label")
    assert table.records[0].values == {"input": "é", "label": "1"}


def test_an_empty_csv_cell_is_absent(write):
    assert read_table(write("a.csv", "input,output\na,\n")).records[0].values["output"] is None


def test_a_csv_cell_may_be_very_long_and_the_limit_of_others_is_left_alone(write):
    limit = csv.field_size_limit()
    text = "x" * (limit + 1)
    assert read_table(write("a.csv", f"input\n{text}\n")).records[0].values["input"] == text
    assert csv.field_size_limit() == limit


def test_a_column_without_a_name_is_left_out_with_a_note(write):
    table = read_table(write("a.csv", ",input\n0,a\n"))
    assert table.columns == ("input",)
    assert table.records[0].values == {"input": "a"}
    assert "left out 1 of 2 columns" in table.notes[0]


def test_json_lines_may_be_blank_and_differ_in_their_columns(write):
    path = write("a.ndjson", '\n{"input": "a\u2028b"}\r\n  \n{"label": 1, "input": null}')
    table = read_table(path)
    assert table.columns == ("input", "label")
    assert [record.values for record in table.records] == [
        {"input": "a\u2028b"},
        {"label": 1, "input": None},
    ]
    assert [record.place for record in table.records] == [
        f"{path}, row 1 (line 2)",
        f"{path}, row 2 (line 4)",
    ]


@pytest.mark.parametrize(
    "text", ['[{"input": "a"}, {"input": "b"}]', '{"input":"a"}\n{"input":"b"}']
)
def test_a_json_file_is_an_array_or_json_lines(write, text):
    records = read_table(write("a.json", text)).records
    assert [record.values for record in records] == [{"input": "a"}, {"input": "b"}]


def test_half_a_surrogate_pair_is_replaced_and_told(write):
    values = {"input": "cut \ud83d", "output": "whole 😀", "parts": ["\udc00"]}
    path = write("a.jsonl", json.dumps({"input": "fine 😀"}) + "\n" + json.dumps(values))
    table = read_table(path)
    assert table.records[1].values == {
        "input": "cut \ufffd",
        "output": "whole 😀",
        "parts": ["\ufffd"],
    }
    assert len(table.notes) == 1
    assert f"in 1 of 2 rows; the first is {path}, row 2 (line 2)" in table.notes[0]


def test_whole_surrogate_pairs_are_nothing_to_tell(write):
    line = json.dumps({"input": "😀", "label": float("nan")})
    assert read_table(write("a.jsonl", line)).notes == ()


def test_parquet_gives_python_values(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table(
        {
            "input": ["a", None],
            "context": [["p", "q"], []],
            "label": pa.array([True, None]),
            "at": pa.array([1, 2], pa.timestamp("ns")),
            "took": pa.array([1, 2], pa.duration("ns")),
        }
    )
    pq.write_table(table, path)
    records = read_table(path).records
    assert records[0].values == {
        "input": "a",
        "context": ["p", "q"],
        "label": True,
        "at": "1970-01-01 00:00:00.000000001",
        "took": 1,
    }
    assert records[1].values["input"] is None
    assert records[1].place == f"{path}, row 2"


def test_a_parquet_file_in_a_partitioned_folder_gains_no_column(tmp_path):
    path = tmp_path / "label=1" / "a.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"input": ["a"]}), path)
    assert read_table(path).columns == ("input",)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "has no rows"),
        ("a.csv", "input,label\n", "has no rows"),
        ("a.jsonl", "\n \n", "has no rows"),
        ("a.json", "[]", "has no rows"),
        ("a.csv", "input,output\na\n", "row 1 (line 2): has 1 cells and the header has 2"),
        ("a.csv", 'input,output\n"a\nb",c\na,b,c\n', "row 2 (line 4): has 3 cells"),
        ("a.csv", 'input,output\na,b\na,"b "c" d"\n', "row 2 (line 3): the quotes don't match"),
        ("a.csv", 'input,output\na,b\na,"b\nc,d\n', "row 2 (line 3): the quotes don't match"),
        ("a.csv", "input,input\na,b\n", 'two columns are named "input"'),
        ("a.csv", "input,output\na,caf\xe9\n".encode("latin-1"), "line 2: not UTF-8 (byte 0xe9)"),
        ("a.jsonl", '{"a": 1}\n\n{"a": "b\n', "row 2 (line 3): not a JSON object on one line: Unt"),
        ("a.jsonl", "{'a': 1}\n", "row 1 (line 1): not a JSON object on one line"),
        ("a.jsonl", '{"a": 1}{"a": 2} x\n', "Extra data at character 9"),
        ("a.jsonl", '{"a": ' + "[" * 100_000, "row 1 (line 1): not a JSON object"),
        ("a.jsonl", '{"a": ' + "1" * 5_000 + "}", "row 1 (line 1): not a JSON object"),
        ("a.jsonl", '{"a": 1}\n"b"\n', 'row 2 (line 2): "b" is not a JSON object with named'),
        ("a.json", '[{"a": 1},\n 2]', "row 2: 2 is not a JSON object with named columns"),
        ("a.json", '[{"a": 1},\n', "not a JSON array of objects: Expecting value at line 2"),
        ("a.parquet", b"PAR1 and no more", "can't be read as Parquet"),
        ("a.parquet", b"", "can't be read as Parquet"),
        ("a.xlsx", b"PK", "can't be read as a spreadsheet"),
        ("a.xls", b"PK", "is none of .csv, .tsv, .jsonl, .ndjson, .json, .parquet, .xlsx"),
        ("a.csv.gz", b"\x1f\x8b and no more", "can't be uncompressed"),
        ("a.csv", "input\n".encode("utf-16")[:-1], "not UTF-16"),
        ("a", b"", "is none of .csv, .tsv"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_that_says_where_and_why(
    write, name, content, message
):
    path = write(name, content)
    with pytest.raises(DataError) as error:
        read_table(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_duplicate_columns_of_a_parquet_file_are_an_error(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table([pa.array(["a"]), pa.array(["b"])], names=["input", "input"]), path)
    with pytest.raises(DataError, match='two columns are named "input"'):
        read_table(path)


def test_a_missing_file_and_a_folder_are_named_as_such(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "a.csv")
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path / "b.csv")


def test_pyarrow_is_imported_for_parquet_only():
    code = "import sys, tipstaff_trainer.data; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
