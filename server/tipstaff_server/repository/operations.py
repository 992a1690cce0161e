"""Publish and promote: the two operations on a repository.

To publish is to add a version. To promote is to let a version serve; to roll back is to promote an
older one.
"""

from __future__ import annotations

import getpass
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tipstaff_server.errors import BundleError, RepositoryError
from tipstaff_server.evaluator.bundle import Bundle, read_manifest
from tipstaff_server.evaluator.manifest import Manifest
from tipstaff_server.repository import promotion, store
from tipstaff_server.repository.caveats import caveats
from tipstaff_server.repository.serving import serving_version, set_serving
from tipstaff_server.requests import Request, setting

log = logging.getLogger(__name__)


def _promoted_by() -> Any:
    description = "who promotes it, noted beside the promotion (default: the user and the machine)"
    return setting("", description, unit="name", local=True, max_length=200)


def _max_probe_harm() -> Any:
    description = (
        "refuse to promote it where rewritten outputs surely get a wrong verdict more often than "
        "plain ones by more than this share (default: only where they fool it more than the "
        "version that serves)"
    )
    return setting(None, description, unit="share", ge=0, le=1)


class PublishRequest(Request):
    """Which bundle to publish, and where."""

    bundle: Path = setting(description="folder of the bundle")
    repository: Path = setting(description="folder of the repository; made if absent")
    promote: bool = setting(False, "let the new version serve at once")
    promoted_by: str = _promoted_by()
    max_probe_harm: float | None = _max_probe_harm()
    force: bool = setting(
        False,
        "promote it even if it has not learnt, named cases fail or rewritten outputs fool it",
    )


class PromoteRequest(Request):
    """Which version of an evaluator is to serve."""

    repository: Path = setting(description="folder of the repository")
    name: str = setting(description="the evaluator")
    version: int = setting(description="which version; an older one rolls back", ge=1)
    promoted_by: str = _promoted_by()
    max_probe_harm: float | None = _max_probe_harm()
    force: bool = setting(
        False,
        "promote it even if it has not learnt, named cases fail or rewritten outputs fool it",
    )


@dataclass(frozen=True, slots=True)
class PublishedVersion:
    """A version that was added to a repository.

    Attributes:
        name: The evaluator's.
        version: The new version, from 1.
        path: The folder of its bundle.
    """

    name: str
    version: int
    path: Path


@dataclass(frozen=True, slots=True)
class PromotedVersion:
    """A version that serves now.

    Attributes:
        name: The evaluator's.
        version: The version that was promoted.
        previous: The version that served before, which may be the same; None if none did.
    """

    name: str
    version: int
    previous: int | None


def publish(
    request: PublishRequest,
    on_published: Callable[[PublishedVersion], None] = lambda published: None,
) -> PublishedVersion:
    """Verifies a bundle, adds it to a repository, and promotes it if the request says so.

    Logs the version's caveats, see `repository.caveats`.

    Args:
        request: The bundle and the repository.
        on_published: Called when the version is in the repository, before it is promoted.

    Raises:
        BundleError: The bundle is damaged.
        PromotionRefused: The version is published, but may not serve.
        RepositoryError: The repository can't be written.
    """
    bundle = Bundle.open(request.bundle)
    name = bundle.manifest.name
    version = store.add_version(bundle, request.repository)
    published = PublishedVersion(
        name, version, store.bundle_path(request.repository, name, version)
    )
    on_published(published)
    if request.promote:
        _let_serve(request, name, version)
    else:
        serving = _serving(request.repository, name)
        _warn(request.repository, bundle.manifest, version, serving)
    return published


def promote(request: PromoteRequest) -> PromotedVersion:
    """Lets one version of an evaluator serve, after verifying its bundle and its named cases.

    One that has not learnt is refused.

    Logs the version's caveats, see `repository.caveats`.

    Raises:
        PromotionRefused: It has not learnt, or fails a named case that the version now serving does
            not.
        RepositoryError: There is no such evaluator or version, or it can't be written.
        BundleError: The version's bundle is damaged.
    """
    repository, name, version = request.repository, request.name, request.version
    store.check_version(repository, name, version)
    previous = _let_serve(request, name, version)
    return PromotedVersion(name, version, previous)


def _let_serve(request: PublishRequest | PromoteRequest, name: str, version: int) -> int | None:
    """Returns the version that served before; None if none did."""
    repository = request.repository
    candidate = Bundle.open(store.bundle_path(repository, name, version))
    previous = _serving(repository, name)
    label = f"{name} version {version}"
    if previous != version:
        serving = None if previous is None else store.bundle_path(repository, name, previous)
        _warn(repository, candidate.manifest, version, previous)
        if request.force:
            promotion.log_changes(candidate, serving)
            promotion.log_overridden(candidate, serving, label=label)
        else:
            limit = request.max_probe_harm
            promotion.check(candidate, serving, max_probe_harm=limit, label=label)
    set_serving(
        repository,
        name,
        version,
        by=request.promoted_by or _user(),
        previous=previous,
        forced=request.force,
    )
    return previous


def _user() -> str:
    """The user of this process and its machine."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (OSError, KeyError):
        return f"{os.getuid()}@{socket.gethostname()}"  # a container's user may have no name


def _serving(repository: Path, name: str) -> int | None:
    """The version that serves; None if none does, or if its file can't be read."""
    try:
        return serving_version(repository, name)
    except RepositoryError:
        return None  # an unreadable file is repaired by writing it anew


def _warn(repository: Path, candidate: Manifest, version: int, serving: int | None) -> None:
    """Logs the caveats of a version beside the one that serves."""
    now = None
    # A damaged version, above all, must be replaceable.
    with suppress(BundleError):
        if serving is not None:
            now = read_manifest(store.bundle_path(repository, candidate.name, serving))
    for caveat in caveats(candidate, now):
        log.warning("%s version %d %s", candidate.name, version, caveat)
