"""Public sets become rows as their descriptions say: tiny made-up files in each set's format."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from set_files import claim, lines, put, tipstaff_row

from tipstaff_trainer.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "foundation"))
from descriptions import SETS, find_sources, load_descriptions
from set_rows import read_source

ALL = load_descriptions(SETS)


def evouna(question, *, improper=False, **answers):
    record = {"question": question, "golden_answer": "red/crimson", "improper": improper}
    for system in ("fid", "gpt35", "chatgpt", "gpt4", "newbing"):
        answer, judge = answers.get(system, (None, None))
        record |= {f"answer_{system}": answer, f"judge_{system}": judge}
    return record


def rows_of(folder, *, where="train"):
    rows = []
    for source in find_sources(ALL, [str(folder)]):
        if source.measure == (where == "measure"):
            rows += read_source(source)[0]
    return rows


def test_every_description_says_what_a_user_must_know():
    assert {"evouna-nq", "fm2", "begin", "wice", "climate-fever"} <= {each.name for each in ALL}
    for each in ALL:
        assert each.licence, each.name
        assert each.address.startswith("https://"), each.name
        assert each.what, each.name
        for file in each.files:
            assert all(len(checksum) == 64 for checksum in file.sha256)


def test_evouna_gives_a_row_for_each_judged_answer(tmp_path):
    records = [
        evouna("what colour?", fid=("red", True), gpt4=("It is blue.", False)),
        evouna("asked badly", improper=True, fid=("red", True)),
    ]
    put(tmp_path, "QA-Eval/EVOUNA/NQ.json", json.dumps(records))
    good, bad = rows_of(tmp_path)
    assert (good.input, good.output, good.ground_truth) == ("what colour?", "red", "red/crimson")
    assert (good.label, bad.label, bad.output) == (1, 0, "It is blue.")
    assert good.group == bad.group == "evouna-nq:what colour?"
    assert good.id != bad.id


def test_fm2_joins_its_evidence_and_groups_by_page(tmp_path):
    put(
        tmp_path,
        "fool-me-twice-main/dataset/train.jsonl",
        lines(claim(1), claim(2, "Cats", "REFUTES")),
    )
    first, second = rows_of(tmp_path)
    assert first.ground_truth == "Fox 1 is red.\nFox 1 is fast."
    assert (first.input, first.output, first.label) == ("", "Fox 1 is a fast red one.", 1)
    assert (first.id, first.group) == ("fm2:c1", "fm2:Foxes")
    assert (second.label, second.group) == (0, "fm2:Cats")
    assert "input" not in first.record()


def test_begin_is_a_table_whose_quotation_marks_stand_for_themselves(tmp_path):
    head = "model_name\tdata_source\tknowledge\tmessage\tresponse\tbegin_label\n"
    shared = (
        'the "quick" fox jumps over a dog that sleeps in the sun all day and doesn\'t wake at all.'
    )
    text = (
        f'{head}t5\twow\t{shared}\thi\t"quick" it is\tFully attributable\n'
        f"t5\twow\t{shared}\thello\twell\tGeneric\n"
        "t5\twow\tother\thello\tno\tNot fully attributable\n"
    )
    put(tmp_path, "wow/begin_dev_wow.tsv", text)
    first, second, third = rows_of(tmp_path)
    assert (first.input, first.output, first.label) == ("hi", '"quick" it is', 1)
    assert first.ground_truth == shared
    assert (second.label, third.label) == (0, 0)
    # Both have the same knowledge, whose hash names their group.
    assert first.group == second.group != third.group
    assert len(first.group) < 30


def test_wice_claims_on_the_same_page_are_one_group(tmp_path):
    line = "the old mill by the river was built of red brick in 1850"
    records = [
        {
            "claim": f"claim {number}",
            "label": label,
            "evidence": evidence,
            "meta": {"id": str(number)},
        }
        for number, label, evidence in (
            (1, "supported", ["Title", line]),
            (2, "partially_supported", [line.upper(), "more"]),
            (3, "not_supported", ["Title", "read more about it here"]),
        )
    ]
    put(tmp_path, "wice/data/entailment_retrieval/claim/train.jsonl", lines(*records))
    first, second, third = rows_of(tmp_path)
    assert [each.label for each in (first, second, third)] == [1, 0, 0]
    assert first.ground_truth == f"Title\n{line}"
    assert first.group == second.group != third.group


def test_climate_fever_gives_a_row_for_each_sentence_and_only_measures(tmp_path):
    evidences = [
        {"evidence": f"sentence {label}", "evidence_label": label, "votes": ["SUPPORTS"]}
        for label in ("SUPPORTS", "REFUTES", "NOT_ENOUGH_INFO")
    ]
    record = {"claim_id": 7, "claim": "it warms", "claim_label": "DISPUTED", "evidences": evidences}
    put(tmp_path, "dataset/climate-fever.jsonl", lines(record))
    assert not rows_of(tmp_path)
    rows = rows_of(tmp_path, where="measure")
    assert [each.label for each in rows] == [1, 0, 0]
    assert {each.output for each in rows} == {"it warms"}
    assert {each.group for each in rows} == {"climate-fever:7"}
    assert len({each.id for each in rows}) == 3


def test_vitaminc_reads_pairs(tmp_path):
    pair = {
        "unique_id": "a_1",
        "page": "Fox",
        "claim": "red",
        "evidence": "It is red.",
        "label": "SUPPORTS",
    }
    other = pair | {"unique_id": "a_2", "evidence": "It is not.", "label": "NOT ENOUGH INFO"}
    put(tmp_path, "vitaminc/dev.jsonl", lines(pair, other))
    first, second = rows_of(tmp_path)
    assert (first.label, second.label, first.group) == (1, 0, "vitaminc:Fox")


def test_ragtruth_joins_its_sources_and_keeps_its_test_part_apart(tmp_path):
    question = {"question": "how?", "passages": "passage 1: like this"}
    error = {"start": 0, "end": 4, "text": "made up"}
    folder = "RAGTruth-main/dataset"
    put(
        tmp_path,
        f"{folder}/source_info.jsonl",
        lines(
            {"source_id": "1", "task_type": "QA", "source_info": question},
            {"source_id": "2", "task_type": "Summary", "source_info": "a long article"},
            {"source_id": "3", "task_type": "Data2txt", "source_info": {"name": "Fox Inn"}},
        ),
    )
    answers = [
        {"id": "10", "source_id": "1", "labels": [], "split": "train", "response": "like this"},
        {"id": "11", "source_id": "2", "labels": [error], "split": "train", "response": "no"},
        {"id": "12", "source_id": "3", "labels": [], "split": "train", "response": "an inn"},
        {"id": "13", "source_id": "1", "labels": [], "split": "test", "response": "so"},
    ]
    file = put(tmp_path, f"{folder}/response.jsonl", lines(*answers))
    first, second, third = rows_of(tmp_path)
    assert (first.input, first.ground_truth, first.label) == ("how?", "passage 1: like this", 1)
    assert (second.input, second.ground_truth, second.label) == ("", "a long article", 0)
    assert third.ground_truth == '{"name": "Fox Inn"}'
    (held,) = rows_of(tmp_path, where="measure")
    assert held.id == "ragtruth:13"
    (file.parent / "source_info.jsonl").unlink()
    with pytest.raises(DataError, match=r"source_info.jsonl: no such file"):
        rows_of(tmp_path)


def test_an_unknown_label_or_a_broken_line_is_named(tmp_path):
    file = put(
        tmp_path, "fool-me-twice/dataset/dev.jsonl", lines(claim(1), claim(2, label="MAYBE"))
    )
    with pytest.raises(DataError, match=r"dev.jsonl, record 2, label: 'MAYBE' is none of SUPPORTS"):
        rows_of(tmp_path)
    file.write_text("{broken")
    with pytest.raises(DataError, match=r"dev.jsonl: can't be read"):
        rows_of(tmp_path)


def test_prepared_rows_keep_their_groups_and_others_get_the_question(tmp_path):
    put(tmp_path, "evouna-nq/train.jsonl", lines(tipstaff_row(1, group="q1"), tipstaff_row(2)))
    first, second = rows_of(tmp_path)
    assert (first.id, first.group) == ("evouna-nq:r1", "evouna-nq:q1")
    assert second.group == "evouna-nq:what colour is fox 2?"
