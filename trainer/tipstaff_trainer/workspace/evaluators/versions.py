"""The evaluators in a workspace's repository: versions, model cards and named cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tipstaff.errors import TipstaffError
from tipstaff_server import repository
from tipstaff_server.errors import PromotionRefused, RepositoryError
from tipstaff_server.evaluator.bundle import Bundle, read_manifest
from tipstaff_server.evaluator.cases import Case, Outcome, bundle_cases
from tipstaff_server.evaluator.manifest import CARD_FILE, Manifest
from tipstaff_server.repository import promotion
from tipstaff_trainer.errors import WorkspaceError


@dataclass(frozen=True, slots=True)
class EvaluatorVersion:
    """One version in the repository.

    Attributes:
        name: The evaluator's name.
        version: The version's number, from 1.
        serving: Whether this version is Online.
        manifest: The bundle's manifest; None if the bundle is damaged.
        damage: Why the bundle can't be read; empty if it can.
        serving_error: Why the repository can't tell which version is Online; empty if it can.
    """

    name: str
    version: int
    serving: bool
    manifest: Manifest | None = field(repr=False)
    damage: str = ""
    serving_error: str = ""


class Evaluators:
    """The evaluators in a repository.

    Args:
        repository: The repository's folder; it may not exist yet.
    """

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._outcomes: dict[tuple[str, int], list[Outcome]] = {}

    def published(self) -> Sequence[repository.PublishedEvaluator]:
        """Each evaluator's versions and the one that is Online, without reading bundles.

        Raises:
            RepositoryError: The repository can't be read.
        """
        return repository.contents(self._repository) if self._repository.is_dir() else ()

    def versions(self) -> list[EvaluatorVersion]:
        """Every version of every evaluator, newest first.

        Raises:
            RepositoryError: The repository can't be read.
        """
        return [
            self._read(evaluator, version)
            for evaluator in self.published()
            for version in reversed(evaluator.versions)
        ]

    def find(self, name: str, version: int | None = None) -> int:
        """Checks a version's number; for None, picks the version that is Online or the newest.

        Raises:
            WorkspaceError: There is no such evaluator or version.
        """
        versions = repository.versions(self._repository, name)
        if not versions:
            raise WorkspaceError(f"there is no evaluator {name!r} in the repository")
        if version is None:
            return repository.serving_version(self._repository, name) or versions[-1]
        if version not in versions:
            raise WorkspaceError(f"evaluator {name!r} has no version {version}")
        return version

    def serving(self, name: str) -> int | None:
        """The version that is Online; None without one, or if the repository can't tell.

        In both cases a promotion compares with no version, and repairs the repository.
        """
        try:
            return repository.serving_version(self._repository, name)
        except RepositoryError:
            return None

    def path(self, name: str, version: int) -> Path:
        """The path of a version's bundle."""
        return repository.bundle_path(self._repository, name, version)

    def bundle(self, name: str, version: int) -> Path:
        """The path of the bundle of a version that exists.

        Raises:
            WorkspaceError: There is no such evaluator or version, as when it was archived.
        """
        return self.path(name, self.find(name, version))

    def card(self, name: str, version: int) -> str:
        """A version's model card, in Markdown.

        Raises:
            WorkspaceError: There is no such version, or it has no card.
        """
        try:
            return (self.bundle(name, version) / CARD_FILE).read_text(encoding="utf-8")
        except OSError as error:
            raise WorkspaceError(f"{name} version {version}: no model card: {error}") from error

    def named_cases(self, version: EvaluatorVersion) -> tuple[Case, ...]:
        """The named cases in a version's bundle.

        Raises:
            BundleError: The file of cases is damaged.
        """
        if version.manifest is None:
            return ()
        # `Bundle.open` would read all files; `bundle_cases` verifies the one that it reads.
        bundle = Bundle(self.path(version.name, version.version), version.manifest)
        return bundle_cases(bundle) or ()

    def try_cases(self, name: str, version: int) -> list[Outcome]:
        """Runs the named cases that a version must meet before it is promoted.

        They are its own cases, and those of the Online version that it lacks.

        Raises:
            WorkspaceError: There is no such evaluator or version.
            BundleError: The version's bundle is damaged.
            InvalidRequest: A case has no text that the evaluator reads; names the case.
        """
        candidate = Bundle.open(self.bundle(name, version))
        serving = self.serving(name)
        outcomes = promotion.try_cases(
            candidate, None if serving is None else self.path(name, serving)
        )
        self._outcomes[name, version] = outcomes
        return outcomes

    def refusal(self, name: str, version: int) -> PromotionRefused | None:
        """Why a version would not be promoted now; None if it would be, or is Online.

        Raises:
            WorkspaceError: There is no such evaluator or version.
            BundleError: The version's bundle is damaged.
        """
        candidate, serving = Bundle.open(self.bundle(name, version)), self.serving(name)
        if serving == version:
            return None
        before = None if serving is None else self.path(name, serving)
        label = f"{name} version {version}"
        try:
            promotion.check(candidate, before, label=label)
        except PromotionRefused as refused:
            return refused
        return None

    def last_outcomes(self, name: str, version: int) -> list[Outcome] | None:
        """The outcomes of the last `try_cases` in this process; None before the first."""
        return self._outcomes.get((name, version))

    def _read(self, evaluator: repository.PublishedEvaluator, number: int) -> EvaluatorVersion:
        manifest, damage = None, ""
        try:
            manifest = read_manifest(self.path(evaluator.name, number))
        except TipstaffError as error:
            damage = str(error)
        serving = evaluator.serving == number
        return EvaluatorVersion(evaluator.name, number, serving, manifest, damage, evaluator.damage)
