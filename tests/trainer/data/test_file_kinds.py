"""Files as spreadsheets and other tools write them."""

from __future__ import annotations

import gzip
import io
import json
import sys
import zipfile
from pathlib import Path

import pytest

from tipstaff_trainer.data import read_rows
from tipstaff_trainer.data.csv_files import escaped
from tipstaff_trainer.data.reading import STANDARD_INPUT, read_table
from tipstaff_trainer.data.streaming import stream_tables
from tipstaff_trainer.errors import DataError

ROWS = [("q, one", "paris; it is", "1"), ("q\ttwo", "lon|don", "0")]
NAMES = ("input", "output", "label")


def zipped(data):
    """Without the time, which would give a test another name in each process."""
    return gzip.compress(data, mtime=0)


def delimited(separator, *, head=""):
    lines = [NAMES, *ROWS]
    return head + "".join(separator.join(f'"{cell}"' for cell in line) + "\r\n" for line in lines)


def xlsx(rows):
    """A spreadsheet with one sheet, numbers and texts within the cells."""
    namespace = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    cells = "".join(
        "<row>"
        + "".join(
            f"<c><v>{cell}</v></c>"
            if isinstance(cell, (int, float))
            else f'<c t="inlineStr"><is><t>{cell}</t></is></c>'
            for cell in row
        )
        + "</row>"
        for row in rows
    )
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default '
        'Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {namespace} xmlns:r="{office}"><sheets><sheet name="Labels" '
        'sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
        "</Relationships>",
        "xl/worksheets/sheet1.xml": f"<worksheet {namespace}><sheetData>{cells}</sheetData>"
        "</worksheet>",
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", delimited(",")),
        ("a.csv", delimited(";")),
        ("a.csv", delimited("\t")),
        ("a.csv", delimited("|")),
        ("a.csv", delimited("^", head="sep=^\r\n")),
        ("a.csv", "\r\n" + delimited(";")),
        ("a.tsv", delimited("\t")),
        ("a.csv", delimited(";").encode("utf-16")),
        ("a.csv", delimited(",").encode("utf-16-le")),
        ("a.csv", delimited(",").encode("utf-16-be")),
        ("a.csv.gz", zipped(delimited(";").encode())),
        (
            "a.json",
            json.dumps([dict(zip(NAMES, row, strict=True)) for row in ROWS]).encode("utf-16"),
        ),
        ("a.json", json.dumps({name: [row[n] for row in ROWS] for n, name in enumerate(NAMES)})),
        (
            "a.json",
            json.dumps(
                {
                    name: {str(i): row[n] for i, row in enumerate(ROWS)}
                    for n, name in enumerate(NAMES)
                }
            ),
        ),
        (
            "a.json",
            json.dumps({"data": [dict(zip(NAMES, row, strict=True)) for row in ROWS]}, indent=1),
        ),
        (
            "a.jsonl.gz",
            zipped(
                "\n".join(json.dumps(dict(zip(NAMES, row, strict=True))) for row in ROWS).encode()
            ),
        ),
        ("a.xlsx", xlsx([NAMES, *ROWS])),
    ],
)
def test_a_file_is_read_as_it_is(write, name, content):
    rows = read_rows(write(name, content)).rows
    assert [
        (row.interaction.input, row.interaction.output, f"{row.label:g}") for row in rows
    ] == ROWS


def test_numbers_of_a_spreadsheet_that_are_whole_are_ids(write):
    path = write("a.xlsx", xlsx([("id", "output", "label"), (7, "paris", 1), (8, "london", 0.5)]))
    data = read_rows(path)
    assert [(row.id, row.label) for row in data.rows] == [("7", 1.0), ("8", 0.5)]
    assert data.rows[0].place == f'{path}, sheet "Labels", row 1 (line 2)'


