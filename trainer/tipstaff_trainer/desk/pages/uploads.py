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
from starlette.routing import Route

from tipstaff.errors import TipstaffError, UsageError
from tipstaff_trainer.data.columns import ROLES
from tipstaff_trainer.desk.context import RequestContext
from tipstaff_trainer.desk.pages.datasets import list_page
from tipstaff_trainer.desk.routing import get, post
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.datasets import formats

_FOLDER = "uploads"
_ENDINGS = (".csv", ".jsonl", ".ndjson", ".json", ".parquet")
_KEY = re.compile(r"[0-9a-f]{32}")
# Uploads without a mapping are deleted after this time.
_STORED_SECONDS = 7 * 24 * 3600


def routes() -> list[Route]:
    """The routes for uploads."""
    return [
        post("/uploads", upload),
        get("/uploads/{key:str}", show),
        post("/uploads/{key:str}", create),
    ]


def upload(ctx: RequestContext) -> Response:
    """Stores the file, and redirects to the mapping of its columns."""
    file = ctx.file("file")
    if file is None:
        return _refused(ctx, "No file was chosen.")
    # The name is only shown: the file is stored under another.
    name = PurePosixPath((file.filename or "").replace("\\", "/")).name[:200] or "file"
    ending = PurePosixPath(name).suffix.casefold()
    if ending not in _ENDINGS:
        return _refused(
            ctx, f"{name}: the file must end in {', '.join(_ENDINGS)}; convert it to one of them."
        )
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
            path.unlink(missing_ok=True)
            path.with_suffix(".name").unlink(missing_ok=True)
        return _refused(
            ctx,
            f"{name}: can't be stored in {folder} on the desk's machine: {error.strerror}. Make "
            "room there and upload the file again. Nothing was stored.",
        )
    return ctx.redirect(f"/uploads/{key}")


def show(ctx: RequestContext) -> Response:
    """The file's columns and first rows, with a guess of the mapping."""
    return _mapping_page(ctx, {})


def create(ctx: RequestContext) -> Response:
    """Creates a data set from the file."""
    path, name = _stored_file(ctx)
    mapping: dict[str, str] = {
        role: column for role in ROLES if (column := ctx.text(f"map-{role}"))
    }
    try:
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
            shown=name,
            who=ctx.who,
        )
    except TipstaffError as error:
        return _mapping_page(ctx, mapping, str(error))
    path.unlink(missing_ok=True)
    path.with_suffix(".name").unlink(missing_ok=True)
    return ctx.redirect(
        f"/datasets/{dataset.id}", f"{dataset.name} is created with {dataset.rows:,} rows."
    )


def _mapping_page(ctx: RequestContext, mapping: dict[str, str], error: str = "") -> Response:
    path, name = _stored_file(ctx)
    preview: Any = None
    try:
        preview = formats.preview_file(path, display_name=name)
    except TipstaffError as reason:
        error = error or str(reason)
    return ctx.page(
        "upload.html",
        status=400 if error else 200,
        file=name,
        name=ctx.text("name") or PurePosixPath(name).stem,
        preview=preview,
        roles=ROLES,
        mapping=mapping or (preview.mapping if preview else {}),
        label_source=ctx.text("label_source"),
        criteria=ctx.workspace.criteria.all(),
        criterion=ctx.text("criterion"),
        error=error,
    )


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


def _refused(ctx: RequestContext, error: str) -> Response:
    return list_page(ctx, error)


def _tidy(folder: Path) -> None:
    for file in folder.iterdir():
        if time.time() - file.stat().st_mtime > _STORED_SECONDS:
            file.unlink(missing_ok=True)
