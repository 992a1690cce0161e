"""What `prepare.py` takes of the sets that are there, and what it refuses."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
from set_files import claim, lines, put, tipstaff_row

from tipstaff.errors import UsageError

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "foundation"))
from descriptions import load_descriptions
from prepare import main, prepare, table
from sampling import counts, draw

ALL = load_descriptions()


def described(folder, file, *, checksum, measure=False):
    put(
        folder,
        "sets/foxes.toml",
        f"""name = "foxes"
title = "Foxes"
what = "Is it red?"
licence = "CC0"
address = "https://example.com/foxes"

[[files]]
path = "{file}"
sha256 = ["{checksum}"]
measure = {str(measure).lower()}

[[files]]
path = "foxes/other.jsonl"
""",
    )
    return load_descriptions(folder / "sets")


def test_another_checksum_is_a_warning_that_says_what_to_do(tmp_path, capsys):
    file = put(tmp_path, "data/foxes/train.jsonl", lines(tipstaff_row(1), tipstaff_row(2)))
    checksum = hashlib.sha256(file.read_bytes()).hexdigest()
    sets = described(tmp_path, "foxes/train.jsonl", checksum=checksum)
    prepare(sets, [str(tmp_path / "data")])
    assert "warning" not in capsys.readouterr().err
    file.write_text(file.read_text() + lines(tipstaff_row(3)))
    assert len(prepare(sets, [str(tmp_path / "data")]).rows) == 3
    warning = capsys.readouterr().err
    actual = hashlib.sha256(file.read_bytes()).hexdigest()
    assert f"warning: {file}: its sha256 is {actual}, expected {checksum}: " in warning
    assert "Get it again from https://example.com/foxes" in warning


def test_absent_sets_are_named_and_skipped(tmp_path, capsys):
    put(tmp_path, "fool-me-twice/dataset/dev.jsonl", lines(claim(1)))
    assert len(prepare(ALL, [str(tmp_path)]).rows) == 1
    notes = capsys.readouterr().err
    assert "note: begin is absent: BEGIN (Dziri et al., 2022), https://github.com/google/" in notes
    assert "begin_dev_*.tsv" in notes
    assert "fm2 is absent" not in notes
    with pytest.raises(UsageError, match="no such file or folder"):
        prepare(ALL, [str(tmp_path / "nowhere")])
    with pytest.raises(UsageError, match="no set is called foxes"):
        prepare(ALL, ["foxes=nowhere"])


def test_test_files_are_not_trained_on(tmp_path, capsys):
    folder = "fool-me-twice/dataset"
    put(tmp_path, f"{folder}/train.jsonl", lines(claim(1), claim(2, "Cats"), claim(3, "Dogs")))
    put(tmp_path, f"{folder}/test.jsonl", lines(claim(4, "Cats"), claim(5, "Owls")))
    prepared = prepare(ALL, [str(tmp_path)])
    # The second claim is about a page of the test file.
    assert [each.id for each in prepared.rows] == ["fm2:c1", "fm2:c3"]
    assert [each.id for each in prepared.measuring] == ["fm2:c4", "fm2:c5"]
    assert "test.jsonl: 2 rows are for measuring: not to train on" in capsys.readouterr().err
    everything = prepare(ALL, [str(tmp_path)], allowed=["fm2"])
    assert len(everything.rows) == 5
    assert not everything.measuring
    (tmp_path / folder / "train.jsonl").unlink()
    with pytest.raises(UsageError, match="no row to train on"):
        prepare(ALL, [str(tmp_path)])
    with pytest.raises(UsageError, match="no set is called fm3"):
        prepare(ALL, [str(tmp_path)], allowed=["fm3"])


def test_a_renamed_test_file_is_known_by_its_checksum(tmp_path):
    file = put(tmp_path, "data/foxes/other.jsonl", lines(tipstaff_row(1)))
    checksum = hashlib.sha256(file.read_bytes()).hexdigest()
    sets = described(tmp_path, "foxes/test.jsonl", checksum=checksum, measure=True)
    with pytest.raises(UsageError, match="no row to train on"):
        prepare(sets, [str(tmp_path / "data")])


def test_rows_that_share_a_question_with_another_set_s_test_rows_are_left_out(tmp_path):
    put(tmp_path, "evouna-nq/train.jsonl", lines(*(tipstaff_row(number) for number in range(4))))
    asked = tipstaff_row(2, truth="grey") | {"input": "What colour  is fox 2?"}
    put(tmp_path, "openqa-eval/rows.jsonl", lines(asked))
    prepared = prepare(ALL, [str(tmp_path)])
    assert [each.id for each in prepared.rows] == [f"evouna-nq:r{number}" for number in (0, 1, 3)]


def test_a_folder_or_file_of_another_name_is_given_with_its_set(tmp_path):
    put(tmp_path, "mine/dataset/dev.jsonl", lines(claim(1)))
    with pytest.raises(UsageError, match="no row"):
        prepare(ALL, [str(tmp_path)])
    assert len(prepare(ALL, [f"fm2={tmp_path / 'mine'}"]).rows) == 1
    own = put(tmp_path, "own.jsonl", lines(tipstaff_row(1)))
    (row,) = prepare(ALL, [f"begin={own}"]).rows
    assert (row.set, row.output) == ("begin", "red")
    test = put(tmp_path, "own-test.jsonl", lines(tipstaff_row(2)))
    prepared = prepare(ALL, [f"begin={own}", f"begin={test}"])
    assert [each.id for each in prepared.rows] == ["begin:r1"]


def test_doubles_are_taken_once_and_the_table_says_what_each_set_gives(tmp_path):
    rows = [tipstaff_row(number) for number in range(6)]
    put(tmp_path, "evouna-nq/train.jsonl", lines(*rows, rows[1] | {"id": "again"}))
    put(tmp_path, "fool-me-twice/dataset/dev.jsonl", lines(claim(1), claim(2)))
    prepared = prepare(ALL, [str(tmp_path)], cap=4)
    by_set = {each["set"]: each for each in prepared.summary}
    assert (by_set["evouna-nq"]["rows"], by_set["evouna-nq"]["taken"]) == (6, 4)
    assert by_set["fm2"]["taken"] == 2
    assert by_set["fm2"]["good"] == 1
    # Seven words of the claim, eight of its evidence.
    assert by_set["fm2"]["median words"] == 15
    assert "| fm2 | 2 | 2 | 1 | 1.0 | 15 | 0 | Apache-2.0;" in "\n".join(table(prepared.summary))
    again = prepare(ALL, [str(tmp_path)], cap=4)
    assert [each.id for each in again.rows] == [each.id for each in prepared.rows]
    other = prepare(ALL, [str(tmp_path)], cap=4, seed=1)
    assert [each.id for each in other.rows] != [each.id for each in prepared.rows]


def test_sampling_follows_its_rule():
    sizes = {"small": 100, "middle": 2_500, "large": 40_000}
    assert counts(sizes, "all", cap=1, total=1) == sizes
    assert counts(sizes, "cap", cap=1_000, total=1) == {
        "small": 100,
        "middle": 1_000,
        "large": 1_000,
    }
    # Square roots are 10, 50 and 200.
    assert counts(sizes, "root", cap=1, total=1_300) == {"small": 50, "middle": 250, "large": 1_000}
    # The small set has too few for its share: the others share what it lacks, one to four.
    assert counts(sizes, "root", cap=1, total=10_100) == {
        "small": 100,
        "middle": 2_000,
        "large": 8_000,
    }
    assert counts(sizes, "root", cap=1, total=10**6) == sizes


def test_a_draw_keeps_the_order_and_has_no_doubles():
    drawn = draw(range(1_000), 100, seed=0)
    assert drawn == sorted(set(drawn))
    assert len(drawn) == 100


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["prepare.py", *map(str, words)])
    main()


def test_folders_of_what_is_written_are_made(tmp_path, monkeypatch):
    """Once, a folder that wasn't there was a traceback after all the work."""
    data, new = tmp_path / "data", tmp_path / "new" / "place"
    put(data, "fool-me-twice/dataset/dev.jsonl", lines(claim(1)))
    run(monkeypatch, data, "--out", new / "rows.jsonl", "--measure", new / "more" / "other.jsonl")
    assert [each.name for each in sorted(new.iterdir())] == ["more", "rows.jsonl", "rows.sets.json"]
    assert (new / "more" / "other.jsonl").exists()


def test_a_place_that_cannot_be_written_is_named_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for flag, place, why in (
        ("--out", tmp_path / "file" / "rows.jsonl", f"the folder {tmp_path}/file can't be made"),
        ("--measure", tmp_path / "file" / "a" / "m.jsonl", "can't be made: Not a directory"),
        ("--out", tmp_path, f"--out {tmp_path}: is a folder; name a file"),
    ):
        # The data don't exist, which would be an error of reading them.
        with pytest.raises(SystemExit) as caught:
            run(monkeypatch, tmp_path / "nowhere", "--out", tmp_path / "good.jsonl", flag, place)
        assert str(caught.value).startswith(f"error: {flag}")
        assert why in str(caught.value)