@pytest.mark.parametrize(
    "content",
    [
        delimited(";").encode(),
        json.dumps([dict(zip(NAMES, ROWS[0], strict=True))]).encode(),
        xlsx([NAMES, *ROWS]),
    ],
)
def test_standard_input_is_read_by_its_content(monkeypatch, content):
    class Input:
        buffer = io.BytesIO(content)

    monkeypatch.setattr(sys, "stdin", Input)
    assert read_rows(STANDARD_INPUT).rows[0].interaction.output == ROWS[0][1]


def test_one_row_with_lists_of_objects_is_one_row(write):
    row = {"input": "q", "output": "a", "docs": [{"text": "p"}], "label": 1}
    for name in ("a.json", "a.jsonl"):
        assert len(read_rows(write(name, json.dumps(row))).rows) == 1
    assert len(read_rows(write("b.json", json.dumps(row, indent=1))).rows) == 1


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "12E26"),
        ("id", "007"),
        ("id", "2024-01-02"),
        ("id", "MAR1"),
        ("id", "true"),
        ("output", "=1+1"),
        ("output", "-5 degrees"),
        ("output", "'quoted'"),
    ],
)
def test_a_spreadsheet_alters_no_escaped_cell_and_it_is_read_back(write, column, value):
    written = escaped(column, value)
    assert written == "'" + value
    own = {
        "id": "a",
        "output": "b",
        "label_source": "",
        "selection": "",
        "judge_label": "",
        "split": "",
    }
    own[column] = written
    text = ",".join(own) + "\n" + ",".join(f'"{cell}"' for cell in own.values()) + "\n"
    assert read_table(write("own.csv", text)).records[0].values[column] == value
    several = text.replace(
        "label_source,selection,judge_label", "a.label_source,a.selection,a.judge_label"
    )
    assert read_table(write("several.csv", several)).records[0].values[column] == value
    # In another tool's file an apostrophe is an apostrophe.
    other = write("other.csv", f'id,output,label\n"{written}","{written}",1\n')
    assert read_table(other).records[0].values[column] == written


def test_plain_cells_are_left_as_they_are():
    for column, value in (("id", "a7"), ("output", "5 degrees"), ("label", -1), ("output", None)):
        assert escaped(column, value) == value


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.jsonl.gz"])
def test_a_stream_gives_the_same_records_in_parts(write, name):
    lines = [dict(zip(NAMES, (f"q {n}", f"a\n{n}", str(n % 2)), strict=True)) for n in range(25)]
    content = "\n".join(map(json.dumps, lines)).encode()
    if name == "a.csv":
        content = b"input,output,label\n" + b"".join(
            f'{r["input"]},"{r["output"]}",{r["label"]}\n'.encode() for r in lines
        )
    if name.endswith(".gz"):
        content = gzip.compress(content)
    path: Path = write(name, content)
    parts = list(stream_tables(path, 10))
    assert [len(part.records) for part in parts] == [10, 10, 5]
    assert [record for part in parts for record in part.records] == read_table(path).records


TITLES = ("Export of May", "", "", "")
NAMED = ("id", "question", "answer", "good")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "Export of May,,,\n\nid,question,answer,good\n1,q,paris,1\n2,r,london,0\n"),
        ("a.csv", "About,Conversation,,Review\nid,question,answer,good\n1,q,paris,1\n2,r,london,0"),
        ("a.xlsx", xlsx([TITLES, NAMED, (1, "q", "paris", 1), (2, "r", "london", 0)])),
    ],
)
def test_titles_above_the_names_of_the_columns_are_not_read(write, name, content):
    path = write(name, content)
    data = read_rows(path)
    assert [(row.id, row.interaction.output, row.label) for row in data.rows] == [
        ("1", "paris", 1.0),
        ("2", "london", 0.0),
    ]
    assert any("above the names of the columns" in each for each in data.warnings)
    assert data.rows[0].place.endswith("(line 4)" if "\n\n" in str(content) else "(line 3)")


def test_a_repeated_name_of_another_column_is_numbered(write):
    content = "output,note,note,label\na,x,y,1\nb,z,,0\n"
    data = read_rows(write("a.csv", content))
    assert data.rows[0].extra == {"note": "x", "note (2)": "y"}
    assert any('2 columns are named "note"' in each for each in data.warnings)


