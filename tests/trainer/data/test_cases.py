from __future__ import annotations

import pytest
from tiny_bundle import make_bundle

from tipstaff.cli import main
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.cases import bundle_cases
from tipstaff_trainer.data.cases import read_cases
from tipstaff_trainer.errors import DataError

GOOD = """\
- name: paris
  input: capital of france
  output: paris
  ground_truth: paris
  expect: pass
  note: everybody knows
- name: a word that YAML would take for a bool, and a number
  output: no
  ground_truth: 14
  expect: not-pass
"""


def write(tmp_path, text):
    file = tmp_path / "cases.yaml"
    file.write_text(text)
    return file


def test_texts_stay_texts(tmp_path):
    first, second = read_cases(write(tmp_path, GOOD))
    assert (first.name, first.expect, first.note) == ("paris", "pass", "everybody knows")
    assert (second.output, second.ground_truth, second.input) == ("no", "14", None)


@pytest.mark.parametrize("null", ["", "~", "null", "Null", "NULL"])
def test_null_is_as_if_the_line_were_not_there(tmp_path, null):
    (case,) = read_cases(
        write(tmp_path, f"- name: a\n  expect: pass\n  output: {null}\n  input: b\n  note: {null}")
    )
    assert (case.output, case.input, case.note) == (None, "b", "")


@pytest.mark.parametrize(
    ("text", "output"), [('""', ""), ("'null'", "null"), ("nullify", "nullify")]
)
def test_what_is_not_null_is_text(tmp_path, text, output):
    (case,) = read_cases(write(tmp_path, f"- {{name: a, expect: pass, output: {text}}}"))
    assert case.output == output


def test_what_is_expected_may_be_written_as_verdicts_are_shown(tmp_path):
    cases = read_cases(
        write(
            tmp_path,
            "- {name: a, expect: PASS, output: a}\n- {name: b, expect: Not-BLOCK, output: a}",
        )
    )
    assert [case.expect for case in cases] == ["pass", "not-block"]


def test_a_name_of_several_lines_is_shown_on_one(tmp_path, capsys):
    bundle = make_bundle(tmp_path / "b", bias=-50)
    text = "- name: |\n    paris,\n      the  capital\n  expect: pass\n  output: paris\n"
    file = write(tmp_path, text)
    assert main(["evaluate", str(bundle), "--cases", str(file)]) == 1
    assert '  fails: "paris, the capital" (pass expected' in capsys.readouterr().out
    with pytest.raises(DataError, match='two cases are named "paris, the capital"'):
        read_cases(
            write(tmp_path, text + "- {name: 'paris, the capital', expect: pass, output: a}")
        )
    with pytest.raises(DataError, match=r"case 1 \(two lines\): expect"):
        read_cases(write(tmp_path, '- {name: "two\\nlines", expect: good, output: a}'))
    with pytest.raises(DataError, match="case 1: name"):
        read_cases(write(tmp_path, '- {name: "\\n", expect: pass, output: a}'))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a list of cases"),
        ("name: a", "is not a list of cases"),
        ("- [", "is not YAML"),
        ("- a", "case 1: "),
        ("- {name: a, expect: good, output: b}", r"case 1 \(a\): expect: Input should be 'pass'"),
        ("- {name: a, expect: pass}", r"case 1 \(a\): give input, output or ground_truth"),
        ("- {name: a, expect: pass, answer: b}", r"case 1 \(a\): answer: is not a field of a case"),
        ("- {name: a, expect: pass, output: b, answer: }", r"\(a\): answer: is not a field of"),
        ("- {name: a, expect: pass, output: null}", r"case 1 \(a\): give input, output or"),
        ("- {expect: pass, output: b}", "case 1: name: is missing or empty: each case has a name"),
        ("- {name: , expect: pass, output: b}", "case 1: name: is missing or empty"),
        ('- {name: "", expect: pass, output: b}', "case 1: name: is missing or empty"),
        ("- {name: a, output: b}", r"case 1 \(a\): expect: is missing or empty"),
        (
            "- name: a\n  expect: block\n  output: b\n  expect: pass",
            r"cases\.yaml, line 4: the case has \"expect\" here and in line 2",
        ),
        ("- {name: a, ? [b] : c}", r"cases\.yaml, line 1: found unhashable key"),
        (
            "- {name: a, expect: pass, output: b}\n- {name: a, expect: block, output: b}",
            'two cases are named "a"',
        ),
        ('- !!python/object/apply:os.system ["false"]', "case 1"),
    ],
)
def test_mistakes_name_the_case_and_the_field(tmp_path, text, words):
    with pytest.raises(DataError, match=words):
        read_cases(write(tmp_path, text))


def test_cases_are_run_and_attached_by_one_command(tmp_path, capsys):
    bundle, file = make_bundle(tmp_path / "b", bias=50), write(tmp_path, GOOD)
    assert main(["evaluate", str(bundle)]) == 2
    # The second case lacks a field, so its verdict is REVIEW instead of PASS.
    assert main(["evaluate", str(bundle), "--cases", str(file), "--attach"]) == 0
    assert "named cases: 2 of 2 as expected" in capsys.readouterr().out
    assert bundle_cases(Bundle.open(bundle)) == read_cases(file)
    # The bundle now has its cases attached.
    assert main(["evaluate", str(bundle)]) == 0
    assert "named cases: 2 of 2" in capsys.readouterr().out


def test_a_case_that_fails_is_shown_and_fails_the_command(tmp_path, capsys):
    bundle, file = make_bundle(tmp_path / "b", bias=-50), write(tmp_path, GOOD)
    assert main(["evaluate", str(bundle), "--cases", str(file)]) == 1
    shown = capsys.readouterr().out
    assert "named cases: 1 of 2 as expected" in shown
    assert 'fails: "paris" (pass expected, BLOCK at 0.000)' in shown
