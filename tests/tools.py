"""What tests want beside the packages of the development extra, and may have to do without."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from typing import NoReturn

import pytest


def require(tool: str) -> str:
    """A program's path; without it the test skips, or fails under TIPSTAFF_REQUIRE_TOOLS=1."""
    path = shutil.which(tool)
    return path if path else _missing(tool)


def require_package(name: str) -> None:
    """The same for a Python package."""
    if find_spec(name) is None:
        _missing(name)


def _missing(what: str) -> NoReturn:
    if os.environ.get("TIPSTAFF_REQUIRE_TOOLS") == "1":
        pytest.fail(f"{what} is not installed, and TIPSTAFF_REQUIRE_TOOLS is set")
    pytest.skip(f"{what} is not installed")
