"""A general evaluator: what is left out, measured and written into its card."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from tiny_training import tiny_base, tiny_rows, train_bundle

from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.manifest import CARD_FILE
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "foundation"))
import train as foundation
from set_rows import SetRow
from unseen import measure, read_prepared, table


def set_rows(name, rows):
    return [
        SetRow(
            name,
            f"{name}:{row.id}",
            f"{name}:{row.group}",
            f"{name}: {row.interaction.input}",
            row.interaction.output,
            row.interaction.ground_truth,
            row.label,
        )
        for row in rows
    ]


def write(file, rows):
    file.write_text("".join(json.dumps(row.record()) + "\n" for row in rows))
    return file


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return str(tiny_base("bert", tmp_path_factory.mktemp("bases") / "bert"))


@pytest.fixture
def trained(base, monkeypatch):
    """Trains tiny evaluators in this process, in place of `tipstaff train`."""
    calls = []

    def train(rows, out, name, options):
        if (out / "manifest.json").exists():
            return
        calls.append((name, {row.set for row in read_prepared(rows)}, tuple(options)))
        settings = TrainSettings(base=base, epochs=1, max_length=48, learning_rate=1e-3)
        train_bundle(tiny_rows(60), out, settings, name=name)

    monkeypatch.setattr(foundation, "train", train)
    return calls


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["train.py", *map(str, words)])
    foundation.main()


def test_each_set_is_left_out_in_turn_and_the_card_says_what_came_of_it(
    trained, tmp_path, monkeypatch, capsys
):
    rows = [*set_rows("cats", tiny_rows(40)), *set_rows("dogs", tiny_rows(40))]
    file = write(tmp_path / "rows.jsonl", rows)
    more = [*set_rows("owls", tiny_rows(60)[40:]), *set_rows("cats", tiny_rows(60)[40:])]
    measuring = write(tmp_path / "measure.jsonl", more)
    summary = [
        {"set": "cats", "title": "Cats", "taken": 40, "licence": "CC0", "address": "https://c"}
    ]
    (tmp_path / "rows.sets.json").write_text(json.dumps(summary))
    out = tmp_path / "foundation"
    words = [file, "--out", out, "--leave-out", "all", "--measure", measuring, "--", "--seed", 1]
    run(monkeypatch, *words)

    assert trained == [
        ("general", {"cats", "dogs"}, ("--seed", "1")),
        ("general-without-cats", {"dogs"}, ("--seed", "1")),
        ("general-without-dogs", {"cats"}, ("--seed", "1")),
    ]
    records = json.loads((out / "unseen.json").read_text())
    assert [(each["evaluator"], each["set"], each["rows"]) for each in records] == [
        ("general", "owls", 20),
        ("general", "cats, other rows", 20),
        # Left out, its rows and those for measuring are both unseen.
        ("general-without-cats", "cats", 60),
        ("general-without-cats", "owls", 20),
        ("general-without-dogs", "dogs", 40),
        ("general-without-dogs", "owls", 20),
        ("general-without-dogs", "cats, other rows", 20),
    ]
    printed = capsys.readouterr().out
    assert printed.strip() == (out / "unseen.md").read_text().strip()
    card = Bundle.open(out / "general").read(CARD_FILE).decode()
    assert printed.strip() in card
    assert "- Cats: 40 rows. Licence: CC0. https://c" in card

    run(monkeypatch, *words)
    assert len(trained) == 3
    assert Bundle.open(out / "general").read(CARD_FILE).decode() == card


def test_licences_are_in_the_card_without_any_measurement(trained, tmp_path, monkeypatch):
    file = write(tmp_path / "rows.jsonl", set_rows("cats", tiny_rows(20)))
    cats = {"set": "cats", "title": "Cats", "taken": 20, "licence": "CC0", "address": "https://c"}
    owls = cats | {"set": "owls", "title": "Owls", "taken": 0}
    (tmp_path / "rows.sets.json").write_text(json.dumps([cats, owls]))
    run(monkeypatch, file, "--out", tmp_path / "out")
    card = Bundle.open(tmp_path / "out" / "general").read(CARD_FILE).decode()
    assert "- Cats: 20 rows. Licence: CC0. https://c" in card
    assert "Owls" not in card


def test_a_set_that_is_not_there_can_t_be_left_out(trained, tmp_path, monkeypatch, capsys):
    file = write(tmp_path / "rows.jsonl", set_rows("cats", tiny_rows(20)))
    for names in (["dogs"], ["all"]):
        with pytest.raises(SystemExit):
            run(monkeypatch, file, "--out", tmp_path / "out", "--leave-out", *names)
    errors = capsys.readouterr().err
    assert "no rows of dogs; there are cats" in errors
    assert "with rows of one set only" in errors
    assert not trained


def test_kin_of_the_set_left_out_is_left_out_too(trained, tmp_path, monkeypatch):
    cats, dogs = set_rows("cats", tiny_rows(40)), set_rows("dogs", tiny_rows(40))
    # A question of the other set's.
    asked = SetRow("dogs", "dogs:x", "dogs:x", cats[0].input.upper(), "yes", "it is", 1)
    file = write(tmp_path / "rows.jsonl", [*cats, *dogs, asked])
    out = tmp_path / "out"
    run(monkeypatch, file, "--out", out, "--leave-out", "cats")
    ids = {row.id for row in read_prepared(out / "without-cats.jsonl")}
    assert ids == {row.id for row in dogs}


def test_the_command_is_tipstaff_train_and_its_failure_ends_the_script(
    tmp_path, monkeypatch, capsys
):
    file = write(tmp_path / "rows.jsonl", set_rows("cats", tiny_rows(4)))
    with pytest.raises(SystemExit) as ended:
        foundation.train(file, tmp_path / "out", "general", ["--base", "nowhere/at-all"])
    assert ended.value.code
    assert f"$ tipstaff train {file} --name general --criterion" in capsys.readouterr().out


def test_rows_of_another_kind_are_refused(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"output": "red", "label": 1}\n')
    with pytest.raises(DataError, match=r"rows.jsonl, line 1: is no row of a set"):
        read_prepared(file)


def test_one_class_has_no_auroc(base, tmp_path):
    settings = TrainSettings(base=base, epochs=1, max_length=48)
    train_bundle(tiny_rows(40), tmp_path / "bundle", settings)
    good = [row for row in set_rows("cats", tiny_rows(40)) if row.label == 1]
    (measured,) = measure(tmp_path / "bundle", good)
    assert measured.auroc is None
    assert "| cats | 20 (20) | – | – | – | colours |" in table([measured])


def test_what_cannot_be_read_or_written_is_named_before_the_training(
    trained, tmp_path, monkeypatch
):
    """Once, a wrong file for measuring was known only after the training."""
    file = write(tmp_path / "rows.jsonl", set_rows("cats", tiny_rows(20)))
    with pytest.raises(SystemExit, match=r"error: .*nowhere.jsonl"):
        run(monkeypatch, file, "--out", tmp_path / "out", "--measure", tmp_path / "nowhere.jsonl")
    with pytest.raises(SystemExit, match=r"error: --out: the folder .* can't be made: is a file"):
        run(monkeypatch, file, "--out", file)
    assert trained == []
