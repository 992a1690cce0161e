from __future__ import annotations

import ast
import json

import pytest

from tipstaff_trainer.data import read_rows
from tipstaff_trainer.data.paths import decode, parse_path, suggest_path
from tipstaff_trainer.errors import DataError

MESSAGES = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]


@pytest.mark.parametrize(
    ("path", "values", "expected"),
    [
        ("inputs.question", {"inputs": {"question": "q"}}, "q"),
        ("inputs.question", {"inputs": '{"question": "q"}'}, "q"),
        ("inputs.question", {"inputs": "{'question': 'q', 'n': None}"}, "q"),
        ("messages[-1].content", {"messages": MESSAGES}, "a"),
        ("messages[:-1]", {"messages": MESSAGES}, MESSAGES[:1]),
        ("messages[5].content", {"messages": MESSAGES}, None),
        (
            "contexts[*].text",
            {"contexts": [{"text": "a"}, {"other": 1}, {"text": "b"}]},
            ["a", "b"],
        ),
        ("contexts[*]", {"contexts": "['a', 'b']"}, ["a", "b"]),
        ("a.b[0].c", {"a": json.dumps({"b": json.dumps([{"c": 1}])})}, 1),
        ("outputs.*", {"outputs": {"anything": "x"}}, "x"),
        ("outputs.*", {"outputs": {"a": 1, "b": 2}}, None),
        # A column's own name comes first; columns that were flattened are an object.
        ("inputs.question", {"inputs.question": "flat", "inputs": {"question": "q"}}, "flat"),
        ("inputs.*", {"inputs.question": "flat"}, "flat"),
        ("documents[*].document.content", {"documents": [{"document.content": "x"}]}, ["x"]),
        ("a.b", {"a": None}, None),
        ("a.b", {"a": "{broken"}, None),
        ("a.b", {"a": 3}, None),
    ],
)
def test_a_path_leads_into_objects_lists_and_json(path, values, expected):
    parsed = parse_path(path, values)
    assert parsed is not None
    assert parsed.read(values) == expected


@pytest.mark.parametrize("path", ["nowhere.a", "a[", "a.", "a[1:2:3]", "a b"])
def test_what_is_no_path_into_a_column_is_none(path):
    assert parse_path(path, ["a", "b"]) is None


def test_decoding_runs_nothing_and_bears_hostile_text():
    for text in (
        "[" * 50_000 + "]",
        "{'a': __import__('os')}",
        "[1, 2",
        "{}x",
        "[" * 300 + "]" * 300,
    ):
        assert decode(text) is None or isinstance(decode(text), list)


def test_texts_without_commas_are_found_only_where_two_stand_side_by_side(monkeypatch):
    for text in ("['a' 'b']", "['a'\n 'b']", "[b'a' 'b']", """["it's" 'b']"""):
        assert len(decode(text)) == 2
    assert decode("array(['a', 'b' 'c'], dtype=object)") == ["a", "b", "c"]
    monkeypatch.setattr("tokenize.generate_tokens", None)
    for text in ("['a', 'b']", "[{'a': None}, 'b', '']", """["it's", 'b']""", "[1, None]"):
        assert decode(text) == ast.literal_eval(text)


@pytest.mark.parametrize(
    ("cells", "steps"),
    [
        (['{"content": "a b c", "n": 1}'], ".content"),
        (['{"n": 1, "reply": "a longer text", "k": "x"}'], ".reply"),
        (["['a', 'b']"], "[*]"),
        ([json.dumps(MESSAGES)], "[-1].content"),
        (['[{"page_content": "a"}]'], "[*].page_content"),
        (["[1, 2]"], ""),
        (["plain", "texts [1]", "{not json}"], None),
        (["{}", "plain", "plain"], None),
    ],
)
def test_the_path_to_a_text_is_suggested(cells, steps):
    assert suggest_path(cells) == steps


def test_json_in_cells_is_said_with_the_mapping_that_reads_it(write):
    rows = [("q paris", "paris", 1), ("q london", "london", 0)]
    text = "input,output,label\n" + "".join(
        '"{{""content"": ""{}""}}","{{""content"": ""{}""}}",{}\n'.format(*row) for row in rows
    )
    path = write("a.csv", text)
    data = read_rows(path)
    assert data.rows[0].interaction.output == '{"content": "paris"}'
    said = [each for each in data.warnings if "look like JSON" in each]
    assert len(said) == 2
    assert said[1].endswith("to read what is in it: output=output.content")
    mapping = {"input": "input.content", "output": "output.content"}
    mapped = read_rows(path, mapping=mapping)
    assert [(row.interaction.input, row.interaction.output) for row in mapped.rows] == [
        ("q paris", "paris"),
        ("q london", "london"),
    ]
    assert not mapped.warnings


def test_a_path_that_leads_nowhere_says_what_is_there(write):
    path = write("a.jsonl", '{"meta": {"reply": "a", "n": 1}, "label": 1}')
    with pytest.raises(DataError, match=r"no row has anything at meta.answer, .*mapped to output"):
        read_rows(path, mapping={"output": "meta.answer"})
    with pytest.raises(DataError) as error:
        read_rows(path, mapping={"output": "meta.answer"})
    assert error.value.remedy == 'under meta are "reply" and "n"'


def test_a_tool_call_is_no_json_to_warn_of(write):
    call = {"output": {"name": "f", "arguments": {"n": 0}}, "label": 1}
    data = read_rows(write("a.jsonl", json.dumps(call)))
    assert data.rows[0].interaction.output == '{"arguments": {"n": 0}, "name": "f"}'
    assert not data.warnings
    other = read_rows(write("b.jsonl", '{"output": {"city": "Paris", "n": 1}, "label": 1}'))
    assert "read as JSON; to read a part of them: output=output.city" in other.warnings[0]


def test_json_strings_are_said(write):
    data = read_rows(write("a.jsonl", '{"output": "\\"paris\\"", "label": 1}'))
    assert "are JSON strings and are read with their quotes" in data.warnings[0]
    assert not read_rows(write("b.jsonl", '{"output": "He said \\"no\\"", "label": 1}')).warnings
