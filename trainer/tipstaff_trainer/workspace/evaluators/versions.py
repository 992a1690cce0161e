"""The evaluators of a workspace's repository: their versions, and what their named cases show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tipstaff.errors import TipstaffError
from tipstaff_server import repository
from tipstaff_server.errors import RepositoryError
from tipstaff_server.evaluator.bundle import Bundle, read_manifest
from tipstaff_server.evaluator.cases import Case, Outcome, bundle_cases
from tipstaff_server.evaluator.manifest import CARD_FILE, Manifest
from tipstaff_server.repository import promotion
from tipstaff_trainer.errors import WorkspaceError


@dataclass(frozen=True, slots=True)
class EvaluatorVersion:
    """One version in the repository.

    Attributes:
        name: The evaluator's.
        version: From 1.
        serving: Whether it is the one that serves.
        manifest: What it says of itself; None where its bundle is damaged.
        damage: What is wrong with it, else empty.
        unknown: Why it can't be told which version serves, else empty.
    """

    name: str
    version: int
    serving: bool
    manifest: Manifest | None
    damage: str = ""
    unknown: str = ""


class Evaluators:
    """The evaluators in a repository.

    Args:
        repository: Its folder, which need not be there yet.
    """

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._tried: dict[tuple[str, int], list[Outcome]] = {}

    def published(self) -> Sequence[repository.PublishedEvaluator]:
        """Each evaluator's name, its versions' numbers and which serves, without looking inside.

        One where that can't be told says why.

        Raises:
            RepositoryError: The repository can't be read.
        """
        return repository.contents(self._repository) if self._repository.is_dir() else ()

    def versions(self) -> list[EvaluatorVersion]:
        """Every version of every evaluator, the newest of each first.

        Raises:
            RepositoryError: The repository can't be read.
        """
        return [
            self._look(published, version)
            for published in self.published()
            for version in reversed(published.versions)
        ]

    def find(self, name: str, version: int | None = None) -> int:
        """A version that there is; the one that serves, else the newest, when None.

        Raises:
            WorkspaceError: There is no such evaluator or version.
        """
        found = repository.versions(self._repository, name)
        if not found:
            raise WorkspaceError(f"there is no evaluator {name!r} in the repository")
        if version is None:
            return repository.serving_version(self._repository, name) or found[-1]
        if version not in found:
            raise WorkspaceError(f"there is no version {version} of an evaluator {name!r}")
        return version

    def serving(self, name: str) -> int | None:
        """The version that serves; None where none does, and where it can't be told.

        Then a version that is to serve is held against none, and promoting one mends it.
        """
        try:
            return repository.serving_version(self._repository, name)
        except RepositoryError:
            return None

    def path(self, name: str, version: int) -> Path:
        """Where a version's bundle is."""
        return repository.bundle_path(self._repository, name, version)

    def card(self, name: str, version: int) -> str:
        """A version's model card, in Markdown.

        Raises:
            WorkspaceError: There is no such version, or it has none.
        """
        try:
            path = self.path(name, self.find(name, version)) / CARD_FILE
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise WorkspaceError(f"{name} version {version}: no model card: {error}") from error

    def named_cases(self, version: EvaluatorVersion) -> tuple[Case, ...]:
        """The named cases that a version brings along.

        Raises:
            BundleError: They are damaged.
        """
        if version.manifest is None:
            return ()
        # Not opened, which would read all its files: this one is verified as it is read.
        bundle = Bundle(self.path(version.name, version.version), version.manifest)
        return bundle_cases(bundle) or ()

    def try_cases(self, name: str, version: int) -> list[Outcome]:
        """What a version makes of the named cases that it must meet before it serves.

        They are its own, and those of the version that serves that it doesn't bring.

        Raises:
            WorkspaceError: There is no such evaluator or version.
            BundleError: The version's bundle is damaged.
            InvalidRequest: A case has none of the fields that it reads; names it.
        """
        candidate = Bundle.open(self.path(name, self.find(name, version)))
        serving = self.serving(name)
        outcomes = promotion.try_cases(
            candidate, None if serving is None else self.path(name, serving)
        )
        self._tried[name, version] = outcomes
        return outcomes

    def tried(self, name: str, version: int) -> list[Outcome] | None:
        """The outcomes that `try_cases` had last; None where it has not been asked here yet."""
        return self._tried.get((name, version))

    def _look(self, published: repository.PublishedEvaluator, version: int) -> EvaluatorVersion:
        serving = published.serving == version
        try:
            manifest = read_manifest(self.path(published.name, version))
            damage = ""
        except TipstaffError as error:
            manifest, damage = None, str(error)
        return EvaluatorVersion(
            published.name, version, serving, manifest, damage, published.damage
        )
