"""Exports of other tools are read without a mapping, labels included."""

from __future__ import annotations

import json

import pytest

from tipstaff.types import Interaction
from tipstaff_trainer.data import LabelMeaning, read_rows
from tipstaff_trainer.data.exports import builtin_forms, load_form
from tipstaff_trainer.data.streaming import TextReader, stream_tables
from tipstaff_trainer.errors import DataError

Q, A, C = "Where is parcel {}?", "It left on day {}.", "Parcel {} left on day {}."
CHAT = [{"role": "user", "content": Q}]


def filled(value, number):
    """A value with a row's number in its texts, and 1 or 0, true or false, by turns for `GOOD`."""
    if isinstance(value, str):
        return value.replace("{}", str(number))
    if isinstance(value, list):
        return [filled(each, number) for each in value]
    if isinstance(value, dict):
        return {key: filled(each, number) for key, each in value.items()}
    return value(number) if callable(value) else value


def flag(number):
    return number % 2 == 1


def one(number):
    return number % 2


def yes(number):
    return "yes" if number % 2 else "no"


EXPORTS = {
    "Langfuse": {
        "id": "t{}",
        "input": {"question": Q},
        "output": {"answer": A},
        "metadata": {"context": [C]},
        "sessionId": None,
        "scores": [{"name": "faithful", "value": one, "source": "ANNOTATION", "comment": "so"}],
    },
    "Phoenix": {
        "context.span_id": "s{}",
        "attributes.input.value": Q,
        "attributes.output.value": A,
        "attributes.retrieval.documents": [{"document.content": C, "document.score": 1.0}],
        "eval.Hallucination.label": lambda n: "factual" if n % 2 else "hallucinated",
        "eval.Hallucination.score": one,
    },
    "LangSmith": {
        "id": "r{}",
        "inputs": {"question": Q},
        "outputs": {"answer": A},
        "reference_outputs": {"answer": C},
        "feedback": {"correct": one},
    },
    "LangSmith feedback": {
        "id": "r{}",
        "inputs": {"question": Q, "context": C},
        "outputs": {"output": A},
        "feedback": [{"key": "correct", "score": one, "feedback_source": {"type": "app"}}],
    },
    "promptfoo": {
        "id": "p{}",
        "testIdx": lambda n: n,
        "vars": {"question": Q, "context": C},
        "prompt": {"raw": "Answer: " + Q, "label": "p"},
        "response": {"output": A, "tokenUsage": {}},
        "success": flag,
        "gradingResult": {"pass": flag, "score": one, "reason": "so"},
    },
    "DeepEval": {
        "name": "case {}",
        "input": Q,
        "actualOutput": A,
        "retrievalContext": [C],
        "success": flag,
        "metricsData": [{"name": "Hallucination", "success": flag, "score": 0.0, "reason": "so"}],
    },
    "ragas": {
        "user_input": Q,
        "response": A,
        "retrieved_contexts": [C],
        "reference": "Another text {}.",
        "faithfulness": one,
    },
    "ragas before 0.2": {"question": Q, "answer": A, "contexts": [C], "faithfulness": one},
    "OpenAI evals": {
        "object": "eval.run.output_item",
        "id": "o{}",
        "datasource_item": {"question": Q, "context": C},
        "sample": {"input": CHAT, "output": [{"role": "assistant", "content": A}]},
        "results": [{"name": "grader", "passed": flag, "score": one}],
    },
    "Argilla": {
        "id": "a{}",
        "fields": {"question": Q, "answer": A, "context": C},
        "responses": {"faithful": [{"value": yes, "user_id": "u"}]},
        "suggestions": {},
    },
    "Argilla on the hub": {
        "id": "a{}",
        "_server_id": "x{}",
        "question": Q,
        "answer": A,
        "context": C,
        "faithful.responses": lambda n: [yes(n), yes(n)],
    },
    "MLflow": {
        "trace_id": "m{}",
        "request": json.dumps({"question": Q}),
        "response": json.dumps({"answer": A}),
        "assessments": [
            {
                "assessment_name": "faithful",
                "feedback": {"value": yes},
                "source": {"source_type": "HUMAN"},
            },
            {
                "assessment_name": "expected",
                "expectation": {"value": C},
                "source": {"source_type": "HUMAN"},
            },
        ],
    },
    "MLflow evaluation": {
        "inputs": Q,
        "outputs": A,
        "context": C,
        "faithfulness/v1/score": one,
    },
    "DeepEval datasets": {"input": Q, "actual_output": A, "retrieval_context": [C], "label": one},
    "chat messages": {
        "messages": [*CHAT, {"role": "assistant", "content": A}],
        "ground_truth": C,
        "label": one,
    },
    "OpenAI evals log": None,
}


