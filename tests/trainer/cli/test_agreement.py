from __future__ import annotations

import json

import pytest

from tipstaff.cli import main


@pytest.fixture
def labelled(tmp_path):
    def write(name, ids, **columns):
        file = tmp_path / name
        lines = [{"id": str(n), "output": f"answer {n}", "label": n % 2, **columns} for n in ids]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return file

    return write


def test_what_only_one_of_two_files_has_is_told(labelled, capsys):
    one, two = labelled("a.jsonl", range(60)), labelled("b.jsonl", range(40, 80))
    with two.open("a") as file:
        file.write(json.dumps({"id": "0", "output": "answer 0", "label": None}) + "\n")
    assert main(["agreement", str(one), "--with", str(two)]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0].split() == ["rows", "20"]
    assert said.err.splitlines() == [
        f"warning: {two}: left out 1 of 41 rows, without a label; the first is {two}, row 41 "
        "(line 41)",
        f"warning: 40 of 60 labelled rows of {one} are not among those of {two}, by id, and are "
        "not compared",
        f"warning: 20 of 40 labelled rows of {two} are not among those of {one}, by id, and are "
        "not compared",
    ]


def test_files_of_the_same_rows_need_no_warning(labelled, capsys):
    one, two = labelled("a.jsonl", range(60)), labelled("b.jsonl", range(60))
    assert main(["agreement", str(one), "--with", str(two)]) == 0
    assert not capsys.readouterr().err
