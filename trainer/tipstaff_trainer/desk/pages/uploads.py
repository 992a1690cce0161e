"""Uploads: a file is stored under a random name until its columns are mapped."""

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

from tipstaff.errors import TipstaffError, UsageError
from tipstaff_trainer.data.columns import ROLES
from tipstaff_trainer.desk.context import RequestContext
from tipstaff_trainer.desk.pages.datasets import list_page
from tipstaff_trainer.desk.routing import Routes
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.datasets import formats

routes = Routes()

_FOLDER = "uploads"
_ENDINGS = (".csv", ".jsonl", ".ndjson", ".json", ".parquet")
_KEY = re.compile(r"[0-9a-f]{32}")
# Uploads that did not become a data set are deleted after this time.
_STORED_SECONDS = 7 * 24 * 3600


@routes.post("/uploads", again=list_page)
def upload(ctx: RequestContext) -> Response:
    """Stores the file, and redirects to the mapping of its columns."""
    file = ctx.file("file")
    if file is None:
        raise WorkspaceError("no file was chosen")
    # For display only: the file is stored under another name.
    name = PurePosixPath((file.filename or "").replace("\\", "/")).name[:200] or "file"
    ending = PurePosixPath(name).suffix.casefold()
    if ending not in _ENDINGS:
        endings = ", ".join(_ENDINGS)
        raise WorkspaceError(f"{name}: the file must end in {endings}; convert it to one of them")
    folder = ctx.workspace.folder / _FOLDER
    key = secrets.token_hex(16)
    path = folder / f"{key}{ending}"
    try:
        folder.mkdir(exist_ok=True)
        _tidy(folder)
        with path.open("wb") as out:
            shutil.copyfileobj(file.file, out)
        (folder / f"{key}.name").write_text(json.dumps(name), encoding="utf-8")
    except OSError as error:
        with suppress(OSError):
            _discard(path)
        raise WorkspaceError(
            f"{name}: can't be stored in {folder} on the desk's machine: {error.strerror}. Make "
            "room there and upload the file again. Nothing was stored"
        ) from error
    return ctx.redirect(f"/uploads/{key}")


@routes.get("/uploads/{key:str}")
def mapping_page(ctx: RequestContext, error: TipstaffError | str = "") -> Response:
    """The file's columns and first rows, with a guess of the mapping."""
    path, name = _stored_file(ctx)
    preview: Any = None
    try:
        preview = formats.preview_file(path, display_name=name)
    except TipstaffError as reason:
        error = error or reason
    return ctx.page(
        "upload.html",
        file=name,
        name=ctx.text("name") or PurePosixPath(name).stem,
        preview=preview,
        roles=ROLES,
        mapping=_mapping(ctx) or (preview.mapping if preview else {}),
        label_source=ctx.text("label_source"),
        criteria=ctx.stores.criteria.all(),
        criterion=ctx.text("criterion"),
        error=error,
    )


@routes.post("/uploads/{key:str}", again=mapping_page)
def create(ctx: RequestContext) -> Response:
    """Creates a data set from the file."""
    path, name = _stored_file(ctx)
    mapping = _mapping(ctx)
    roles = mapping or formats.preview_file(path, display_name=name).mapping
    if "ground_truth" in roles and not {"input", "output"} & set(roles):
        # Rows of only a ground truth would be dropped as repetitions of a few.
        raise UsageError("choose which column is the output, or at least the input")
    dataset = ctx.workspace.upload_dataset(
        path,
        name=ctx.text("name"),
        mapping=mapping,
        label_source=ctx.text("label_source") or None,  # type: ignore[arg-type]
        criterion=ctx.text("criterion"),
        display_name=name,
        who=ctx.who,
    )
    _discard(path)
    notice = f"{dataset.name} is created with {dataset.rows:,} rows."
    return ctx.redirect(f"/datasets/{dataset.id}", notice)


def _mapping(ctx: RequestContext) -> dict[str, str]:
    return {role: column for role in ROLES if (column := ctx.text(f"map-{role}"))}


def _stored_file(ctx: RequestContext) -> tuple[Path, str]:
    key = ctx.request.path_params["key"]
    folder = ctx.workspace.folder / _FOLDER
    if _KEY.fullmatch(key):
        for ending in _ENDINGS:
            if (path := folder / f"{key}{ending}").is_file():
                # The desk may have been killed before it wrote the name.
                with suppress(OSError, ValueError):
                    name = (folder / f"{key}.name").read_text(encoding="utf-8")
                    return path, str(json.loads(name))
    raise WorkspaceError(
        "this upload no longer exists: it became a data set, or waited for more than a week; "
        "upload the file again"
    )


def _discard(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_suffix(".name").unlink(missing_ok=True)


def _tidy(folder: Path) -> None:
    for file in folder.iterdir():
        if time.time() - file.stat().st_mtime > _STORED_SECONDS:
            file.unlink(missing_ok=True)