def records(name):
    return [filled(EXPORTS[name], number) for number in range(12)]


@pytest.mark.parametrize("name", [name for name, shape in EXPORTS.items() if shape])
def test_an_export_is_read_without_a_mapping(write, name):
    path = write("export.jsonl", "\n".join(map(json.dumps, records(name))))
    data = read_rows(path)
    assert f"read as an export of {name}" in data.reading[0]
    assert [row.label for row in data.rows] == [float(n % 2) for n in range(12)]
    interaction = data.rows[7].interaction
    question = Q.replace("{}", "7")
    # A chat's turns have their roles.
    assert interaction.input in (question, f"user: {question}")
    assert interaction.output == A.replace("{}", "7")
    assert interaction.ground_truth == C.replace("{}", "7")


def test_every_form_is_tested_and_names_its_source():
    assert {form.name for form in builtin_forms()} == set(EXPORTS)
    assert all(form.source.startswith("https://") for form in builtin_forms())


def test_a_log_of_openai_evals_is_joined_from_its_events(write):
    events = [{"spec": {"run_id": "r"}}]
    for number in range(12):
        common = {"run_id": "r", "sample_id": f"e.{number}", "event_id": number}
        sampling = {"prompt": filled(CHAT, number), "sampled": filled(A, number)}
        match = {"correct": flag(number), "expected": filled(C, number)}
        events += [
            {**common, "type": "sampling", "data": sampling},
            {**common, "type": "match", "data": match},
        ]
    data = read_rows(write("log.jsonl", "\n".join(map(json.dumps, events))))
    assert len(data.rows) == 12
    assert data.rows[1].label == 1.0
    assert data.rows[1].interaction == Interaction(
        "user: Where is parcel 1?", "It left on day 1.", "Parcel 1 left on day 1."
    )


def test_a_graded_log_of_openai_evals_has_the_answer_not_the_grade(write):
    def event(kind, **data):
        return {"run_id": "r", "sample_id": "e.1", "event_id": 0, "type": kind, "data": data}

    events = [
        event("sampling", prompt="Where is it?", sampled=["It left."]),
        event("sampling", prompt="Is this right? It left.", sampled=["Y"]),
        event("metrics", choice="Y"),
    ]
    data = read_rows(write("log.jsonl", "\n".join(map(json.dumps, events))), labelled=False)
    assert data.rows[0].interaction == Interaction("Where is it?", "It left.")


def test_argilla_s_drafts_are_no_labels(write):
    states = ["submitted", "draft", "discarded"]
    answers = [
        {"value": value, "user_id": "u", "status": state}
        for value, state in zip(["yes", "no", "no"], states, strict=True)
    ]
    record = {"fields": {"question": "q", "answer": "a"}, "responses": {"faithful": answers}}
    on_the_hub = {
        **{"_server_id": "x", "question": "q", "answer": "a"},
        **{"faithful.responses": ["yes", "no", "no"], "faithful.responses.status": states},
    }
    for each in (record, on_the_hub):
        data = read_rows(write("a.jsonl", json.dumps(each)))
        assert [row.label for row in data.rows] == [1.0]
        assert any("labels in the state discarded (1)" in each for each in data.warnings)


def test_rows_of_another_shape_than_most_are_read_and_said(write):
    shapes = [{"question": "q"}, {"question": "r"}, {"text": "s"}]
    rows = [{"inputs": each, "outputs": {"answer": "a"}, "run_type": "llm"} for each in shapes]
    data = read_rows(write("a.jsonl", "\n".join(map(json.dumps, rows))), labelled=False)
    assert [row.interaction.input for row in data.rows] == ["q", "r", "s"]
    note = next(each for each in data.warnings if "have no input at inputs.question" in each)
    assert "1 of 3 rows" in note
    assert "1 at inputs.* (the first is" in note
    assert "row 3 (line 3)" in note


