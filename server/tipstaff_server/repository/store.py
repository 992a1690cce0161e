"""A repository: a folder of bundles, with the version that serves.

    REPO/<name>/<version>/     a bundle; versions count 1, 2, … and never change once written
    REPO/<name>/serving.json   which version serves; replaced atomically
    REPO/<name>/archived-<v>/  a version that was laid aside; its number is not given again

To publish is to add a version; to promote is to let one serve; to roll back is to promote an older
one. Several may publish at once: a version appears whole, by renaming, or not at all.
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tipstaff_server.errors import BundleError, RepositoryError
from tipstaff_server.evaluator.bundle import Bundle, write_atomically
from tipstaff_server.evaluator.manifest import MANIFEST_FILE, EvaluatorName
from tipstaff_server.repository import promotion

SERVING_FILE = "serving.json"

_NAME: TypeAdapter[str] = TypeAdapter(EvaluatorName)
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_ARCHIVED = "archived-"


class Serving(BaseModel):
    """The content of `serving.json`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = Field(ge=1)
    promoted_at: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """One evaluator of a repository.

    Attributes:
        name: The evaluator's.
        versions: Its versions in order.
        serving: The one that serves, None if none does or it can't be told.
        damage: Why it can't be told, else empty.
    """

    name: str
    versions: tuple[int, ...]
    serving: int | None
    damage: str = ""


def publish(bundle: Path, repository: Path, *, promote: bool = False, force: bool = False) -> int:
    """Verifies a bundle and adds it to a repository as its evaluator's next version.

    Only the files that the manifest lists are copied. The repository is made if it isn't there.

    Args:
        bundle: The bundle's folder.
        repository: The repository's folder.
        promote: Let the new version serve, too.
        force: Though named cases fail.

    Returns:
        The new version, from 1.

    Raises:
        BundleError: The bundle is damaged.
        PromotionRefused: It is published, and may not serve.
        RepositoryError: The repository can't be written.
    """
    opened = Bundle.open(bundle)
    name = opened.manifest.name
    try:
        folder = repository / name
        folder.mkdir(parents=True, exist_ok=True)
        version = max([*versions(repository, name), *_archived(folder)], default=0) + 1
        while True:
            try:
                write_atomically(
                    bundle_path(repository, name, version), lambda staging: _copy(opened, staging)
                )
                break
            except FileExistsError:
                version += 1  # another publisher was quicker
    except FileExistsError as error:
        raise RepositoryError(f"{error.filename}: is not a folder") from error
    except OSError as error:
        where = error.filename or repository
        raise RepositoryError(f"{where}: can't be written: {error.strerror}") from error
    if promote:
        _let_serve(repository, name, version, force=force)
    return version


def promote(repository: Path, name: str, version: int, *, force: bool = False) -> int | None:
    """Lets one version of an evaluator serve, after verifying its bundle and its named cases.

    Args:
        repository: The repository's folder.
        name: The evaluator's.
        version: Which.
        force: Though named cases fail.

    Returns:
        The version that served before, None if none did.

    Raises:
        PromotionRefused: It fails a named case that the version now serving does not (`gate`).
        RepositoryError: There is no such evaluator or version, or it can't be written.
        BundleError: The version's bundle is damaged.
    """
    found = versions(repository, name)
    if not found:
        raise RepositoryError(f"{repository}: has no evaluator {name!r}{_has(repository)}")
    if version not in found:
        raise RepositoryError(
            f"{repository}: {name} has no version {version}, only {', '.join(map(str, found))}"
        )
    return _let_serve(repository, name, version, force=force)


