"""The files of a repository: a folder of bundles, with a note of the version that serves.

    REPO/<name>/<version>/     a bundle; versions count 1, 2, … and never change once written
    REPO/<name>/serving.json   which version serves; replaced atomically
    REPO/<name>/archived-<v>/  an archived version; its number is not used again

Several processes may publish at once: a version appears whole, by renaming, or not at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tipstaff_server.errors import BundleError, RepositoryError
from tipstaff_server.evaluator.bundle import Bundle, write_atomically
from tipstaff_server.evaluator.manifest import MANIFEST_FILE, EvaluatorName
from tipstaff_server.repository.serving import serving_file, serving_version

_NAME: TypeAdapter[str] = TypeAdapter(EvaluatorName)
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_ARCHIVED = "archived-"


@dataclass(frozen=True, slots=True)
class PublishedEvaluator:
    """One evaluator of a repository.

    Attributes:
        name: The evaluator's.
        versions: Its versions in order.
        serving: The one that serves; None if none does or if `serving.json` is damaged.
        damage: What is wrong with `serving.json`; empty if nothing is.
        promoted_at: When it was promoted, UTC, ISO 8601; empty if not known.
        promoted_by: Who promoted it; empty if not known.
        forced: Whether it was promoted in spite of a check.
    """

    name: str
    versions: tuple[int, ...]
    serving: int | None
    damage: str = ""
    promoted_at: str = ""
    promoted_by: str = ""
    forced: bool = False


def add_version(bundle: Bundle, repository: Path) -> int:
    """Adds a bundle to a repository as its evaluator's next version.

    Only the files that the manifest lists are copied. The repository is made if it is absent.

    Args:
        bundle: The bundle, verified.
        repository: The repository's folder.

    Returns:
        The new version, from 1.

    Raises:
        BundleError: The bundle has changed since it was opened.
        RepositoryError: The repository can't be written.
    """
    name = bundle.manifest.name
    try:
        folder = repository / name
        folder.mkdir(parents=True, exist_ok=True)
        version = max([*versions(repository, name), *_archived(folder)], default=0) + 1
        while True:
            try:
                write_atomically(
                    bundle_path(repository, name, version), lambda staging: _copy(bundle, staging)
                )
                return version
            except FileExistsError:
                version += 1  # another publisher was quicker
    except FileExistsError as error:
        raise RepositoryError(f"{error.filename}: is not a folder") from error
    except OSError as error:
        where = error.filename or repository
        raise RepositoryError(f"{where}: can't be written: {error.strerror}") from error


def check_version(repository: Path, name: str, version: int) -> None:
    """Checks that a repository has a version of an evaluator.

    Raises:
        RepositoryError: It has no such evaluator or version; the message lists what it has.
    """
    known = versions(repository, name)
    if not known:
        raise RepositoryError(f"{repository}: has no evaluator {name!r}{_has(repository)}")
    if version not in known:
        raise RepositoryError(
            f"{repository}: {name} has no version {version}, only {', '.join(map(str, known))}"
        )


def archive(repository: Path, name: str, version: int) -> Path:
    """Archives a version that doesn't serve; no later one gets its number.

    Args:
        repository: The repository's folder.
        name: The evaluator's.
        version: The version to archive.

    Returns:
        The version's new folder. Renaming it to the version's number brings the version back. To
        free disk space, delete the files in it but not the folder itself.

    Raises:
        RepositoryError: There is no such version, it serves, or it can't be moved.
    """
    if version not in versions(repository, name):
        raise RepositoryError(f"{repository}: {name} has no version {version}")
    path = bundle_path(repository, name, version)
    aside = path.with_name(f"{_ARCHIVED}{version}")
    try:
        if serving_version(repository, name) != version:
            path.rename(aside)
        if serving_version(repository, name) != version:
            return aside
        if not path.exists():
            aside.rename(path)  # it was promoted just now
    except OSError as error:
        raise RepositoryError(f"{path}: can't be moved: {error.strerror}") from error
    raise RepositoryError(
        f"{name} version {version} serves: promote another version before this is laid aside"
    )


def names(repository: Path) -> tuple[str, ...]:
    """Names of the evaluators in a repository, sorted.

    Raises:
        RepositoryError: It can't be read.
    """
    try:
        return tuple(sorted(entry.name for entry in repository.iterdir() if _is_evaluator(entry)))
    except FileNotFoundError:
        raise RepositoryError(f"{repository}: no such folder") from None
    except OSError as error:
        raise RepositoryError(f"{repository}: can't be read: {error.strerror}") from error


def versions(repository: Path, name: str) -> tuple[int, ...]:
    """Versions of one evaluator, in order; empty if there is no such evaluator.

    Raises:
        RepositoryError: The evaluator's folder can't be read.
    """
    folder = repository / name
    if not _named(name) or not folder.is_dir():
        return ()
    try:
        return tuple(
            sorted(
                int(entry.name)
                for entry in folder.iterdir()
                if _VERSION.fullmatch(entry.name) and entry.is_dir()
            )
        )
    except OSError as error:
        raise RepositoryError(f"{folder}: can't be read: {error.strerror}") from error


def contents(repository: Path) -> tuple[PublishedEvaluator, ...]:
    """All evaluators of a repository, by name; one whose `serving.json` is damaged says so.

    Raises:
        RepositoryError: The repository can't be read.
    """
    return tuple(_published(repository, name) for name in names(repository))


def check_name(name: str) -> None:
    """Checks that a name may be an evaluator's.

    Raises:
        RepositoryError: It may not be.
    """
    if not _named(name):
        raise RepositoryError(
            f"{name[:80]!r} is no name for an evaluator: use a-z, 0-9 and -, 63 at most, and "
            "begin with a letter or digit"
        )


def bundle_path(repository: Path, name: str, version: int) -> Path:
    """The folder of a version's bundle."""
    return repository / name / str(version)