def test_chats_and_plain_rows_in_one_file_are_joined(write):
    chat = {"messages": [*CHAT, {"role": "assistant", "content": A}], "label": 1}
    rows = [filled(chat, 1), {"input": "q", "output": "a", "label": 0}]
    path = write("a.jsonl", "\n".join(map(json.dumps, rows)))
    data = read_rows(path)
    assert [(row.interaction.input, row.interaction.output) for row in data.rows] == [
        ("user: Where is parcel 1?", "It left on day 1."),
        ("q", "a"),
    ]
    # Part by part, as a file is scored.
    tables = stream_tables(path, 2)
    first = next(tables)
    reader = TextReader(first, "a.jsonl")
    assert [reader.read(each) for each in first.records] == [row.interaction for row in data.rows]


def test_names_of_one_field_that_rows_have_by_turns_are_one(write):
    rows = [{"question": "q", "answer": "a"}, {"query": "r", "response": "b"}]
    data = read_rows(write("a.jsonl", "\n".join(map(json.dumps, rows))), labelled=False)
    assert [(row.interaction.input, row.interaction.output) for row in data.rows] == [
        ("q", "a"),
        ("r", "b"),
    ]
    assert any('input is read from "question" and "query"' in each for each in data.warnings)


def test_promptfoo_s_results_may_have_success_alone(write):
    def result(number, **more):
        return {"vars": {"q": f"q{number}"}, "response": {"output": "a"}, **more}

    nothing_asked = {"pass": True, "reason": "No assertions"}
    rows = [
        result(0, success=False),
        result(1, success=True),
        result(2, success=True, gradingResult={"pass": False}),
        result(3, success=True, gradingResult=nothing_asked),
    ]
    data = read_rows(write("a.jsonl", "\n".join(map(json.dumps, rows))))
    assert [row.label for row in data.rows] == [0.0, 1.0, 0.0]
    assert any("labels in the state No assertions (1)" in each for each in data.warnings)


def test_langfuse_s_scores_may_be_lists_by_name(write):
    trace = {"input": Q, "output": A, "sessionId": "s"}
    rows = [
        filled({"id": f"t{n}", **trace, "scores": {"faithful": scores}}, n)
        for n, scores in enumerate([[1], [0], ["True", "True"], []])
    ]
    data = read_rows(write("a.jsonl", "\n".join(map(json.dumps, rows))))
    assert [(row.id, row.label) for row in data.rows] == [("t0", 1.0), ("t1", 0.0), ("t2", 1.0)]


def test_langfuse_s_scores_may_be_pairs_or_ids_only(write):
    trace = {"id": "t{}", "input": Q, "output": A, "sessionId": "s"}
    pairs = [filled({**trace, "scores": [["faithful", n % 2]]}, n) for n in range(4)]
    data = read_rows(write("a.jsonl", "\n".join(map(json.dumps, pairs))))
    assert [row.label for row in data.rows] == [0.0, 1.0, 0.0, 1.0]
    ids = [filled({**trace, "scores": ["cm5x1", "cm5x2"]}, n) for n in range(4)]
    path = write("b.jsonl", "\n".join(map(json.dumps, ids)))
    data = read_rows(path, labelled=False)
    assert [row.labelled for row in data.rows] == [False] * 4
    assert any("labels that are ids only" in each and "(8)" in each for each in data.warnings)
    with pytest.raises(DataError, match="no column for label"):
        read_rows(path)


def test_label_studio_s_tables_hold_json_in_their_cells(write):
    path = write(
        "project.csv",
        "id,input,output,faithful,stars,annotator\n"
        '1,q,a,"{""choices"": [""yes""]}","[{""rating"": 4}]",1\n'
        '2,r,b,no,"[{""rating"": 1}]",1\n',
    )
    rows = read_rows(path, mapping={"label": "faithful"}).rows
    assert [row.label for row in rows] == [1.0, 0.0]
    rated = read_rows(path, mapping={"label": "stars"}, meaning=LabelMeaning(scale="1-5"))
    assert [row.label for row in rated.rows] == [0.75, 0.0]
    two = write("two.csv", 'output,faithful\na,"{""choices"": [""yes"", ""no""]}"\n')
    with pytest.raises(DataError, match="is not a label"):
        read_rows(two, mapping={"label": "faithful"})


