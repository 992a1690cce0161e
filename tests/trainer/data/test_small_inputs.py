"""Small inputs as people bring them, each kind with what it must be read as."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tipstaff_trainer.data import LabelMeaning, read_rows
from tipstaff_trainer.errors import DataError

Q, GOOD, BAD, C = "Where is my parcel {}?", "It left on day {}.", "I can't say, day {}.", "Day {}."
COUNT = 12
SUPPORT = Path(__file__).parents[3] / "examples" / "support" / "test.jsonl"


def texts(number):
    """The question, the answer and the context of a row; odd ones are good."""
    answer = GOOD if number % 2 else BAD
    return Q.format(number), answer.format(number), C.format(number)


def chat(question):
    return [{"role": "system", "content": "s"}, {"role": "user", "content": question}]


def answered(answer):
    return {"role": "assistant", "content": answer}


# A row by its question, answer, context and label.
SHAPES = {
    "chat_input": lambda q, a, c, y: {"input": chat(q), "output": answered(a), "label": y},
    "messages": lambda q, a, c, y: {"messages": [*chat(q)[1:], answered(a)], "label": y},
    "ctx_none": lambda q, a, c, y: {"input": q, "output": a, "context": [c, None], "label": y},
    "langsmith": lambda q, a, c, y: {
        "inputs": {"question": q},
        "outputs": {"answer": a},
        "reference_outputs": {"answer": c},
        "feedback": {"correct": y},
    },
    "rag_docs": lambda q, a, c, y: {
        "input": q,
        "output": a,
        "context": [{"page_content": c, "metadata": {}}],
        "label": y,
    },
    "ragas": lambda q, a, c, y: {
        "user_input": q,
        "response": a,
        "retrieved_contexts": [c],
        "reference": "A right answer.",
        "label": y,
    },
}
WITHOUT_CONTEXT = ("chat_input", "messages")


@pytest.mark.parametrize("name", SHAPES)
def test_traces_are_read_without_a_mapping(write, name):
    rows = [SHAPES[name](*texts(n), n % 2) for n in range(COUNT)]
    data = read_rows(write(f"{name}.jsonl", "\n".join(map(json.dumps, rows))))
    assert [row.label for row in data.rows] == [float(n % 2) for n in range(COUNT)]
    for number, row in enumerate(data.rows):
        question, answer, context = texts(number)
        asked = {"chat_input": f"system: s\n\nuser: {question}", "messages": f"user: {question}"}
        assert row.interaction.input == asked.get(name, question)
        assert row.interaction.output == answer
        assert row.interaction.ground_truth == (None if name in WITHOUT_CONTEXT else context)


def test_tool_calls_are_outputs(write):
    rows = [
        {"input": Q.format(n), "output": {"name": "f", "arguments": {"n": n}}, "label": n % 2}
        for n in range(COUNT)
    ]
    data = read_rows(write("tool_out.jsonl", "\n".join(map(json.dumps, rows))))
    assert data.rows[3].interaction.output == '{"arguments": {"n": 3}, "name": "f"}'
    assert not data.warnings


def test_a_table_of_weights_and_biases(write):
    table = {
        "columns": ["input", "output", "ground_truth", "label"],
        "data": [[*texts(n), n % 2] for n in range(COUNT)],
    }
    data = read_rows(write("wandb.table.json", json.dumps(table)))
    assert [row.label for row in data.rows] == [float(n % 2) for n in range(COUNT)]


def labelled(write, name, labels):
    lines = io.StringIO()
    rows = csv.writer(lines)
    rows.writerow(["input", "output", "ground_truth", "label"])
    rows.writerows([*texts(n), label] for n, label in enumerate(labels))
    return write(f"{name}.csv", lines.getvalue())


def test_words_and_absent_labels(write):
    words = ["incorrect", "correct"] * 6
    data = read_rows(labelled(write, "correct", words))
    assert [row.label for row in data.rows] == [0.0, 1.0] * 6
    absent = read_rows(labelled(write, "nan_label", [0, 1, 0, 1, "nan", "", "N/A"]))
    assert [row.label for row in absent.rows] == [0.0, 1.0] * 2
    assert any("left out 3 of 7 rows, without a label" in each for each in absent.warnings)
    minus = read_rows(labelled(write, "minus1", [0, 1, -1, -1]))
    assert [row.label for row in minus.rows] == [0.0, 1.0]
    assert any("2 labels are -1, read as no label" in each for each in minus.warnings)


def test_a_scale_is_asked_for_and_read(write):
    path = labelled(write, "likert", [1, 5, 3, 4])
    with pytest.raises(DataError) as error:
        read_rows(path)
    assert "set {scale} to 1-5" in error.value.remedy
    read = read_rows(path, meaning=LabelMeaning(scale="1-5"))
    assert [row.label for row in read.rows] == [0.0, 1.0, 0.5, 0.75]


def test_a_blank_row_is_left_out_and_counted(write):
    rows = [{"input": Q.format(n), "output": "a", "label": n % 2} for n in range(COUNT)]
    rows[5] = {"input": " ", "output": None, "label": 1}
    data = read_rows(write("one_blank.jsonl", "\n".join(map(json.dumps, rows))))
    assert len(data.rows) == COUNT - 1
    assert any("left out 1 of 12 rows, without a text" in each for each in data.warnings)


def test_contradicting_labels_under_other_ids_are_counted(write):
    rows = [
        {"id": f"{kind}{n}", "input": Q.format(n), "output": "a", "label": int(kind == "a")}
        for kind in "ab"
        for n in range(COUNT)
    ]
    data = read_rows(write("contradicting_ids.jsonl", "\n".join(map(json.dumps, rows))))
    (note,) = (each for each in data.warnings if "contradicting labels" in each)
    assert "24 rows hold 12 interactions with contradicting labels under different ids" in note


def test_people_s_labels_find_their_rows_by_text(write):
    judged = [
        {"id": f"{n}E5", "input": Q.format(n), "output": "a", "label": 0, "label_source": "judge"}
        for n in range(COUNT)
    ]
    people = [
        {**row, "id": f"{n}.00E+05", "label": 1, "label_source": "human"}
        for n, row in enumerate(judged)
    ]
    path = write("ids_changed.jsonl", "\n".join(map(json.dumps, [*judged, *people])))
    data = read_rows(path)
    assert [(row.label, row.label_source) for row in data.rows] == [(1.0, "human")] * COUNT
    assert any("12 labels by people were matched to their rows by text" in w for w in data.warnings)


def test_json_cells_are_said_and_the_mapping_that_is_said_reads_the_plain_texts(write):
    """The texts are the same, so any evaluator's scores are too."""
    rows = [json.loads(line) for line in SUPPORT.read_text().splitlines()]
    fields = ("input", "output", "ground_truth")
    lines = io.StringIO()
    table = csv.writer(lines)
    table.writerow([*fields, "label"])
    for row in rows:
        cells = [json.dumps({"content": row[name]}, ensure_ascii=False) for name in fields]
        table.writerow([*cells, row["label"]])
    path = write("json_cells.csv", lines.getvalue())
    warned = read_rows(path)
    said = [each.rpartition(" ")[2] for each in warned.warnings if "look like JSON" in each]
    assert said == [f"{name}={name}.content" for name in fields]
    mapping = dict(each.split("=") for each in said)
    mapped = read_rows(path, mapping=mapping)
    plain = read_rows(write("plain.jsonl", SUPPORT.read_text()))
    of_plain = {row.interaction: row.label for row in plain.rows}
    assert {row.interaction: row.label for row in mapped.rows} == of_plain
    assert not any("look like JSON" in each for each in mapped.warnings)
