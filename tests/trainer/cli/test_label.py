"""`tipstaff label`, `review-queue` and `agreement` as people type them, mistakes included."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from judge_rows import capitals, row
from judge_server import JudgeServer

from tipstaff.cli import main
from tipstaff_trainer.data import check_trainable, read_rows


def command(*words):
    return [sys.executable, "-m", "tipstaff", *map(str, words)]


@pytest.fixture
def tipstaff(capsys):
    """Runs a command in this process: starting another takes longer than most commands do."""

    def tipstaff(*words):
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, said.out, said.err)

    return tipstaff


@pytest.fixture(scope="module")
def server():
    with JudgeServer() as server:
        yield server


def write(path, rows):
    with path.open("w") as file:
        for row in rows:
            texts = row.interaction
            record = {
                "id": row.id, "question": texts.input, "answer": texts.output,
                "reference": texts.ground_truth, "topic": "geography",
            }  # fmt: skip
            file.write(json.dumps(record) + "\n")
    return path


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "traces.jsonl", capitals(40))


def label(data, server, *words):
    out = data.parent / "labels.jsonl"
    base = ("--criterion", "answer-correctness", "--judge-model", "judge-1")
    return ("label", data, *base, "--base-url", server.url, "--out", out, *words), out


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_from_traces_to_rows_that_train_reads_and_a_queue(tipstaff, data, server, tmp_path):
    words, out = label(data, server, "--price-input", 1, "--price-output", 2)
    done = tipstaff(*words)
    assert done.returncode == 0, done.stderr
    assert "labelled: 40 of 40 rows (40 from log-probabilities)" in done.stdout
    assert f"tipstaff review-queue {out}" in done.stdout
    assert [row["label"] for row in records(out)] == [0.95, 0.05] * 20
    assert {row["topic"] for row in records(out)} == {"geography"}
    read = read_rows(out)
    assert not check_trainable(read.rows)[1:]
    assert {row.label_source for row in read.rows} == {"judge"}

    queue = tmp_path / "queue.jsonl"
    done = tipstaff("review-queue", out, "--count", 10, "--out", queue)
    assert done.returncode == 0, done.stderr
    assert Counter(row["selection"] for row in records(queue)) == {"random": 2, "uncertain": 8}

    # A person reviews the queue and overrules the judge once.
    reviewed = records(queue)
    for record in reviewed:
        record |= {"label": float(record["label"] >= 0.5), "label_source": "human"}
    reviewed[0]["label"] = 1 - reviewed[0]["label"]
    both = tmp_path / "both.jsonl"
    both.write_text("".join(json.dumps(row) + "\n" for row in (*records(out), *reviewed)))
    joined = Counter(row.label_source for row in read_rows(both).rows)
    assert joined == {"judge": 30, "human": 10}
    done = tipstaff("agreement", both, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["all"]["agreed"]["value"] == 0.9
    assert json.loads(done.stdout)["random"]["n"] == 2
    done = tipstaff("agreement", out, "--with", both)
    assert done.returncode == 0, done.stderr
    assert "kappa" in done.stdout


def test_what_people_corrected_in_place_is_not_written_over(tipstaff, data, server):
    words, out = label(data, server)
    assert tipstaff(*words).returncode == 0
    # Nobody corrected anything: the same job may write its file again.
    assert tipstaff(*words).returncode == 0
    corrected = records(out)
    corrected[3] |= {"label": 0.0, "label_source": "human"}
    out.write_text("".join(json.dumps(row) + "\n" for row in corrected))
    done = tipstaff(*words)
    assert (done.returncode, "people have corrected 1 of its labels" in done.stderr) == (2, True)
    assert records(out) == corrected
    # People's labels in the job's own input are no corrections.
    given = [
        {"id": row["id"], "input": row["input"], "output": row["output"]}
        | {"ground_truth": row["ground_truth"], "label": 0.0, "label_source": "human"}
        for row in corrected[:2]
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in given))
    out.unlink()
    assert [tipstaff(*words).returncode for _ in range(2)] == [0, 0]


def test_dry_run_calls_nobody_and_leaves_nothing(tipstaff, data, server, tmp_path):
    before = server.behaviour.seen
    words, _ = label(data, server, "--dry-run", "--price-input", 100, "--price-output", 200)
    done = tipstaff(*words)
    assert done.returncode == 0, done.stderr
    assert "<output>\nIt is Paris, no. 0.\n</output>" in done.stdout
    assert "rows: 40, calls: 40" in done.stdout
    assert "cost: about 1." in done.stdout
    assert server.behaviour.seen == before
    assert list(tmp_path.iterdir()) == [data]


def test_the_most_that_samples_may_cost_is_with_a_call_for_each(tipstaff, data, server):
    """An endpoint may give one reply per call, so that each sample costs the prompt again."""
    costs = []
    for samples in (1, 5):
        words, _ = label(data, server, "--dry-run", "--soft", "samples", "--samples", samples)
        done = tipstaff(*words, "--price-input", 100, "--price-output", 200)
        costs.append(float(re.search(r"at most ([\d.]+)", done.stdout)[1]))
    assert costs[1] == pytest.approx(5 * costs[0], rel=1e-3)


def test_what_is_not_compared_is_told(tipstaff, tmp_path):
    reviewed = tmp_path / "reviewed.csv"
    lines = ["output,label,label_source,judge_label", "a,1,human,1", "b,0,human,", "c,0,human,0"]
    reviewed.write_text("\n".join([*lines, "d,,human,1"]))
    done = tipstaff("agreement", reviewed)
    assert done.returncode == 0, done.stderr
    assert '1 of 3 rows labelled by people have nothing in column "judge_label"' in done.stderr
    assert "left out 1 of 4 rows, without a label" in done.stderr
    json_ = tipstaff("agreement", reviewed, "--json").stdout
    assert json.loads(json_, parse_constant=pytest.fail)["all"]["n"] == 2


def test_examples_from_reviewed_rows(tipstaff, data, server, tmp_path):
    reviewed = tmp_path / "reviewed.csv"
    lines = [f"What is it?,Answer {index},Truth {index},{index % 2}" for index in range(9)]
    reviewed.write_text("\n".join(["input,output,ground_truth,label", *lines]))
    words, _ = label(data, server, "--dry-run", "--examples", reviewed, "--shots", 6)
    done = tipstaff(*words)
    assert "note: 6 examples, 3 of them good" in done.stderr
    assert done.stdout.count("--- assistant ---") == 6
    assert (
        "--shots 50: Input should be less than or equal to 20" in tipstaff(*words[:-1], 50).stderr
    )
    drawn = [f"{line},random" for line in lines]
    reviewed.write_text("\n".join(["input,output,ground_truth,label,selection", *drawn]))
    done = tipstaff(*words)
    assert done.returncode == 1
    assert "kept for honest numbers and never shown to the judge" in done.stderr


def test_a_job_that_is_killed_pays_for_nothing_twice(tipstaff, tmp_path):
    count = 300
    data = write(tmp_path / "traces.jsonl", capitals(count))
    with JudgeServer() as server:
        server.behaviour.delay = 0.05
        words, out = label(data, server, "--concurrency", 8)
        job = subprocess.Popen(command(*words), stderr=subprocess.DEVNULL)
        while server.behaviour.calls.total() < count // 2:
            assert job.poll() is None
            time.sleep(0.02)
        job.send_signal(signal.SIGKILL)
        job.wait()
        assert not out.exists()
        before = server.behaviour.calls.copy()
        assert before.total() < count
        server.behaviour.delay = 0
        done = tipstaff(*words)
        assert done.returncode == 0, done.stderr
        assert "labelled: 300 of 300" in done.stdout
        # Only the calls under way at the kill were repeated.
        twice = [key for key, calls in server.behaviour.calls.items() if calls > 1]
        assert len(twice) <= 8
        assert server.behaviour.calls.total() <= count + 8
        # With all labels in the ledger, there are no calls.
        seen = server.behaviour.seen
        assert tipstaff(*words).returncode == 0
        assert server.behaviour.seen == seen


def test_ctrl_c_keeps_what_there_is(tmp_path):
    data = write(tmp_path / "traces.jsonl", capitals(200))
    with JudgeServer() as server:
        server.behaviour.delay = 0.05
        words, out = label(data, server, "--concurrency", 4)
        job = subprocess.Popen(command(*words), stderr=subprocess.PIPE, text=True)
        while server.behaviour.calls.total() < 40:
            time.sleep(0.02)
        job.send_signal(signal.SIGINT)
        _, said = job.communicate(timeout=20)
        assert job.returncode == 1
        assert "the same command resumes" in said
        known = [row for row in records(out) if row["label"] is not None]
        assert len(known) == server.behaviour.calls.total()


def test_the_budget_stops_with_what_it_bought(tipstaff, data, server):
    words, out = label(data, server, "--max-tokens-total", 4000, "--soft", "verdict")
    done = tipstaff(*words)
    assert done.returncode == 1
    assert "the budget is spent" in done.stderr
    assert 0 < sum(row["label"] is not None for row in records(out)) < 40
    assert "unlabelled: not asked yet" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--criterion", "nonsense"], 1, "built-in criterion; built in are answer-correctness"),
        (["--criterion", "brand-tone", "--map", "ground_truth=topic"], 0, ""),
        (["--pilot"], 2, "unrecognized arguments: --pilot"),
        (["--max-cost", "1"], 2, "needs the prices of tokens; set --price-input"),
        (["--samples", "many"], 2, "--samples many: Input should be a valid integer"),
        (["--base-url", "localhost"], 2, "--base-url localhost"),
        (["--out", "labels.csv"], 2, "--out labels.csv: the name must end in .jsonl"),
        (["--base-url", "http://localhost/v1/chat/completions"], 2, "leave /chat/completions out"),
    ],
)
def test_mistakes(tipstaff, data, server, words, code, says):
    given, _ = label(data, server)
    done = tipstaff(*given, *words)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_column_costs_nothing(tipstaff, data, server, tmp_path):
    before = server.behaviour.seen
    criterion = tmp_path / "voice.toml"
    criterion.write_text('criterion = "It is ours."\nprompt = "{voice}: {output}"')
    words, _ = label(data, server, "--criterion", criterion)
    done = tipstaff(*words)
    assert done.returncode == 1
    assert "names {voice}, and no row has such a column" in done.stderr
    bare = tmp_path / "bare.csv"
    bare.write_text("output\na\n")
    words, _ = label(bare, server, "--criterion", "brand-tone")
    assert "set --map ground_truth=COLUMN" in tipstaff(*words).stderr
    assert server.behaviour.seen == before


def test_the_key_comes_from_the_environment(tipstaff, data, monkeypatch):
    with JudgeServer() as server:
        server.behaviour.key = "secret"
        words, _ = label(data, server, "--api-key-env", "MY_KEY")
        monkeypatch.setenv("MY_KEY", "wrong")
        said = tipstaff(*words).stderr
        assert "HTTP 401" in said
        assert "name it in --api-key-env" in said
        monkeypatch.setenv("MY_KEY", "secret")
        assert tipstaff(*words).returncode == 0


def test_a_key_that_cannot_be_sent_is_not_shown(tipstaff, data, server, monkeypatch):
    words, _ = label(data, server)
    monkeypatch.setenv("OPENAI_API_KEY", "sec\nret")
    done = tipstaff(*words)
    assert (done.returncode, "--api-key-env" in done.stderr) == (2, True)
    assert "sec" not in done.stderr


def test_no_label_at_all_is_no_success(tipstaff, tmp_path, server):
    rows = [row("Paris [[status 400]]", id="1"), row("Lyon [[status 400]]", id="2")]
    words, _ = label(write(tmp_path / "traces.jsonl", rows), server)
    done = tipstaff(*words)
    assert done.returncode == 1
    assert "labelled: 0 of 2 rows" in done.stdout
    assert "next:" not in done.stdout


def test_neither_the_rows_nor_the_ledger_is_written_over(tipstaff, data, server, tmp_path):
    words, out = label(data, server)
    done = tipstaff(*words, "--ledger", out)
    assert (done.returncode, "is the file that replies are kept in" in done.stderr) == (2, True)
    assert not out.exists()
    done = tipstaff(*words, "--out", data)
    assert (done.returncode, "is the file that the rows come from" in done.stderr) == (2, True)


def test_two_jobs_at_once_do_not_both_pay(tmp_path):
    data = write(tmp_path / "traces.jsonl", capitals(60))
    with JudgeServer() as server:
        server.behaviour.delay = 0.2
        words, _ = label(data, server, "--concurrency", 2)
        first = subprocess.Popen(command(*words), stdout=subprocess.DEVNULL)
        while not server.behaviour.seen:
            assert first.poll() is None
            time.sleep(0.02)
        second = subprocess.run(command(*words), capture_output=True, text=True, timeout=60)
        server.behaviour.delay = 0
        assert first.wait() == 0
        assert second.returncode == 1
        assert "another job uses this ledger" in second.stderr
        assert server.behaviour.seen == 60


def test_somebody_elses_file_is_not_overwritten(tipstaff, data, server):
    words, out = label(data, server)
    out.write_text("mine")
    done = tipstaff(*words)
    assert done.returncode == 2
    assert "choose another --out" in done.stderr
    assert out.read_text() == "mine"


def test_a_check_needs_no_file_to_write_and_labels_need_one(tipstaff, data, server):
    words, out = label(data, server)
    without = [word for word in words if word not in ("--out", out)]
    checked = tipstaff(*without, "--check")
    assert checked.returncode == 0, checked.stderr
    assert "log-probabilities: yes" in checked.stdout
    refused = tipstaff(*without)
    assert refused.returncode == 2
    assert "--out: is needed; name a .jsonl file for the labels" in refused.stderr
    secret = tipstaff(*without, "--check", "--query", "key=s3cret-of-nine")
    assert "put the value into an environment variable, and name it in --secret-query" in (
        secret.stderr
    )
    assert "s3cret" not in secret.stdout + secret.stderr
