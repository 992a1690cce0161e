"""Runs a real Prometheus in its own process, and asks it."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def running_prometheus(program: str, folder: Path, config: Mapping[str, Any]) -> Iterator[str]:
    """Starts a Prometheus with a configuration, and its data in a folder; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    file = folder / "prometheus.yaml"
    file.write_text(json.dumps(config))
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(program, f"--config.file={file}"),
                *(f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"),
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def ask_prometheus(address: str, kind: str, **parameters: object) -> list[dict[str, Any]]:
    """The series that a query finds; `kind` is `query` or `query_range`."""
    words = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"http://{address}/api/v1/{kind}?{words}", timeout=30) as response:
        result: list[dict[str, Any]] = json.load(response)["data"]["result"]
    return result
