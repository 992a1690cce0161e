from __future__ import annotations

import json

import pytest
from tiny_bundle import make_bundle

from tipstaff_server import repository
from tipstaff_server.evaluator.bundle import Bundle, sha256_of
from tipstaff_server.evaluator.cases import Case, bundle_cases
from tipstaff_server.evaluator.manifest import CARD_FILE, MANIFEST_FILE
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.export.bundle_writer import attach_cases, copy_bundle, write_bundle

CASES = (Case(name="paris", expect="pass", output="paris", ground_truth="paris"),)


def test_a_bundle_lists_what_was_there_and_what_was_added(tmp_path):
    source = Bundle.open(make_bundle(tmp_path / "b"))
    (source.path / MANIFEST_FILE).unlink()
    write_bundle(source.path, source.manifest, {CARD_FILE: b"# card"})
    written = Bundle.open(source.path)
    assert list(written.manifest.checksums) == list(source.manifest.checksums)
    assert written.manifest.checksums[CARD_FILE] == sha256_of(source.path / CARD_FILE)


def test_a_copy_has_another_card_and_the_same_other_files(tmp_path):
    source = Bundle.open(make_bundle(tmp_path / "b"))
    attach_cases(source.path, CASES)
    source = Bundle.open(source.path)
    copy = copy_bundle(source, tmp_path / "copy", source.manifest, card="# another")
    assert (copy.path / CARD_FILE).read_text() == "# another"
    same = {name: sum_ for name, sum_ in copy.manifest.checksums.items() if name != CARD_FILE}
    assert same == {k: v for k, v in source.manifest.checksums.items() if k != CARD_FILE}
    with pytest.raises(FileExistsError):
        copy_bundle(source, tmp_path / "copy", source.manifest, card="")


def test_attached_cases_are_listed(tmp_path):
    bundle = make_bundle(tmp_path / "b")
    attach_cases(bundle, CASES)
    assert bundle_cases(Bundle.open(bundle)) == CASES
    assert "cases.json" in json.loads((bundle / MANIFEST_FILE).read_text())["checksums"]


def test_a_published_version_never_changes(tmp_path):
    repo = tmp_path / "repo"
    repository.publish(make_bundle(tmp_path / "b"), repo)
    with pytest.raises(DataError, match="never changes"):
        attach_cases(repo / "tiny" / "1", CASES)
