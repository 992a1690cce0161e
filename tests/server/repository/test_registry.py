from __future__ import annotations

from pathlib import Path

import pytest
from tiny_bundle import make_bundle

from tipstaff_server import repository
from tipstaff_server.errors import (
    BundleError,
    EvaluatorNotFound,
    InvalidRequest,
    NotReady,
    SettingsError,
)
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.repository.registry import Registry


class Watch:
    """Records the registry's events and retired evaluators; its clock is set by hand."""

    def __init__(self) -> None:
        self.swaps: list[tuple[int | None, int]] = []
        self.failures: list[str] = []
        self.retired: list[Evaluator] = []
        self.loads = 0
        self.time = 0.0

    def swapped(self, old, new) -> None:
        self.swaps.append((old and old.version, new.version))

    def failed(self, name: str) -> None:
        self.failures.append(name)

    def load(self, path: Path) -> Evaluator:
        self.loads += 1
        return Evaluator.load(path)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def registry(watch) -> Registry:
    return Registry(watch.load, watch.retired.append, watch, clock=lambda: watch.time)


@pytest.fixture
def repo(tmp_path, bundle) -> Path:
    repo = tmp_path / "repo"
    for _ in range(2):
        repository.publish(bundle, repo)
    return repo


def test_bundles_serve_as_version_0(registry, bundle, tmp_path):
    with pytest.raises(NotReady):
        registry.find("tiny", 0)
    other = make_bundle(tmp_path / "other", name="other")
    registry.load_bundles((bundle,))
    assert registry.find("", 0).name == "tiny"
    registry.load_bundles((other,))
    assert [served.name for served in registry.all()] == ["other", "tiny"]
    assert registry.find("other", 0).version == 0
    with pytest.raises(InvalidRequest, match="other, tiny"):
        registry.find("", 0)
    with pytest.raises(EvaluatorNotFound, match="other, tiny"):
        registry.find("third", 0)
    with pytest.raises(EvaluatorNotFound, match="version 0 here, not 1"):
        registry.find("tiny", 1)
    with pytest.raises(SettingsError, match="another bundle of the name tiny"):
        registry.load_bundles((bundle,))


def test_it_follows_promotions_and_loads_each_once(registry, watch, repo):
    registry.follow(repo)
    assert registry.readiness() == {}
    repository.promote(repo, "tiny", 1)
    for _ in range(3):
        registry.follow(repo)
    first = registry.find("tiny", 1)
    repository.promote(repo, "tiny", 2)
    registry.follow(repo)
    assert registry.find("tiny", 0).version == 2
    assert watch.swaps == [(None, 1), (1, 2)]
    assert watch.retired == [first.evaluator]
    assert watch.loads == 2
    with pytest.raises(EvaluatorNotFound):
        registry.find("tiny", 1)


def test_a_failure_keeps_the_old_version_and_is_tried_again_after_a_pause(registry, watch, repo):
    repository.promote(repo, "tiny", 1)
    registry.follow(repo)
    repository.promote(repo, "tiny", 2)
    card = repo / "tiny" / "2" / "card.md"
    whole = card.read_bytes()
    card.unlink()
    for _ in range(3):
        registry.follow(repo)
    assert (watch.loads, watch.failures) == (2, ["tiny"])
    assert registry.find("tiny", 0).version == 1
    assert registry.readiness() == {"tiny": True}
    watch.time += 6
    registry.follow(repo)
    assert watch.failures == ["tiny", "tiny"]
    card.write_bytes(whole)
    watch.time += 6
    registry.follow(repo)
    assert registry.find("tiny", 0).version == 1, "the pauses grow"
    watch.time += 6
    registry.follow(repo)
    assert registry.find("tiny", 0).version == 2


def test_what_never_loaded_is_not_ready(registry, repo, caplog):
    repository.set_serving(repo, "tiny", 7)
    registry.follow(repo)
    assert registry.readiness() == {"tiny": False}
    assert str(repo / "tiny" / "7") in caplog.text
    with pytest.raises(NotReady):
        registry.find("tiny", 0)
    repository.promote(repo, "tiny", 1)
    registry.follow(repo)
    assert registry.readiness() == {"tiny": True}


def test_one_broken_evaluator_does_not_keep_the_others_from_serving(registry, repo, tmp_path):
    repository.publish(make_bundle(tmp_path / "other", name="other"), repo, promote=True)
    (repo / "tiny" / "serving.json").write_text("{")
    registry.follow(repo)
    assert registry.find("other", 0).version == 1
    assert registry.readiness() == {"other": True, "tiny": False}
    with pytest.raises(NotReady):
        registry.find("tiny", 0)


def test_a_bundle_under_a_foreign_name_is_refused(registry, watch, repo, caplog):
    (repo / "tiny").rename(repo / "renamed")
    repository.set_serving(repo, "renamed", 1)
    registry.follow(repo)
    assert watch.failures == ["renamed"]
    assert "is a bundle of tiny, not of renamed" in caplog.text


def test_a_repository_that_goes_away_leaves_everything_serving(registry, watch, repo, tmp_path):
    repository.promote(repo, "tiny", 1)
    registry.follow(repo)
    repo.rename(tmp_path / "elsewhere")
    registry.follow(repo)
    assert registry.find("tiny", 0).version == 1
    assert watch.failures == [""]


def test_an_unforeseen_fault_while_loading_is_a_failure_like_others(watch, repo):
    def load(path: Path) -> Evaluator:
        raise MemoryError

    registry = Registry(load, watch.retired.append, watch)
    repository.promote(repo, "tiny", 1)
    registry.follow(repo)
    assert watch.failures == ["tiny"]


def test_a_damaged_bundle_served_directly_is_an_error(registry, tmp_path):
    with pytest.raises(BundleError, match=r"manifest\.json: missing"):
        registry.load_bundles((tmp_path,))
