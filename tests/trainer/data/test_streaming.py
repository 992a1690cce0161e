import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tipstaff_trainer.data.reading import read_table
from tipstaff_trainer.data.streaming import TextReader, stream_tables
from tipstaff_trainer.errors import DataError

CSV = "input,output\nq,a\nr,b\n"
LINES = '{"input": "q", "output": "a"}\n{"input": "r", "output": "b"}\n'


def texts(path, rows=1):
    tables = stream_tables(path, rows)
    first = next(tables)
    reader = TextReader(first, path.name)
    return [reader.read(each) for table in (first, *tables) for each in table.records]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV.encode("utf-16-le")),
        ("a.csv", CSV.encode("utf-16")),
        ("a.csv.gz", gzip.compress(CSV.encode("utf-8-sig"), mtime=0)),
        ("a.jsonl", LINES.encode("utf-16-be")),
        ("a.jsonl", json.dumps([json.loads(line) for line in LINES.splitlines()]).encode()),
        ("a.jsonl", b"\n\n" + LINES.encode()),
    ],
)
def test_a_file_is_read_the_same_in_parts_and_whole(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert [(each.input, each.output) for each in texts(path)] == [("q", "a"), ("r", "b")]
    assert [each.values["input"] for each in read_table(path).records] == ["q", "r"]


LONG = gzip.compress(json.dumps([{"input": str(n)} for n in range(9000)]).encode(), mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.csv.gz", gzip.compress(CSV.encode(), mtime=0)[:9], "can't be uncompressed"),
        ("a.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)[:-4], "can't be uncompressed"),
        ("a.json.gz", LONG[: len(LONG) // 2], "can't be uncompressed"),
        ("a.csv", "inputé\nq\n".encode("latin-1"), "not UTF-8 .byte 0xe9.; save the file as"),
        ("a.jsonl", '{"input": "é"}\n'.encode("latin-1"), "not UTF-8 .byte 0xe9."),
        ("a.parquet", b"PAR1", "can't be read as Parquet"),
    ],
)
def test_a_damaged_file_is_said(tmp_path, name, content, problem):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=problem):
        texts(path)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a.json"])
def test_a_file_that_is_not_there_is_said(tmp_path, name):
    with pytest.raises(DataError, match=r"[Nn]o such file"):
        texts(tmp_path / name)


def test_half_a_surrogate_pair_is_replaced(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"input": "q\\ud83d"}\n')
    assert texts(path)[0].input == "q\ufffd"


def test_a_field_that_only_later_rows_have_is_read(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(LINES + '{"input": "s", "output": "c", "contexts": ["d"]}\n')
    assert [each.ground_truth for each in texts(path)] == [None, None, "d"]


def test_repeated_names_are_the_same_in_parts_and_whole(tmp_path):
    path = tmp_path / "a.parquet"
    names = ["output", "note", "note"]
    columns = [pa.array([f"{n}{row}" for row in range(3)]) for n in ("output", "x", "y")]
    pq.write_table(pa.Table.from_arrays(columns, names), path)
    whole, parts = read_table(path), list(stream_tables(path, 2))
    assert parts[0].columns == whole.columns == ("output", "note", "note (2)")
    assert [each.values for part in parts for each in part.records] == [
        each.values for each in whole.records
    ]
    # What is said of the file is said once.
    assert [part.notes for part in parts] == [whole.notes, ()]
    pq.write_table(pa.Table.from_arrays(columns, ["output", "input", "input"]), path)
    for read in (read_table, lambda path: list(stream_tables(path, 2))):
        with pytest.raises(DataError, match='two columns are named "input"'):
            read(path)
