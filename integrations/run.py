"""Tests the integrations with the real frameworks, each in an environment of its own.

    python integrations/run.py [NAME ...]

Starts a Tipstaff server and a gateway with tiny evaluators, then for each NAME installs
`integrations/requirements/NAME.txt` into `.integrations/NAME`, once, and runs
`integrations/test_NAME.py` there. Prints pytest's own output.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
HERE = ROOT / "integrations"
ENVIRONMENTS = ROOT / ".integrations"
NAMES = tuple(sorted(path.stem for path in (HERE / "requirements").glob("*.txt")))
_START_SECONDS = 180.0

sys.path.insert(0, str(ROOT / "tests"))


def main() -> int:
    """Runs what the command line names; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    names = parser.parse_args().names or NAMES
    if unknown := set(names) - set(NAMES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    from opening_hours import make_bundles

    with ThreadPoolExecutor(2) as pool:
        pythons = dict(zip(names, pool.map(environment, names), strict=True))
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bundles = make_bundles(folder)
        mapping = folder / "mapping.toml"
        mapping.write_text('[envoy]\nevaluator = "hours"\n')
        server = started(
            folder, "serve", *bundles, "--listen", "127.0.0.1:0", "--metrics-listen", "off",
            "--default-deadline-seconds", 5, "--lame-duck-seconds", 0,
        )  # fmt: skip
        with server as log:
            target = logged(log, r"gRPC on (\S+)", "ready after")
            gateway = started(
                folder, "gateway", "--target", target, "--listen", "127.0.0.1:0",
                "--grpc-listen", "127.0.0.1:0", "--evaluator", "words", "--timeout", 10,
                "--mapping", mapping,
            )  # fmt: skip
            with gateway as gateway_log:
                found = {
                    "TIPSTAFF_TARGET": target,
                    "TIPSTAFF_GATEWAY": logged(gateway_log, r"HTTP on (\S+),"),
                    "TIPSTAFF_GATEWAY_GRPC": logged(gateway_log, r"gRPC on (\S+)"),
                }
                for name in names:
                    print(f"== {name}", flush=True)
                    if run_tests(name, pythons[name], found):
                        failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else f"all passed: {', '.join(names)}")
    return 1 if failed else 0


@contextmanager
def started(folder: Path, *words: object) -> Iterator[Path]:
    """Runs a command of tipstaff; yields the file that it logs to."""
    log_file = folder / f"{words[0]}.log"
    with log_file.open("wb") as log:
        command = [sys.executable, "-m", "tipstaff", *map(str, words)]
        process = subprocess.Popen(command, stderr=log)
    try:
        yield log_file
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def logged(log: Path, pattern: str, after: str = "") -> str:
    """What a command logs in place of a pattern's group, once it has logged `after`."""
    give_up = time.monotonic() + _START_SECONDS
    while not ((match := re.search(pattern, log.read_text())) and after in log.read_text()):
        if time.monotonic() > give_up:
            raise RuntimeError(f"{log.stem} doesn't start:\n{log.read_text()}")
        time.sleep(0.05)
    return match[1]


def environment(name: str) -> Path:
    """The Python of an environment, which is made if its requirements have changed."""
    requirements = HERE / "requirements" / f"{name}.txt"
    python = ENVIRONMENTS / name / "bin" / "python"
    stamp = ENVIRONMENTS / f"{name}.installed"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not (python.exists() and stamp.exists() and stamp.read_text() == digest):
        ENVIRONMENTS.mkdir(exist_ok=True)
        own_pip = [sys.executable, "-m", "pip", "--python", str(python)]
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", str(ENVIRONMENTS / name)], check=True
        )
        subprocess.run(
            [*own_pip, "install", "--quiet", "--disable-pip-version-check", "-r", requirements],
            check=True,
        )
        stamp.write_text(digest)
    return python


def run_tests(name: str, python: Path, found: dict[str, str]) -> int:
    """Runs the tests of one integration; returns pytest's exit code."""
    file = HERE / f"test_{name.replace('-', '_')}.py"
    paths = os.pathsep.join(map(str, (ROOT / "client", HERE, ROOT / "examples" / "integrations")))
    command = [
        *(python, "-m", "pytest", "--quiet", "-rs", "-p", "no:cacheprovider"),
        *("--rootdir", HERE, "--confcutdir", HERE, "-c", HERE / "pytest.ini", file),
    ]
    environ = {**os.environ, **found, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([str(word) for word in command], env=environ, cwd=HERE).returncode


if __name__ == "__main__":
    sys.exit(main())
