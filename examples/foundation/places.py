"""Where the scripts write: made and checked before the work, which may take hours."""

from __future__ import annotations

from pathlib import Path

from tipstaff.errors import UsageError


def make_folder(folder: Path, name: str) -> None:
    """Makes a folder, with those above it, unless it is there.

    Args:
        folder: The folder.
        name: The script's argument that it comes from.

    Raises:
        UsageError: It can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "is a file" if folder.is_file() else error.strerror
        raise UsageError(
            f"the folder {folder} can't be made: {why}", field=name, remedy="choose another place"
        ) from None


def make_folder_of(file: Path, name: str) -> None:
    """Makes the folder of a file that is written later; arguments and errors as `make_folder`.

    Raises:
        UsageError: The folder can't be made, or there is a folder in the file's place.
    """
    if file.is_dir():
        raise UsageError(
            "is a folder", field=name, value=str(file), remedy="name a file, as in rows.jsonl"
        )
    make_folder(file.parent, name)
