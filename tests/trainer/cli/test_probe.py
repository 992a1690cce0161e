"""`tipstaff probe` as people type it, on an untrained bundle."""

from __future__ import annotations

import json

import pytest
from probe_rows import REFERENCE
from tiny_bundle import make_bundle

from tipstaff.cli import main
from tipstaff_server import repository
from tipstaff_server.evaluator.bundle import Bundle


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "rows.jsonl"
    lines = (
        {
            "input": f"{each.interaction.input} {n}",
            "output": each.interaction.output,
            "ground_truth": each.interaction.ground_truth,
            "label": each.label,
        }
        for n in range(4)
        for each in REFERENCE
    )
    file.write_text("\n".join(map(json.dumps, lines)))
    return file


@pytest.fixture
def bundle(tmp_path):
    return make_bundle(tmp_path / "b")


def probe(*words):
    return main(["probe", *map(str, words)])


def test_rates_and_examples_are_printed(bundle, data, capsys):
    assert probe(bundle, data, "--sample", 10) == 0
    printed = capsys.readouterr()
    assert "fp32/cpu: 18 rows rewritten (reference); as they were, " in printed.out
    assert "bad once rewritten: share that gets PASS" in printed.out
    assert "\n  denied-then-wrong " in printed.out
    assert "\n  greeting-and-ending " in printed.out
    assert "these apply to none of the rows: " in printed.err
    assert "unsupported-added" in printed.err


def test_one_json_object_holds_all_of_it(bundle, data, capsys):
    probe(bundle, data, "--json", "--sample", 10, "--kind", "context")
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "context"
    rates = {each["name"]: each for each in found["rewritings"]}
    assert rates["greeting"]["effect"] == "keeps"
    assert set(rates["greeting"]["harm"]) == {"value", "low", "high", "n"}
    assert "examples" in rates["greeting"]
    assert "greeting" not in found["idle"]


def test_own_rewritings_are_applied_besides(bundle, data, tmp_path, capsys):
    own = tmp_path / "own.toml"
    own.write_text('[[rewriting]]\nname = "signed"\neffect = "keeps"\ntemplate = "{output} please"')
    probe(bundle, data, "--rewritings", own, "--json")
    rates = {each["name"]: each for each in json.loads(capsys.readouterr().out)["rewritings"]}
    assert rates["signed"]["n"] > 0
    assert probe(bundle, data, "--rewritings", tmp_path / "none.toml") == 2
    assert "no such file" in capsys.readouterr().err
    assert probe(bundle, data, "--rewritings", own, "--attach") == 2
    assert "--attach" in capsys.readouterr().err


def test_rates_are_attached_to_manifest_card_and_report(bundle, data, tmp_path, capsys):
    assert Bundle.open(bundle).manifest.probes is None
    probe(bundle, data, "--attach", "--sample", 10)
    manifest = Bundle.open(bundle).manifest
    assert manifest.probes.rows == 18
    assert "| greeting | leaves a good one good |" in (bundle / "card.md").read_text()
    out = tmp_path / "report"
    assert main(["evaluate", str(bundle), str(data), "--out", str(out)]) == 0
    assert "Is it fooled by rewritten outputs?" in (out / "index.html").read_text()
    assert json.loads((out / "report.json").read_text())["probes"]["rows"] == 18
    repository.publish(bundle, tmp_path / "repo")
    capsys.readouterr()
    assert probe(tmp_path / "repo" / "tiny" / "1", data, "--attach") == 1
    assert "is a published version, which never changes" in capsys.readouterr().err


def test_rows_that_can_t_be_rewritten_are_told(bundle, tmp_path, capsys):
    file = tmp_path / "empty.jsonl"
    texts = {"output": "", "ground_truth": "paris"}
    lines = ({"input": f"q {n}", **texts, "label": n % 2} for n in (1, 2))
    file.write_text("\n".join(map(json.dumps, lines)))
    assert probe(bundle, file) == 1
    assert "no rewriting applies to these rows" in capsys.readouterr().err