def is_published(bundle: Bundle) -> bool:
    """Whether a bundle's folder is a repository's version, judging by its name and its parent's."""
    path = bundle.path.resolve()
    return path.parent.name == bundle.manifest.name and bool(_VERSION.fullmatch(path.name))


def _published(repository: Path, name: str) -> PublishedEvaluator:
    known = versions(repository, name)
    try:
        serving = serving_file(repository, name)
        if serving is None:
            return PublishedEvaluator(name, known, None)
        return PublishedEvaluator(
            name,
            known,
            serving.version,
            promoted_at=serving.promoted_at,
            promoted_by=serving.promoted_by,
            forced=serving.forced,
        )
    except RepositoryError as error:
        return PublishedEvaluator(name, known, None, str(error))


def _copy(bundle: Bundle, target: Path) -> None:
    manifest = (bundle.path / MANIFEST_FILE).read_bytes()
    for name in bundle.manifest.checksums:
        (target / name).write_bytes(bundle.read(name))
    # Byte for byte: fields that a newer tipstaff wrote are kept, though this one can't read them.
    (target / MANIFEST_FILE).write_bytes(manifest)
    if Bundle.open(target).manifest != bundle.manifest:
        raise BundleError(bundle.path / MANIFEST_FILE, "changed while it was published")


def _archived(folder: Path) -> list[int]:
    """The numbers of the archived versions."""
    names = (entry.name for entry in folder.iterdir() if entry.name.startswith(_ARCHIVED))
    numbers = (name.removeprefix(_ARCHIVED) for name in names)
    return [int(number) for number in numbers if _VERSION.fullmatch(number)]


def _is_evaluator(entry: Path) -> bool:
    try:
        return _named(entry.name) and entry.is_dir() and bool(versions(entry.parent, entry.name))
    except RepositoryError:
        return True  # its own fault, not the other evaluators'; reported when it is followed


def _named(name: str) -> bool:
    try:
        _NAME.validate_python(name)
    except ValidationError:
        return False
    return True


def _has(repository: Path) -> str:
    try:
        known = names(repository)
    except RepositoryError:
        return ": no such folder"
    return f", only {', '.join(known)}" if known else " nor any other: publish one first"
