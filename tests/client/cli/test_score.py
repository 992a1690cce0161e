"""`tipstaff score` against a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tipstaff.cli.score import unread_in_words
from tipstaff.types import Coverage
from tipstaff.v1 import scoring_pb2 as pb


def test_a_score_for_people(tipstaff, server):
    result = tipstaff("score", "--target", server.target, "--input", "Q", "--output", "A")

    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "PASS  0.875"
    assert [" ".join(line.split()) for line in lines[1:-1]] == [
        "evaluator faithful version 3 on int8/cpu",
        "thresholds PASS from 0.75, BLOCK below 0.25",
        "note UNCERTIFIED: the thresholds have no statistical guarantee",
        "tokens ground_truth 30/31",
        "server 6.0 ms: encode 1.0, queue 2.0, inference 3.0",
    ]
    assert server.service.requests[0].request_id in lines[-1]


def test_a_promise_is_told_as_it_was_made(tipstaff, server):
    server.service.certificate = pb.Certificate(
        max_false_pass=0.0004, max_false_block=1, confidence=0.9995, n=9000, date="2026-01-31"
    )
    told = tipstaff("score", "--target", server.target, "--output", "A").stdout
    assert "at most 0.04% of bad answers PASS, with 99.95% confidence (9000 labels" in told


def test_the_words_that_lowered_it_are_marked(tipstaff, server):
    words = ("score", "--target", server.target, "--output", "naïve 🦊🦊 \x1b[2J\nin Paris")
    result = tipstaff(*words, "--explain")
    shown = "  lowered by these words\n    naïve «🦊🦊» \ufffd[2J\n    in Paris\n"
    assert shown in result.stdout, result.stdout
    assert "naïve" not in tipstaff(*words).stdout


@pytest.mark.parametrize(
    ("coverage", "words"),
    [
        (Coverage(1, 1, unknown=1, unread=1.0), "100% (1 unknown word)"),
        (
            Coverage(9, 9, unknown=2, dropped=1, unread=0.0625),
            "6.25% (2 unknown words, 1 character dropped)",
        ),
        (Coverage(9, 9, dropped=3, unread=0.0004), "0.04% (3 characters dropped)"),
    ],
)
def test_what_cannot_be_read_in_words(coverage, words):
    assert unread_in_words(coverage) == words


def test_a_score_for_programs(tipstaff, server):
    result = tipstaff("score", "--target", server.target, "--output", "A", "--json")

    score = json.loads(result.stdout)
    assert (score["verdict"], score["score"], score["version"]) == ("PASS", 0.875, 3)
    assert score["coverage"] == {
        "ground_truth": {"scored": 30, "total": 31, "unknown": 0, "dropped": 0, "unread": 0.0}
    }
    assert score["reasons"] == ["UNCERTIFIED"]


@pytest.mark.parametrize(
    ("verdict", "fail_on", "code"),
    [
        (pb.VERDICT_PASS, "block,review", 0),
        (pb.VERDICT_REVIEW, "block,review", 3),
        (pb.VERDICT_REVIEW, "block", 0),
        (pb.VERDICT_BLOCK, "block", 3),
        (pb.VERDICT_BLOCK, "review, block", 3),
        (pb.VERDICT_BLOCK, None, 0),
    ],
)
def test_a_shell_can_act_on_the_verdict(tipstaff, server, verdict, fail_on, code):
    server.service.verdict = verdict
    words = () if fail_on is None else ("--fail-on", fail_on)
    result = tipstaff("score", "--target", server.target, "--output", "A", *words)
    assert (result.returncode, result.stderr) == (code, "")
    assert result.stdout.startswith(pb.Verdict.Name(verdict).removeprefix("VERDICT_"))


def test_a_missing_server_is_no_verdict(tipstaff):
    words = ("score", "--target", "127.0.0.1:1", "--output", "A", "--fail-on", "block,review")
    assert tipstaff(*words).returncode == 1


def test_texts_come_as_words_from_files_and_from_standard_input(tipstaff, server, tmp_path):
    (tmp_path / "answer.txt").write_text("from a file: naïve", encoding="utf-8")
    result = tipstaff(
        *("score", "--target", server.target, "--evaluator", "faithful", "--explain"),
        *("--evaluator-version", "2", "--timeout", "5"),
        *("--input", "@@me", "--output", f"@{tmp_path}/answer.txt", "--ground-truth", "-"),
        input="from\nstandard input",
    )

    assert result.returncode == 0, result.stderr
    [request] = server.service.requests
    assert request.input == "@me"
    assert request.output == "from a file: naïve"
    assert request.ground_truth == "from\nstandard input"
    assert (request.evaluator, request.version, request.explain) == ("faithful", 2, True)
    assert 4 < server.service.remaining[0] < 5.1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "nothing to score: give --input, --output or --ground-truth"),
        (["--input", "-", "--output", "-"], "only one text can be read from standard input"),
        (["--output", "@no-such-file"], "--output: can't read no-such-file: No such file"),
        (["--ground-truth", "@binary"], "--ground-truth: binary is not UTF-8 text"),
        (["--output", "A", "--timeout", "0"], "'0' is not a positive number of seconds"),
        (["--output", "A", "--timeout", "1e30"], "'1e30' is not a positive number of seconds"),
        (["--output", "A", "--evaluator-version", "0"], "'0' is not a version"),
        (["--output", "A", "--fail-on", "pass"], "'pass' is not block, review or block,review"),
        (["--output", "A", "--fail-on", ""], "'' is not block, review or block,review"),
        (["--output", "A", "--target", "localhost"], "'localhost' is not a server's address"),
    ],
)
def test_a_mistake_is_one_line_and_exits_2(tipstaff, tmp_path, words, line):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    result = tipstaff("score", "--target", "localhost:1", *words, cwd=tmp_path)
    assert result.returncode == 2
    assert line in result.stderr
    assert result.stderr.count("\n") == 1


def test_no_server_is_one_line_that_names_it_and_exits_1(tipstaff):
    result = tipstaff("score", "--target", "127.0.0.1:1", "--output", "A", "--timeout", "10")
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("tipstaff: error: no server ready at 127.0.0.1:1, start one")
    assert result.stderr.count("\n") == 1


def test_a_refusal_is_the_servers_own_words(tipstaff, server, refuse):
    refuse("NOT_FOUND", details="no evaluator 'polite', there are: faithful")
    result = tipstaff("score", "--target", server.target, "--output", "A", "--evaluator", "polite")
    assert result.returncode == 1
    assert result.stderr == "tipstaff: error: no evaluator 'polite', there are: faithful\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_who_leaves_before_reading_the_score_sees_no_error(server, command_path, unbuffered):
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run(
        [command_path, "score", "--target", server.target, "--output", "A"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    os.close(write)
    assert (result.returncode, result.stderr) == (141, "")


def test_ctrl_c_leaves_without_a_traceback(server, command_path):
    server.service.delay = 60
    words = ["score", "--target", server.target, "--output", "A", "--timeout", "60"]
    process = subprocess.Popen([command_path, *words], stderr=subprocess.PIPE, text=True)
    assert server.service.arrived.wait(20)
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=20)
    # A shell shows it as 130.
    assert (process.returncode, complaints) == (-signal.SIGINT, "")


def test_help_and_mistakes_do_not_wait_for_grpc():
    script = (
        "import sys; from tipstaff.cli import main\n"
        "try: main(['score', '--help'])\n"
        "except SystemExit: assert 'grpc' not in sys.modules and 'asyncio' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
