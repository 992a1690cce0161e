from __future__ import annotations

import json

from tipstaff.cli import main


def preview(capsys, *words):
    code = main(["preview", *map(str, words)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_preview_shows_form_mapping_rows_and_what_is_left_out(tmp_path, capsys):
    rows = [
        {
            "inputs": {"question": f"Where is parcel {n}?"},
            "outputs": {"answer": "paris"},
            "feedback": {"correct": n % 2} if n else {},
        }
        for n in range(7)
    ]
    rows.append({"inputs": {"question": " "}, "outputs": {"answer": ""}, "feedback": {}})
    path = tmp_path / "runs.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    code, out, _ = preview(capsys, path)
    assert code == 0
    assert "form:    LangSmith, 8 rows" in out
    assert "mapping: input=inputs.question" in out
    assert "mapping: label=correct" in out
    assert out.count("\nrow ") == 5
    assert "  output: paris" in out
    assert "left out 1 of 8 rows, without a text in input or output" in out


def test_a_preview_says_what_to_set_where_a_file_can_not_be_read_yet(tmp_path, capsys):
    path = tmp_path / "rows.csv"
    path.write_text("output;label\nparis;1\nlondon;5\n")
    code, out, error = preview(capsys, path)
    assert code == 1
    assert "form:    a plain table, 2 rows" in out
    assert '"5" is not a label; set --scale to 1-5' in error
    assert "mapping" not in error
    code, out, _ = preview(capsys, path, "--scale", "1-5", "--cut", "4")
    assert code == 0
    assert 'labels read: "1" as bad (1), "5" as good (1)' in out
