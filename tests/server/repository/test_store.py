from __future__ import annotations

import errno
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from tiny_bundle import make_bundle

from tipstaff_server import repository
from tipstaff_server.errors import BundleError, RepositoryError
from tipstaff_server.evaluator.bundle import Bundle, read_manifest


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return tmp_path / "repo"


@pytest.mark.parametrize("where", ["repo", "repo/tiny"])
def test_a_file_where_a_folder_should_be(tmp_path, bundle, where):
    (tmp_path / where).parent.mkdir(exist_ok=True)
    (tmp_path / where).touch()
    with pytest.raises(RepositoryError, match=r"not a folder|Not a directory"):
        repository.publish(bundle, tmp_path / "repo")


def test_an_evaluator_that_cannot_be_read_is_not_the_others_fault(repo, bundle, monkeypatch):
    repository.publish(bundle, repo, promote=True)
    (repo / "other").mkdir()
    iterdir = Path.iterdir

    def unreadable(folder: Path):
        # Patched, since a file mode doesn't stop root, and tests may run as root.
        if folder.name == "other":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", unreadable)
    assert repository.names(repo) == ("other", "tiny")
    assert repository.serving_version(repo, "tiny") == 1
    with pytest.raises(RepositoryError, match="other: can't be read: Permission denied"):
        repository.versions(repo, "other")


def test_publishing_counts_versions_and_promotes_none(repo, bundle):
    assert [repository.publish(bundle, repo) for _ in range(3)] == [1, 2, 3]
    assert repository.serving_version(repo, "tiny") is None
    (published,) = repository.contents(repo)
    assert published == repository.PublishedEvaluator("tiny", (1, 2, 3), None)
    assert Bundle.open(repo / "tiny" / "2").manifest == read_manifest(bundle)


def test_versions_count_on_as_numbers_not_as_words(repo, bundle):
    (repo / "tiny" / "10").mkdir(parents=True)
    (repo / "tiny" / "10" / "taken").touch()
    (repo / "tiny" / "9").mkdir()
    assert repository.publish(bundle, repo) == 11
    assert repository.versions(repo, "tiny") == (9, 10, 11)


def test_only_what_the_manifest_lists_is_copied_byte_for_byte(repo, tmp_path):
    bundle = make_bundle(tmp_path / "run")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["of_a_newer_tipstaff"] = {"kept": True}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    (bundle / "training").mkdir()
    (bundle / "training" / "checkpoint.bin").touch()
    (bundle / "notes.txt").touch()
    repository.publish(bundle, repo)
    copy = repo / "tiny" / "1"
    assert {file.name for file in copy.iterdir()} == {"manifest.json", *manifest["checksums"]}
    for file in copy.iterdir():
        assert file.read_bytes() == (bundle / file.name).read_bytes()


def test_promoting_and_rolling_back(repo, bundle):
    repository.publish(bundle, repo)
    assert repository.publish(bundle, repo, promote=True) == 2
    assert repository.serving_version(repo, "tiny") == 2
    assert repository.promote(repo, "tiny", 1) == 2
    assert repository.serving_version(repo, "tiny") == 1
    assert {entry.name for entry in (repo / "tiny").iterdir()} == {"1", "2", "serving.json"}


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        ("tiny", 3, "has no version 3, only 1"),
        ("other", 1, "has no evaluator 'other', only tiny"),
        ("../repo/tiny", 1, "has no evaluator"),
    ],
)
def test_promoting_what_is_not_there(repo, bundle, name, version, words):
    repository.publish(bundle, repo)
    with pytest.raises(RepositoryError, match=words):
        repository.promote(repo, name, version)
    assert repository.serving_version(repo, "tiny") is None


def test_a_damaged_bundle_is_neither_published_nor_promoted(repo, tmp_path):
    bundle = make_bundle(tmp_path / "bundle")
    repository.publish(bundle, repo)
    (repo / "tiny" / "1" / "card.md").write_text("changed")
    with pytest.raises(BundleError, match=r"1/card\.md: checksum"):
        repository.promote(repo, "tiny", 1)
    (bundle / "card.md").unlink()
    with pytest.raises(BundleError, match=r"card\.md: missing"):
        repository.publish(bundle, repo)
    assert repository.contents(repo) == (repository.PublishedEvaluator("tiny", (1,), None),)


def test_publishers_at_once_get_versions_of_their_own(repo, bundle):
    with ProcessPoolExecutor(4) as pool:
        jobs = [pool.submit(repository.publish, bundle, repo) for _ in range(12)]
        assert sorted(job.result() for job in jobs) == list(range(1, 13))
    for version in range(1, 13):
        Bundle.open(repo / "tiny" / str(version))
    assert not [entry for entry in (repo / "tiny").iterdir() if entry.name.startswith(".")]


def test_a_half_written_version_is_not_seen(repo, bundle):
    repository.publish(bundle, repo)
    (repo / "tiny" / ".2.staging").mkdir()
    assert repository.versions(repo, "tiny") == (1,)


@pytest.mark.parametrize("content", ["", "{}", '{"version": 0}', '{"version": "latest"}', "[1]"])
def test_an_unreadable_serving_file_is_named_and_repaired_by_promoting(repo, bundle, content):
    repository.publish(bundle, repo)
    (repo / "tiny" / "serving.json").write_text(content)
    with pytest.raises(RepositoryError, match=r"tiny/serving\.json: .*promote"):
        repository.serving_version(repo, "tiny")
    # The list still has the evaluator.
    (published,) = repository.contents(repo)
    assert (published.versions, published.serving) == ((1,), None)
    assert "serving.json" in published.damage
    assert repository.promote(repo, "tiny", 1) is None
    assert repository.serving_version(repo, "tiny") == 1


def test_a_repository_that_is_not_there(repo, bundle, tmp_path):
    with pytest.raises(RepositoryError, match="no such folder"):
        repository.names(repo)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(RepositoryError, match="can't be written"):
        repository.publish(bundle, file / "repo")


def test_a_version_laid_aside_is_gone_and_its_number_is_not_given_again(tmp_path):
    bundle, repo = make_bundle(tmp_path / "bundle"), tmp_path / "repo"
    for promote in (True, False, False):
        repository.publish(bundle, repo, promote=promote)
    aside = repository.archive(repo, "tiny", 3)
    assert (aside / "manifest.json").exists()
    assert repository.versions(repo, "tiny") == (1, 2)
    assert repository.publish(bundle, repo) == 4
    for version in (1, 3):
        with pytest.raises(RepositoryError, match=r"version 1 serves|no version 3"):
            repository.archive(repo, "tiny", version)
    assert repository.serving_version(repo, "tiny") == 1


def test_who_promoted_and_whether_by_force_is_noted(repo, bundle):
    repository.publish(bundle, repo, promote=True)
    (first,) = repository.contents(repo)
    assert "@" in first.promoted_by
    assert first.promoted_at
    assert not first.forced
    repository.publish(bundle, repo)
    request = repository.PromoteRequest(
        repository=repo, name="tiny", version=2, force=True, promoted_by="ada"
    )
    repository.operations.promote(request)
    (second,) = repository.contents(repo)
    assert (second.serving, second.promoted_by, second.forced) == (2, "ada", True)
    assert json.loads((repo / "tiny" / "serving.json").read_text())["previous"] == 1
