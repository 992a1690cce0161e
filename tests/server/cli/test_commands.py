from __future__ import annotations

import json
from pathlib import Path

import pytest
from learnt_examples import NOT_LEARNT
from tiny_bundle import make_bundle

from tipstaff.cli import main
from tipstaff_server.evaluator.manifest import BundleCertificate, Policy
from tipstaff_server.repository import serving_version


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_publishing_says_how_to_promote_and_that_works(bundle, tmp_path, capsys):
    repo = tmp_path / "repo"
    assert main(["publish", str(bundle), str(repo)]) == 0
    first, second = lines(capsys)
    assert first == f"published tiny version 1 to {repo / 'tiny' / '1'}"
    assert serving_version(repo, "tiny") is None
    promote = second.partition("tipstaff ")[2].split()
    assert promote[0] == "promote"
    assert main(promote) == 0
    assert lines(capsys) == ["tiny version 1 serves now"]
    assert serving_version(repo, "tiny") == 1


def test_publish_promote_and_roll_back(bundle, tmp_path, capsys):
    repo = str(tmp_path / "repo")
    for _ in range(2):
        assert main(["publish", str(bundle), repo, "--promote"]) == 0
    assert "tiny version 2 serves now" in lines(capsys)
    assert main(["promote", repo, "tiny", "1"]) == 0
    assert lines(capsys) == ["tiny version 1 serves now (was version 2)"]
    assert main(["promote", repo, "tiny", "1"]) == 0
    assert lines(capsys) == ["tiny version 1 serves now (it did already)"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["publish", "GONE", "REPO"], "GONE/manifest.json: missing"),
        (["promote", "REPO", "tiny", "1"], "REPO: has no evaluator 'tiny': no such folder"),
        (["inspect", "GONE"], "GONE/manifest.json: missing"),
    ],
)
def test_mistakes_are_one_line(words, error, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith(f"tipstaff: error: {error}")
    assert len(shown.err.splitlines()) == 1
    assert not shown.out


def test_a_setting_that_is_off_exits_with_2(bundle, capsys):
    for flag in ("--workers", "--lanes"):
        assert main(["serve", str(bundle), flag, "none"]) == 2
        assert capsys.readouterr().err.startswith("tipstaff: error: --workers none: ")


def test_serving_nothing_names_the_flags(capsys):
    assert main(["serve"]) == 2
    said = "there is nothing to serve; give BUNDLE or --repository\n"
    assert capsys.readouterr().err == f"tipstaff: error: {said}"


def test_serve_explains_its_flags_with_their_defaults(capsys):
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for words in ("--max-queue N", "(default: 1024)", "TIPSTAFF_MAX_QUEUE", "BUNDLE"):
        assert words in shown


def test_inspecting_a_repository_shows_all_of_it_beside_what_is_damaged(bundle, tmp_path, capsys):
    repo = tmp_path / "repo"
    for path in (bundle, make_bundle(tmp_path / "other", name="other")):
        assert main(["publish", str(path), str(repo), "--promote"]) == 0
    (repo / "tiny" / "serving.json").write_text("{")
    capsys.readouterr()
    assert main(["inspect", str(repo)]) == 1
    shown = capsys.readouterr().out
    assert "other                1 (serves)" in shown
    assert "tiny/serving.json: " in shown
    assert main(["inspect", str(repo), "--json"]) == 1
    evaluators = json.loads(capsys.readouterr().out)["evaluators"]
    assert [bool(each["damage"]) for each in evaluators] == [False, True]


def test_inspecting_a_bundle(tmp_path, capsys):
    certificate = BundleCertificate(
        max_false_pass=0.05, max_false_block=0.1, confidence=0.95, n=240, date="2026-01-01"
    )
    policy = Policy(pass_at=0.7, block_below=0.3, certificate=certificate)
    bundle = make_bundle(tmp_path / "bundle", name="answers", policy=policy, learnt=NOT_LEARNT)
    assert main(["inspect", str(bundle)]) == 0
    shown = capsys.readouterr().out
    for words in (
        "answers: bundle in",
        "The answer is right.",
        "input, output, ground_truth; up to 64 tokens",
        "graph fp32/cpu: model.fp32.onnx",
        "pass at 0.7, block below 0.3",
        "up to 0.05 of an output's characters and 0.25 of another field's may be unread",
        "P(PASS | bad) at most 0.05",
        "240 human-labelled rows, 2026-01-01",
        "accuracy 0.9000",
        "no, on 200 test rows: chance (AUROC 0.550 against 0.500, difference 0.050 (-0.030 to 0.1",
        "named cases  none of its own",
        "checksums match",
    ):
        assert words in shown
    assert main(["inspect", str(bundle), "--json"]) == 0
    inspected = json.loads(capsys.readouterr().out)
    assert inspected["verified"] is True
    assert inspected["manifest"]["name"] == "answers"


def test_inspecting_verifies(tmp_path: Path, capsys):
    bundle = make_bundle(tmp_path / "bundle")
    (bundle / "model.fp32.onnx").write_bytes(b"")
    assert main(["inspect", str(bundle)]) == 1
    assert "model.fp32.onnx: checksum" in capsys.readouterr().err


def test_inspecting_a_repository(bundle, tmp_path, capsys):
    repo = tmp_path / "repo"
    repo.mkdir()
    assert main(["inspect", str(repo)]) == 0
    assert lines(capsys) == [f"{repo}: repository of 0 evaluators"]
    for _ in range(2):
        main(["publish", str(bundle), str(repo)])
    capsys.readouterr()
    assert main(["inspect", str(repo)]) == 0
    assert " ".join(lines(capsys)[1].split()) == "tiny 1, 2; none serves yet"
    main(["promote", str(repo), "tiny", "1"])
    capsys.readouterr()
    assert main(["inspect", str(repo)]) == 0
    shown = lines(capsys)
    assert " ".join(shown[1].split()) == "tiny 1 (serves), 2"
    assert shown[2].strip().startswith("promoted by ")
    assert main(["inspect", str(repo), "--json"]) == 0
    (evaluator,) = json.loads(capsys.readouterr().out)["evaluators"]
    assert evaluator.pop("promoted_at").endswith("+00:00")
    assert "@" in evaluator.pop("promoted_by")
    assert evaluator == {
        "name": "tiny",
        "versions": [1, 2],
        "serving": 1,
        "damage": "",
        "forced": False,
    }
