"""A repository of bundles: stored, promoted, and kept in memory by a server.

`store` publishes and lists versions, `promotion` runs named cases before a version may serve, and
`registry` holds the loaded versions of a running server. The store's calls are this package's.
"""

from tipstaff_server.repository.store import (
    SERVING_FILE,
    Published,
    archive,
    bundle_path,
    check_name,
    contents,
    is_published,
    names,
    promote,
    publish,
    serving_version,
    set_serving,
    versions,
)

__all__ = [
    "SERVING_FILE",
    "Published",
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
