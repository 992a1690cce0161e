"""A repository of bundles: stored, promoted, and kept in memory by a server.

`store` reads and writes the files, `serving` the one that says which version serves. `operations`
publishes and promotes; `promotion` is the gate of named cases that a version must pass before it
serves. `registry` holds the versions that a running
server has loaded. This package exports the store's functions, and `publish` and `promote` by
keywords.
"""

from pathlib import Path

from tipstaff_server.repository import operations
from tipstaff_server.repository.operations import PromoteRequest, PublishRequest
from tipstaff_server.repository.serving import SERVING_FILE, serving_version, set_serving
from tipstaff_server.repository.store import (
    PublishedEvaluator,
    archive,
    bundle_path,
    check_name,
    contents,
    is_published,
    names,
    versions,
)

__all__ = [
    "SERVING_FILE",
    "PromoteRequest",
    "PublishRequest",
    "PublishedEvaluator",
    "archive",
    "bundle_path",
    "check_name",
    "contents",
    "is_published",
    "names",
    "promote",
    "publish",
    "serving_version",
    "set_serving",
    "versions",
]


def publish(bundle: Path, repository: Path, *, promote: bool = False, force: bool = False) -> int:
    """`operations.publish` by keywords; returns the new version."""
    request = PublishRequest(bundle=bundle, repository=repository, promote=promote, force=force)
    return operations.publish(request).version


def promote(repository: Path, name: str, version: int, *, force: bool = False) -> int | None:
    """`operations.promote` by keywords; returns the version that served before, or None."""
    request = PromoteRequest.parse(
        {"repository": repository, "name": name, "version": version, "force": force}
    )
    return operations.promote(request).previous
