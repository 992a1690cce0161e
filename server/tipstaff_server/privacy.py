"""Keeps libraries from sending data, and from writing files that nobody named.

The package imports this before any of them, since they read these variables when they are imported.
A variable that is set already stays as it is.
"""

from __future__ import annotations

import os

# onnxruntime's builds for Linux look up a host of their maker's, and keep a database under HOME.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