def test_of_a_conversation_in_a_log_of_openai_evals_the_last_turn_counts(write):
    def event(**data):
        return {"run_id": "r", "sample_id": "e.1", "event_id": 0, "type": "sampling", "data": data}

    turns = [{"role": role, "content": text} for role, text in zip("uau", "abc", strict=True)]
    events = [
        event(prompt=turns[:1], sampled=["b"]),
        event(prompt=turns, sampled=["d"]),
        event(prompt=[{"role": "u", "content": "Is d right?"}], sampled=["Y"]),
    ]
    data = read_rows(write("log.jsonl", "\n".join(map(json.dumps, events))), labelled=False)
    assert data.rows[0].interaction == Interaction("u: a\n\na: b\n\nu: c", "d")


def test_a_metric_does_not_take_the_place_of_a_label_with_another_name(write):
    row = {"user_input": "q", "response": "a", "faithfulness": 0.9, "good": 0}
    path = write("a.jsonl", json.dumps(row))
    with pytest.raises(DataError, match='"faithfulness" and "good" could each be the label'):
        read_rows(path)
    assert read_rows(path, mapping={"label": "good"}).rows[0].label == 0.0


def test_rows_are_found_in_the_object_of_a_result_file(write):
    whole = {"evalId": "e", "results": {"version": 3, "results": records("promptfoo"), "stats": {}}}
    data = read_rows(write("results.json", json.dumps(whole, indent=1)))
    assert len(data.rows) == 12
    assert data.warnings[0].endswith('read the 12 rows under "results.results"')
    cases = {"testCases": records("DeepEval"), "metricsScores": [{"metric": "x"}]}
    assert len(read_rows(write("run.json", json.dumps(cases, indent=1))).rows) == 12


def test_a_table_of_weights_and_biases_is_read(write):
    table = {"columns": ["input", "output", "label"], "data": [["q", "a", 1], ["q2", "b", 0]]}
    rows = read_rows(write("media.table.json", json.dumps(table))).rows
    assert [(row.interaction.output, row.label) for row in rows] == [("a", 1.0), ("b", 0.0)]


def test_one_of_several_scores_is_asked_for_and_people_outrank_judges(write):
    trace = {"id": "t{}", "input": Q, "output": A, "sessionId": "s"}
    scores = [
        {"name": "faithful", "value": 1, "source": "EVAL"},
        {"name": "polite", "value": 1, "source": "ANNOTATION"},
        {"name": "faithful", "value": 0, "source": "ANNOTATION"},
    ]
    lines = [json.dumps(filled({**trace, "scores": scores}, n)) for n in range(3)]
    path = write("a.jsonl", "\n".join(lines))
    with pytest.raises(DataError, match='"faithful" and "polite" could each be the label'):
        read_rows(path)
    rows = read_rows(path, mapping={"label": "faithful"}).rows
    assert [(row.label, row.label_source) for row in rows] == [(0.0, "human")] * 3
    none = read_rows(path, mapping={"label": ""}, labelled=False).rows
    assert not any(row.labelled for row in none)


def test_a_user_can_describe_another_tool(write, tmp_path):
    form = write(
        "house.toml",
        'name = "our tool"\nsource = "https://example.com"\nrequires = ["turn"]\n'
        '[mapping]\ninput = ["turn.q"]\noutput = ["turn.a"]\n'
        '[[labels]]\neach = "turn.ok"\ncalled = "label"\n',
    )
    turns = [{"turn": {"q": f"q{n}", "a": "paris", "ok": n}} for n in (0, 1)]
    path = write("a.jsonl", "\n".join(map(json.dumps, turns)))
    data = read_rows(path, form=str(form))
    assert [(row.interaction.input, row.label) for row in data.rows] == [("q0", 0.0), ("q1", 1.0)]
    with pytest.raises(DataError, match="neither a file nor a known form; known are"):
        read_rows(path, form="unknown")
    broken = write("broken.toml", 'name = "x"\n')
    with pytest.raises(DataError, match=r"broken\.toml: source: Field required"):
        load_form(str(broken))


