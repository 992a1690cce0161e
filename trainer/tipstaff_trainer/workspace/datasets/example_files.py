"""Small data sets to start from, which come with Tipstaff."""

from __future__ import annotations

from pathlib import Path

from tipstaff_trainer.errors import WorkspaceError

_FOLDER = Path(__file__).parent / "examples"


def example_dataset(name: str) -> Path:
    """The file of an example data set.

    Args:
        name: `support`, 60 answers of a shop's assistant with what is known to be true, not
            labelled; `feedback-train` or `feedback-test`, 30 rows each of `model_input`,
            `model_output` and `good`.

    Raises:
        WorkspaceError: There is no such example.
    """
    files = {path.stem: path for path in sorted(_FOLDER.iterdir())}
    if name not in files:
        raise WorkspaceError(f"there is no example {name!r}: there are {', '.join(files)}")
    return files[name]
