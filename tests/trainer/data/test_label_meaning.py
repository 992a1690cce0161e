"""Labels mean what people meant: words, scales, direction, absent ones, several in a cell."""

from __future__ import annotations

import json
import math

import pytest

from tipstaff.errors import UsageError
from tipstaff_trainer.data import LabelMeaning, read_rows
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.operations.sources import FileData, read_file


def labels(write, values, *, name="a.jsonl", **meaning):
    lines = [json.dumps({"output": f"paris {n}", "label": value}) for n, value in enumerate(values)]
    data = read_rows(
        write(name, "\n".join(lines)), labelled=False, meaning=LabelMeaning.parse(meaning)
    )
    return [None if math.isnan(row.label) else round(row.label, 3) for row in data.rows], data


@pytest.mark.parametrize(
    ("values", "meaning", "expected"),
    [
        (
            ["correct", "Incorrect", "PASS", "fail", "Y", "n", "👍🏽", "👎", "✅", "❌"],
            {},
            [1, 0] * 5,
        ),
        (["gut", "schlecht", "gut"], {"good": "gut", "bad": "schlecht"}, [1, 0, 1]),
        (["a", "b", "c"], {"good": ["a", "b"], "bad": "c"}, [1, 1, 0]),
        ([1, 3, 5], {"scale": "1-5"}, [0, 0.5, 1]),
        (["1", "3", "4"], {"scale": "1-5", "cut": 4}, [0, 0, 1]),
        ([0, 50, "90 %"], {"scale": "0-100"}, [0, 0.5, 0.9]),
        (["90%", "12.5 %"], {}, [0.9, 0.125]),
        # A flag of hallucinations: 1 is bad. Words for quality keep their meaning.
        ([1, 0, True, "no", "good"], {"high_is": "bad"}, [0, 1, 0, 1, 1]),
        ([1, 5, 2], {"scale": "1-5", "cut": 3, "high_is": "bad"}, [1, 0, 1]),
        ([[1, 0, 1, 1], "yes; no", "[1, 0]", "pass | pass"], {}, [0.75, 0.5, 0.5, 1]),
        ([[{"user_id": 1, "value": "yes"}, {"user_id": 2, "value": "no"}]], {}, [0.5]),
        (["NaN", "None", "N/A", "", "  ", None, "null"], {}, [None] * 7),
        ([1, 0, "?"], {"absent": "?"}, [1, 0, None]),
        ([1, -1, 0], {}, [1, None, 0]),
        (["yes", "no", -1], {}, [1, 0, None]),
        ([0.9, 0.2, -1], {}, [0.9, 0.2, None]),
        (["87,5 %", "5 %"], {}, [0.875, 0.05]),
        (["4/5", "1 out of 5", "5 stars", "2 - poor"], {"scale": "1-5"}, [0.75, 0, 1, 0.25]),
        (["★★★★☆", "⭐"], {"scale": "1-5"}, [0.75, 0]),
        (["Pass ✅", "Fail ❌", "Correct.", "Supported", "irrelevant"], {}, [1, 0, 1, 1, 0]),
        (["✔\ufe0f", "❌", "n.a.", "#VALUE!"], {}, [1, 0, None, None]),
        (['[{"rating": 5}]', '{"choices": ["no"]}'], {"scale": "0-5", "bad": "no"}, [1, 0]),
        ([1, -1], {"bad": "-1"}, [1, 0]),
        ([1, "-1"], {"absent": "-1"}, [1, None]),
    ],
)
def test_a_label_is_what_was_meant(write, values, meaning, expected):
    assert labels(write, values, **meaning)[0] == expected


@pytest.mark.parametrize(
    ("values", "field", "remedy"),
    [
        ([1, 2, 5, 4], "scale", "1-5"),
        ([0, 100, 55], "scale", "0-100"),
        (["A", "B"], "good", ""),
        ([1, -1, 1], "absent", "-1"),
        (["yes", -1, "yes"], "absent", "-1"),
        ([5, 1, -1], "scale", "1-5 if they are on that scale, {absent} to -1"),
        (["4/5", "2/5"], "scale", "1-5"),
        (["Strongly agree", "Disagree", 1], "good", "which words mean good"),
    ],
)
def test_what_can_not_be_known_is_asked_for(write, values, field, remedy):
    with pytest.raises(DataError) as error:
        labels(write, values)
    assert f"{{{field}}}" in error.value.remedy
    assert remedy in error.value.remedy


