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
from urllib.parse import urlencode

from starlette.responses import Response

from tipstaff.errors import TipstaffError, UsageError
from tipstaff.types import FIELDS
from tipstaff_trainer.data.columns import ROLES
from tipstaff_trainer.data.reading import READERS
from tipstaff_trainer.desk.context import RequestContext
from tipstaff_trainer.desk.forms import RequestForm
from tipstaff_trainer.desk.options import labels_of_form
from tipstaff_trainer.desk.pages.datasets import list_page
from tipstaff_trainer.desk.routing import Routes
from tipstaff_trainer.desk.views import labels_url
from tipstaff_trainer.errors import DataError, WorkspaceError
from tipstaff_trainer.operations.preview import FilePreview, preview
from tipstaff_trainer.operations.sources import FileData
from tipstaff_trainer.workspace.datasets.uploads import add_to

routes = Routes()

_FOLDER = "uploads"
_ENDINGS = (*READERS, *(f"{ending}.gz" for ending in READERS))
# What people say of a file beside its columns; `request_form.html` draws the fields.
_FORM = RequestForm(FileData, own=dict.fromkeys(("data", "columns", "mapping", "selection"), ""))
_OWN = ("label_source",)
_KEY = re.compile(r"[0-9a-f]{32}")
# Uploads that did not become a data set are deleted after this time.
_STORED_SECONDS = 7 * 24 * 3600
_LONGEST_NOTE = 300


@routes.post("/uploads", again=list_page)
def upload(ctx: RequestContext) -> Response:
    """Stores the file, and redirects to the mapping of its columns."""
    file = ctx.file("file")
    if file is None:
        raise WorkspaceError("no file was chosen")
    # For display only: the file is stored under another name.
    name = PurePosixPath((file.filename or "").replace("\\", "/")).name[:200] or "file"
    folded = name.casefold()
    ending = max((each for each in _ENDINGS if folded.endswith(each)), key=len, default="")
    if not ending:
        endings = ", ".join(READERS)
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
    into = f"?{urlencode({'into': ctx.text('into')})}" if ctx.text("into") else ""
    return ctx.redirect(f"/uploads/{key}{into}")


@routes.get("/uploads/{key:str}")
def mapping_page(ctx: RequestContext, error: TipstaffError | str = "") -> Response:
    """The file's columns and first rows, with a guess of the mapping."""
    path, name = _stored_file(ctx)
    found: Any = None
    values = _entered(ctx)
    try:
        found = preview(_source(path, _mapping(ctx), values), display_name=name)
        if found.problem and not error:
            error = DataError(found.problem, remedy=found.remedy)
    except TipstaffError as reason:
        error = error or reason
        # What people entered is wrong: the file is shown all the same.
        with suppress(TipstaffError):
            found = preview(FileData(data=path), display_name=name)
    return ctx.page(
        "upload.html",
        file=name,
        name=ctx.text("name") or PurePosixPath(name).stem,
        preview=found,
        columns=_choices(found) if found else [],
        roles=ROLES,
        mapping=_mapping(ctx) or (found.mapping if found else {}),
        form=_FORM,
        own=_OWN,
        values=values,
        label_source=ctx.text("label_source"),
        criteria=ctx.stores.criteria.all(),
        criterion=ctx.text("criterion"),
        datasets=ctx.stores.datasets.all(),
        into=ctx.text("into"),
        error=error,
    )


@routes.post("/uploads/{key:str}", again=mapping_page)
def create(ctx: RequestContext) -> Response:
    """Creates a data set from the file, or adds its rows to one that is there."""
    path, name = _stored_file(ctx)
    mapping, values = _mapping(ctx), _entered(ctx)
    source = _source(path, mapping, values)
    roles = mapping or preview(source, display_name=name).mapping
    if "ground_truth" in roles and not {"input", "output"} & set(roles):
        # Rows of only a ground truth would be dropped as repetitions of a few.
        raise UsageError("choose which column is the output, or at least the input")
    reading = {"mapping": mapping, **values}
    if ctx.text("into"):
        response = _append(ctx, path, name, reading)
    else:
        dataset = ctx.workspace.upload_dataset(
            path,
            name=ctx.text("name"),
            criterion=ctx.text("criterion"),
            display_name=name,
            who=ctx.who,
            **reading,
        )
        notice = f"{dataset.name} is created with {dataset.rows:,} rows."
        response = ctx.redirect(f"/datasets/{dataset.id}", notice)
    _discard(path)
    return response


def _append(ctx: RequestContext, path: Path, name: str, reading: dict[str, Any]) -> Response:
    labels = ctx.workspace.label_set(*labels_of_form(ctx.text("into")))
    appended = add_to(ctx.stores.database, labels, path, reading, display_name=name, who=ctx.who)
    added = "1 row is" if appended.rows == 1 else f"{appended.rows:,} rows are"
    notice = f"{added} added to {labels.dataset.name}."
    if appended.notes:
        # All of them are on the data set's page.
        notice += f" {appended.notes[0][:_LONGEST_NOTE]}. See the notes on the file."
    return ctx.redirect(labels_url(labels), notice, "note" if appended.notes else "good")


def _mapping(ctx: RequestContext) -> dict[str, str]:
    """The columns that people chose; a text or a label that they chose none for has none."""
    chosen = {str(role): ctx.text(f"map-{role}") for role in ROLES}
    if not any(chosen.values()):
        return {}
    own = (*FIELDS, "label")
    return {role: column for role, column in chosen.items() if column or role in own}


def _entered(ctx: RequestContext) -> dict[str, Any]:
    return _FORM.entered(lambda name: [ctx.text(name)] if ctx.text(name) else [])


def _source(path: Path, mapping: dict[str, str], values: dict[str, Any]) -> FileData:
    return FileData.parse({**values, "data": path, "mapping": mapping})


def _choices(found: FilePreview) -> list[tuple[str, str]]:
    """What each role can be read from, with its first text: columns, and paths of an export."""
    first = found.rows[0] if found.rows else {}
    paths = [path for path in found.mapping.values() if path and path not in found.columns]
    return [(name, first.get(name, "")) for name in dict.fromkeys([*found.columns, *paths])]


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