def archive(repository: Path, name: str, version: int) -> Path:
    """Lays a version aside that doesn't serve; no later one gets its number.

    Args:
        repository: The repository's folder.
        name: The evaluator's.
        version: Which.

    Returns:
        The folder that it is in from then on. Renaming it to the version's number brings it back;
        to make room its files may be deleted, but not the folder.

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


def set_serving(repository: Path, name: str, version: int) -> None:
    """Replaces `serving.json` in one step.

    Raises:
        RepositoryError: It can't be written.
    """
    serving = Serving(version=version, promoted_at=datetime.now(UTC).isoformat(timespec="seconds"))
    target = repository / name / SERVING_FILE
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{SERVING_FILE}.", dir=target.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(serving.model_dump_json() + "\n")
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RepositoryError(f"{target}: can't be written: {error.strerror}") from error


def serving_version(repository: Path, name: str) -> int | None:
    """The version of one evaluator that serves, None when none was promoted.

    Raises:
        RepositoryError: Its `serving.json` can't be read.
    """
    file = repository / name / SERVING_FILE
    try:
        return Serving.model_validate_json(file.read_bytes()).version
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RepositoryError(f"{file}: can't be read: {error.strerror}") from error
    except ValidationError as error:
        why = error.errors()[0]["msg"]
        raise RepositoryError(f"{file}: {why}: promote a version again to repair it") from error


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
    """Versions of one evaluator in order; empty when there is no such evaluator.

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


def contents(repository: Path) -> tuple[Published, ...]:
    """All evaluators of a repository, by name; one whose `serving.json` is damaged says so.

    Raises:
        RepositoryError: The repository can't be read.
    """
    return tuple(_published(repository, name) for name in names(repository))


def check_name(name: str) -> None:
    """Checks that an evaluator may be called so.

    Raises:
        RepositoryError: It may not.
    """
    if not _named(name):
        raise RepositoryError(
            f"{name[:80]!r} is no name for an evaluator: use a-z, 0-9 and -, 63 at most, and "
            "begin with a letter or digit"
        )


def bundle_path(repository: Path, name: str, version: int) -> Path:
    """Where a version's bundle is."""
    return repository / name / str(version)


def is_published(bundle: Bundle) -> bool:
    """Whether a bundle's folder is a version's in a repository, by its name and its parent's."""
    path = bundle.path.resolve()
    return path.parent.name == bundle.manifest.name and bool(_VERSION.fullmatch(path.name))


def _published(repository: Path, name: str) -> Published:
    found = versions(repository, name)
    try:
        return Published(name, found, serving_version(repository, name))
    except RepositoryError as error:
        return Published(name, found, None, str(error))


def _let_serve(repository: Path, name: str, version: int, *, force: bool) -> int | None:
    candidate = Bundle.open(bundle_path(repository, name, version))
    try:
        before = serving_version(repository, name)
    except RepositoryError:
        before = None  # an unreadable file is repaired by writing it anew
    if before != version:
        serving = None if before is None else bundle_path(repository, name, before)
        if force:
            promotion.tell_changes(candidate, serving)
        else:
            promotion.check(candidate, serving, what=f"{name} version {version}")
    set_serving(repository, name, version)
    return before


def _copy(bundle: Bundle, target: Path) -> None:
    manifest = (bundle.path / MANIFEST_FILE).read_bytes()
    for name in bundle.manifest.checksums:
        (target / name).write_bytes(bundle.read(name))
    # Byte for byte: fields that a newer tipstaff wrote are kept though this one can't read them.
    (target / MANIFEST_FILE).write_bytes(manifest)
    if Bundle.open(target).manifest != bundle.manifest:
        raise BundleError(bundle.path / MANIFEST_FILE, "changed while it was published")


def _archived(folder: Path) -> list[int]:
    """The numbers of the versions that were laid aside."""
    names = (entry.name for entry in folder.iterdir() if entry.name.startswith(_ARCHIVED))
    numbers = (name.removeprefix(_ARCHIVED) for name in names)
    return [int(number) for number in numbers if _VERSION.fullmatch(number)]


def _is_evaluator(entry: Path) -> bool:
    try:
        return _named(entry.name) and entry.is_dir() and bool(versions(entry.parent, entry.name))
    except RepositoryError:
        return True  # its own fault, not the other evaluators': told when it is followed


def _named(name: str) -> bool:
    try:
        _NAME.validate_python(name)
    except ValidationError:
        return False
    return True


def _has(repository: Path) -> str:
    try:
        found = names(repository)
    except RepositoryError:
        return ": no such folder"
    return f", only {', '.join(found)}" if found else " nor any other: publish one first"
