"""The evaluators of a workspace's repository, and the curves of those in training."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tipstaff.errors import TipstaffError
from tipstaff_server import repository
from tipstaff_server.evaluator.bundle import Bundle, read_manifest
from tipstaff_server.evaluator.cases import Case, bundle_cases
from tipstaff_server.evaluator.manifest import CARD_FILE, Manifest
from tipstaff_trainer.errors import WorkspaceError

_MOST_POINTS = 400


@dataclass(frozen=True, slots=True)
class EvaluatorVersion:
    """One version in the repository.

    Attributes:
        name: The evaluator's.
        version: From 1.
        serving: Whether it is the one that serves.
        manifest: What it says of itself; None where its bundle is damaged.
        damage: What is wrong with it, else empty.
    """

    name: str
    version: int
    serving: bool
    manifest: Manifest | None
    damage: str = ""


@dataclass(frozen=True, slots=True)
class Curves:
    """What a training run has logged: (step, value) pairs in order, by what they are."""

    loss: Sequence[tuple[float, float]] = ()
    validation_loss: Sequence[tuple[float, float]] = ()
    accuracy: Sequence[tuple[float, float]] = ()
    auroc: Sequence[tuple[float, float]] = ()
    epoch: float = 0.0


def versions(folder: Path) -> list[EvaluatorVersion]:
    """Every version of every evaluator, the newest of each first.

    Raises:
        RepositoryError: The repository can't be read.
    """
    if not folder.is_dir():
        return []
    return [
        _version(folder, published, version)
        for published in repository.contents(folder)
        for version in reversed(published.versions)
    ]


def card(folder: Path, name: str, version: int) -> str:
    """A version's model card, in Markdown.

    Raises:
        WorkspaceError: There is no such version, or it has none.
    """
    if version not in repository.versions(folder, name):
        raise WorkspaceError(f"there is no version {version} of an evaluator {name!r}")
    try:
        path = repository.bundle_path(folder, name, version) / CARD_FILE
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise WorkspaceError(f"{name} version {version}: no model card: {error}") from error


def named_cases(folder: Path, version: EvaluatorVersion) -> tuple[Case, ...]:
    """The named cases that a version brings along.

    Raises:
        BundleError: They are damaged.
    """
    if version.manifest is None:
        return ()
    path = repository.bundle_path(folder, version.name, version.version)
    # Not opened, which would read all its files: this one is verified as it is read.
    return bundle_cases(Bundle(path, version.manifest)) or ()


def read_curves(file: Path) -> Curves:
    """Reads a run's `metrics.jsonl`; what isn't there yet is empty."""
    loss: list[tuple[float, float]] = []
    validation: dict[str, list[tuple[float, float]]] = {}
    epoch = 0.0
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return Curves()
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # being written just now
        if not isinstance(entry, Mapping) or not isinstance(step := entry.get("step"), int):
            continue
        epoch = max(epoch, _number(entry.get("epoch")) or 0.0)
        if (value := _number(entry.get("loss"))) is not None:
            loss.append((step, value))
        for name in ("eval_calibrated_loss", "eval_accuracy", "eval_roc_auc"):
            if (value := _number(entry.get(name))) is not None:
                validation.setdefault(name, []).append((step, value))
    return Curves(
        loss=_thinned(loss),
        validation_loss=validation.get("eval_calibrated_loss", []),
        accuracy=validation.get("eval_accuracy", []),
        auroc=validation.get("eval_roc_auc", []),
        epoch=epoch,
    )


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points to draw: means of neighbours where there are more than can be told apart."""
    size = math.ceil(len(points) / _MOST_POINTS) or 1
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def _version(folder: Path, published: repository.Published, version: int) -> EvaluatorVersion:
    serving = published.serving == version
    try:
        path = repository.bundle_path(folder, published.name, version)
        return EvaluatorVersion(published.name, version, serving, read_manifest(path))
    except TipstaffError as error:
        return EvaluatorVersion(published.name, version, serving, None, str(error))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)
