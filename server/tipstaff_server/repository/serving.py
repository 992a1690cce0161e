"""Which version of an evaluator serves, and who promoted it: the file `serving.json`."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tipstaff_server.errors import RepositoryError

SERVING_FILE = "serving.json"


class ServingFile(BaseModel):
    """The content of `serving.json`.

    Attributes:
        version: The version that serves.
        promoted_at: When it was promoted, UTC, ISO 8601; empty if not known.
        promoted_by: Who promoted it; empty if not known.
        previous: The version that served before; None if none did, or if not known.
        forced: Whether it was promoted in spite of a check.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = Field(ge=1)
    promoted_at: str = ""
    promoted_by: str = ""
    previous: int | None = None
    forced: bool = False


def set_serving(
    repository: Path,
    name: str,
    version: int,
    *,
    by: str = "",
    previous: int | None = None,
    forced: bool = False,
) -> None:
    """Replaces `serving.json` in one step.

    Args:
        repository: The repository's folder.
        name: The evaluator.
        version: The version that is to serve.
        by: Who promotes it.
        previous: The version that served before.
        forced: Whether it is promoted in spite of a check.

    Raises:
        RepositoryError: It can't be written.
    """
    promoted_at = datetime.now(UTC).isoformat(timespec="seconds")
    content = ServingFile(
        version=version,
        promoted_at=promoted_at,
        promoted_by=by,
        previous=previous,
        forced=forced,
    )
    target = repository / name / SERVING_FILE
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{SERVING_FILE}.", dir=target.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(content.model_dump_json() + "\n")
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
    """The version of one evaluator that serves; None if none was promoted.

    Raises:
        RepositoryError: Its `serving.json` can't be read.
    """
    serving = serving_file(repository, name)
    return None if serving is None else serving.version


def serving_file(repository: Path, name: str) -> ServingFile | None:
    """What `serving.json` of one evaluator says; None if none was promoted.

    Raises:
        RepositoryError: It can't be read.
    """
    file = repository / name / SERVING_FILE
    try:
        return ServingFile.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RepositoryError(f"{file}: can't be read: {error.strerror}") from error
    except ValidationError as error:
        why = error.errors()[0]["msg"]
        raise RepositoryError(f"{file}: {why}: promote a version again to repair it") from error
