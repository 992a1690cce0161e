"""Bringing a file: it is kept under a name of ours until its columns are mapped."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from tipstaff.errors import TipstaffError, UsageError
from tipstaff_trainer.data.columns import ROLES
from tipstaff_trainer.desk.context import Asked, upload_of
from tipstaff_trainer.desk.pages.datasets import list_page
from tipstaff_trainer.desk.routing import get, post
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.datasets import formats

_FOLDER = "uploads"
_ENDINGS = (".csv", ".jsonl", ".ndjson", ".json", ".parquet")
_KEY = re.compile(r"[0-9a-f]{32}")
# Files that nobody came back for.
_KEPT_SECONDS = 7 * 24 * 3600


def routes() -> list[Route]:
    """The addresses of uploads."""
    return [
        post("/uploads", bring),
        get("/uploads/{key:str}", show),
        post("/uploads/{key:str}", store),
    ]


def bring(asked: Asked) -> Response:
    """Keeps the file, and asks what its columns are."""
    file = upload_of(asked, "file")
    if file is None:
        return _refused(asked, "No file was chosen.")
    # Only for people: what it is kept as is ours to say.
    name = PurePosixPath((file.filename or "").replace("\\", "/")).name[:200] or "file"
    ending = PurePosixPath(name).suffix.casefold()
    if ending not in _ENDINGS:
        return _refused(
            asked, f"{name}: is none of {', '.join(_ENDINGS)}; convert it to one of them."
        )
    folder = asked.workspace.folder / _FOLDER
    key = secrets.token_hex(16)
    kept = folder / f"{key}{ending}"
    try:
        folder.mkdir(exist_ok=True)
        _tidy(folder)
        with kept.open("wb") as out:
            shutil.copyfileobj(file.file, out)
        (folder / f"{key}.name").write_text(json.dumps(name), encoding="utf-8")
    except OSError as error:
        with suppress(OSError):
            kept.unlink(missing_ok=True)
            kept.with_suffix(".name").unlink(missing_ok=True)
        return _refused(
            asked,
            f"{name}: can't be stored in {folder}, where the desk runs: {error.strerror}. Nothing "
            "of it was kept: make room there and bring it again.",
        )
    return asked.go(f"/uploads/{key}")


def show(asked: Asked) -> Response:
    """The file's columns and first rows, and what we take them for."""
    return _mapping_page(asked, {})


def store(asked: Asked) -> Response:
    """Makes a data set of the file."""
    path, name = _kept(asked)
    mapping: dict[str, str] = {
        role: column for role in ROLES if (column := asked.text(f"map-{role}"))
    }
    try:
        read_as = mapping or formats.preview_file(path, display_name=name).mapping
        if "ground_truth" in read_as and not {"input", "output"} & set(read_as):
            # Rows of nothing but references are few: all others would pass for repetitions.
            raise UsageError("say which column is the output, or at least which is the input")
        dataset = asked.workspace.upload_dataset(
            path,
            name=asked.text("name"),
            mapping=mapping,
            label_source=asked.text("label_source") or None,  # type: ignore[arg-type]
            criterion=asked.text("criterion"),
            shown=name,
            who=asked.who,
        )
    except TipstaffError as error:
        return _mapping_page(asked, mapping, str(error))
    path.unlink(missing_ok=True)
    path.with_suffix(".name").unlink(missing_ok=True)
    return asked.go(f"/datasets/{dataset.id}", f"{dataset.rows:,} rows are in {dataset.name}.")


def _mapping_page(asked: Asked, mapping: dict[str, str], error: str = "") -> Response:
    path, name = _kept(asked)
    preview: Any = None
    try:
        preview = formats.preview_file(path, display_name=name)
    except TipstaffError as reason:
        error = error or str(reason)
    return asked.page(
        "upload.html",
        status=400 if error else 200,
        file=name,
        name=asked.text("name") or PurePosixPath(name).stem,
        preview=preview,
        roles=ROLES,
        mapping=mapping or (preview.mapping if preview else {}),
        label_source=asked.text("label_source"),
        criteria=asked.workspace.criteria.all(),
        criterion=asked.text("criterion"),
        error=error,
    )


def _kept(asked: Asked) -> tuple[Path, str]:
    key = asked.request.path_params["key"]
    folder = asked.workspace.folder / _FOLDER
    if _KEY.fullmatch(key):
        for ending in _ENDINGS:
            if (path := folder / f"{key}{ending}").is_file():
                # Not there where the desk was killed between the two.
                with suppress(OSError, ValueError):
                    named = (folder / f"{key}.name").read_text(encoding="utf-8")
                    return path, str(json.loads(named))
    raise WorkspaceError(
        "this upload is gone: it was stored as a data set, or waited for a week; bring it again"
    )


def _refused(asked: Asked, error: str) -> Response:
    return list_page(asked, error)


def _tidy(folder: Path) -> None:
    for file in folder.iterdir():
        if time.time() - file.stat().st_mtime > _KEPT_SECONDS:
            file.unlink(missing_ok=True)
