"""Programs that tests want and that are no Python packages."""

from __future__ import annotations

import os
import shutil

import pytest


def require(tool: str) -> str:
    """The tool's path; without it the test skips, or fails under TIPSTAFF_REQUIRE_TOOLS=1."""
    path = shutil.which(tool)
    if path:
        return path
    if os.environ.get("TIPSTAFF_REQUIRE_TOOLS") == "1":
        pytest.fail(f"{tool} is not installed, and TIPSTAFF_REQUIRE_TOOLS is set")
    pytest.skip(f"{tool} is not installed")