def test_empty_cells_beyond_the_columns_are_no_cells(write):
    rows = read_rows(write("a.csv", "output,label\na,1,,\nb,0,\n")).rows
    assert [row.interaction.output for row in rows] == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "id,output,label\n1.0,a,1\n2.0,b,0\n,c,1\n"),
        ("a.jsonl", '{"id": 1.0, "output": "a", "label": 1}\n{"id": 2, "output": "b", "label": 0}'),
    ],
)
def test_ids_that_pandas_made_floats_are_whole_numbers(write, name, content):
    assert [row.id for row in read_rows(write(name, content)).rows][:2] == ["1", "2"]


def test_ids_with_a_point_stay_as_they_are(write):
    rows = read_rows(write("a.csv", "id,output,label\n1.0,a,1\n1.1,b,0\n")).rows
    assert [row.id for row in rows] == ["1.0", "1.1"]


def test_lists_of_lists_of_passages_are_passages(write):
    row = {"output": "a", "contexts": [["x", "y"], ["z", None]], "label": 1}
    data = read_rows(write("a.jsonl", json.dumps(row)))
    assert data.rows[0].interaction.ground_truth == "x\n\ny\n\nz"
    assert not data.warnings


def test_objects_that_take_several_lines_are_rows(write):
    rows = [{"output": "a", "label": 1}, {"output": "b", "label": 0}]
    for content in ("\n".join(json.dumps(row, indent=1) for row in rows), '{"output": "a"}' * 2):
        read = read_rows(write("a.jsonl", content), labelled=False).rows
        assert [row.interaction.output for row in read][:1] == ["a"]
    assert [row.label for row in read_rows(write("b.json", json.dumps(rows[0]) * 1)).rows] == [1.0]


def test_rows_by_their_ids_are_rows(write):
    rows = {"a1": {"output": "a", "label": 1}, "a2": {"output": "b", "label": 0}}
    read = read_rows(write("a.json", json.dumps(rows))).rows
    assert [(row.id, row.label) for row in read] == [("a1", 1.0), ("a2", 0.0)]


def test_spaces_after_separators_are_no_part_of_the_cells(write):
    rows = read_rows(write("a.csv", 'input, output, label\n"q, r", "a, b", 1\nr, b, 0\n')).rows
    assert [(row.interaction.output, row.label) for row in rows] == [("a, b", 1.0), ("b", 0.0)]


def test_lists_as_numpy_prints_them_are_lists(write):
    content = "output,contexts\na,\"['x' 'y, z']\"\nb,\"array(['x', 'y'], dtype=object)\"\n"
    data = read_rows(
        write("a.csv", content), mapping={"ground_truth": "contexts[*]"}, labelled=False
    )
    assert [row.interaction.ground_truth for row in data.rows] == ["x\n\ny, z", "x\n\ny"]


def test_decimal_commas_are_read_where_they_can_be_nothing_else(write):
    data = read_rows(write("a.csv", "output;label\na;0,9\nb;0,1\nc;1\n"))
    assert [row.label for row in data.rows] == [0.9, 0.1, 1.0]
    assert any("commas are read as decimal points" in each for each in data.warnings)
    with pytest.raises(DataError, match='"0,1" is not a label'):
        read_rows(write("b.csv", "output;label\na;0,1\nb;1,1\n"))


def test_repeated_names_of_a_table_in_json_are_named_apart(tmp_path):
    path = tmp_path / "a.json"
    table = {"columns": ["output", "note", "note"], "data": [["a", "x", "y"], ["b", "z", "w"]]}
    path.write_text(json.dumps(table))
    read = read_table(path)
    assert read.columns == ("output", "note", "note (2)")
    assert read.records[0].values == {"output": "a", "note": "x", "note (2)": "y"}
    assert any('2 columns are named "note"' in each for each in read.notes)
