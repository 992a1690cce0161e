"""Keeps libraries from sending data, and from writing files that nobody named.

The package imports this before any of them, since they read these variables when they are imported.
A variable that is set already stays as it is. `tipstaff_server.privacy` does the same for the
server's libraries, and is imported first.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import tempfile
from pathlib import Path

import tipstaff_server.privacy  # noqa: F401  onnxruntime is the trainer's library too

_VARIABLES = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # W&B sends its own errors to its maker, also where a run stays offline.
    "WANDB_ERROR_REPORTING": "false",
}
# For lists of fonts, compiled kernels and logs; most defaults are under HOME.
_CACHES = ("MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR", "WANDB_CACHE_DIR")
_PREFIX = "tipstaff-scratch-"


def _apply() -> None:
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)
    scratch = Path(tempfile.gettempdir(), f"{_PREFIX}{secrets.token_hex(8)}")
    for name in _CACHES:
        folder = Path(os.environ.setdefault(name, str(scratch)))
        # Jobs inherit it and may outlive the desk: whoever ends last leaves nothing behind.
        if folder.name.startswith(_PREFIX):
            atexit.register(shutil.rmtree, folder, ignore_errors=True)


_apply()