def test_how_labels_were_read_is_told(write):
    _, data = labels(write, ["correct", "incorrect", "correct"])
    assert data.reading[0].endswith('labels read: "correct" as good (2), "incorrect" as bad (1)')
    _, data = labels(write, [1, 0, 0.5])
    assert data.reading == ()
    file = FileData(data=write("b.jsonl", '{"output": "paris", "label": 1}'))
    assert read_file(file).reading == ()
    _, data = labels(write, [1, 0, -1, -1])
    assert "2 labels are -1, read as no label, since others say bad" in data.warnings[0]


def test_several_annotators_in_columns(write):
    path = write("a.csv", "output,ann,bob\nparis,yes,no\nlondon,yes,\n")
    rows = read_rows(path, mapping={"label": "ann,bob"}).rows
    assert [row.label for row in rows] == [0.5, 1.0]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"good": "a", "bad": "A"}, "bad"),
        ({"scale": "5"}, "scale"),
        ({"scale": "5-1"}, "scale"),
        ({"high_is": "left"}, "high_is"),
    ],
)
def test_a_meaning_that_contradicts_itself_is_refused(values, field):
    with pytest.raises(UsageError) as error:
        LabelMeaning.parse(values)
    assert error.value.field == field


def test_equal_texts_with_contradicting_labels_are_counted(write):
    text = "id,input,output,label\n1,q,Paris ,1\n2,q,paris,0\n3,q,london,0\n4,q,london,0\n"
    (warning,) = [
        each for each in read_rows(write("a.csv", text)).warnings if "contradicting" in each
    ]
    assert "2 rows hold 1 interaction with contradicting labels" in warning
    assert "row 1 (line 2) (1) and" in warning
    assert "row 2 (line 3) (0)" in warning


def test_people_s_labels_find_their_rows_by_text_where_a_spreadsheet_altered_ids(write):
    judged = "".join(f"12E{n},paris {n},1,judge\n" for n in range(12))
    people = "".join(f"1.2E+{n + 1},paris {n},0,human\n" for n in range(4))
    data = read_rows(write("a.csv", "id,output,label,label_source\n" + judged + people))
    assert len(data.rows) == 12
    assert [row.label_source for row in data.rows[:5]] == ["human"] * 4 + ["judge"]
    assert sum(row.label for row in data.rows) == 8
    assert "4 labels by people were matched to their rows by text" in data.warnings[0]
    # Ids that match need no texts, and a few equal texts are no sign of altered ids.
    other = "".join(f"p{n},london {n},0,human\n" for n in range(5))
    rows = "id,output,label,label_source\n1,paris 1,1,judge\np9,paris 1,0,human\n" + other
    assert len(read_rows(write("b.csv", rows)).rows) == 7


def test_numbers_with_a_comma_are_asked_for_with_a_point(write):
    with pytest.raises(DataError) as error:
        read_rows(write("a.csv", "input;output;label\nq;a;0,1\nr;b;1\n"))
    assert "write numbers with a point" in error.value.remedy


def test_a_column_that_is_named_like_a_flaw_may_be_a_flag(write):
    path = write("a.csv", "input,output,hallucination\nq,a,1\nr,b,0\n")
    mapping = {"label": "hallucination"}
    (warning,) = read_rows(path, mapping=mapping).warnings
    assert '"hallucination" are read as good; if they flag something bad' in warning
    assert not read_rows(path, mapping=mapping, meaning=LabelMeaning(high_is="bad")).warnings
    words = write("b.csv", "input,output,hallucination\nq,a,pass\nr,b,fail\n")
    assert not read_rows(words, mapping=mapping).warnings