def task(number, *annotations, **more):
    data = {"input": f"q {number}", "output": f"paris {number}"}
    return {"id": number, "data": data, "annotations": list(annotations), "predictions": [], **more}


def annotation(*results, **more):
    return {"completed_by": 1, "result": list(results), **more}


def choice(name, value):
    return {
        "from_name": name,
        "to_name": "output",
        "type": "choices",
        "value": {"choices": [value]},
    }


def rating(name, value):
    return {"from_name": name, "to_name": "output", "type": "rating", "value": {"rating": value}}


def studio(write, tasks):
    return write("project.json", json.dumps(tasks))


def test_label_studio_s_controls_are_told_apart(write):
    tasks = [
        task(n, annotation(choice("faithful", yes(n)), choice("polite", "yes"))) for n in range(4)
    ]
    path = studio(write, tasks)
    with pytest.raises(DataError, match='"faithful" and "polite" could each be the label'):
        read_rows(path, labelled=False)
    rows = read_rows(path, mapping={"label": "faithful"}).rows
    assert [row.label for row in rows] == [0.0, 1.0, 0.0, 1.0]
    assert {row.label_source for row in rows} == {"human"}
    assert [row.label for row in read_rows(path, mapping={"label": "polite"}).rows] == [1.0] * 4


def test_label_studio_s_ratings_are_a_scale(write):
    path = studio(write, [task(n, annotation(rating("stars", 1 + n))) for n in range(5)])
    data = read_rows(path)
    assert [row.label for row in data.rows] == [0, 0.25, 0.5, 0.75, 1]
    assert any('ratings in "stars" are read on the scale 1-5' in each for each in data.reading)
    cut = read_rows(path, meaning=LabelMeaning(scale="1-5", cut=4))
    assert [row.label for row in cut.rows] == [0, 0, 0, 1, 1]
    wide = studio(write, [task(n, annotation(rating("stars", 1 + n))) for n in range(10)])
    with pytest.raises(DataError, match="is not a label"):
        read_rows(wide)


def test_one_star_for_every_row_is_the_worst_rating(write):
    data = read_rows(studio(write, [task(n, annotation(rating("stars", 1))) for n in range(3)]))
    assert [row.label for row in data.rows] == [0.0] * 3


def test_different_answers_to_one_control_are_not_read(write):
    both = annotation(choice("faithful", "yes"), choice("faithful", "no"))
    tasks = [task(0, both), task(1, annotation(choice("faithful", "no")))]
    data = read_rows(studio(write, tasks))
    assert [(row.id, row.label) for row in data.rows] == [("1", 0.0)]
    assert any('1 annotations have different answers to "faithful"' in w for w in data.warnings)


def test_tasks_of_label_studio_may_lack_annotations(write):
    bare = {"id": 7, "data": {"input": "q", "output": "a"}}
    labelled = task(1, annotation(choice("faithful", "yes")))
    assert len(read_rows(studio(write, [labelled, bare]), labelled=False).rows) == 2
    # The number of them, as in the lists that its API gives.
    assert len(read_rows(studio(write, [labelled, {**bare, "annotations": 3}])).rows) == 1


def test_label_studio_s_ground_truth_stands(write):
    truth = annotation(choice("faithful", "yes"), ground_truth=True)
    others = [annotation(choice("faithful", "no"), ground_truth=False)] * 2
    data = read_rows(studio(write, [task(n, *others, truth) for n in range(3)]))
    assert [row.label for row in data.rows] == [1.0] * 3
    assert any("6 annotations don't count" in each for each in data.warnings)


def test_what_was_not_read_of_label_studio_is_counted(write):
    span = {"from_name": "span", "to_name": "output", "type": "labels", "value": {"labels": ["x"]}}
    cancelled = annotation(choice("faithful", "no"), was_cancelled=True)
    tasks = [task(n, annotation(choice("faithful", "yes"), span), cancelled) for n in range(3)]
    data = read_rows(studio(write, tasks))
    assert [row.label for row in data.rows] == [1.0] * 3
    assert any('3 results of the control "span"' in each for each in data.warnings)
    assert any("3 annotations were skipped" in each for each in data.warnings)
