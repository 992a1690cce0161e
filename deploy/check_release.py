"""Builds sdist and wheel, installs them in clean environments, and serves a bundle from each.

    python deploy/check_release.py --pythons python3.11 python3.12 python3.13 python3.14

prints a table of how far each Python goes. Where a program is missing, pip is asked whether there
are built packages of all that is locked for that version: `only resolved`.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / "deploy" / "locks"
BUNDLE = max((ROOT / "tests" / "frozen").glob("*/bundle"))
START_SECONDS = 180.0
_SCORE = "--input", "what colour is the cat", "--output", "it is red"


def main() -> int:
    """Builds, installs and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pythons", nargs="+", default=["python3.11"], metavar="PROGRAM")
    args = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory(prefix="release-") as temporary:
        folder = Path(temporary)
        build = folder / "build"
        subprocess.run([sys.executable, "-m", "venv", build], check=True)
        _pip(build, "install", "build")
        subprocess.run([build / "bin" / "python", "-m", "build", "-o", folder, ROOT], check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
        print(f"{wheel.name}: {wheel.stat().st_size / 1e3:.0f} kB; {sdist.name}: "
              f"{sdist.stat().st_size / 1e3:.0f} kB")  # fmt: skip
        print("| Python | client from the sdist | server from the wheel |\n| --- | --- | --- |")
        for program in args.pythons:
            version = re.sub(r".*python", "", program)
            if shutil.which(program) is None:
                cells = ["no such program", _resolves(version, folder)]
            else:
                cells = [_client(program, sdist, folder), _server(program, wheel, folder)]
            failed |= any(cell.startswith("fails") for cell in cells)
            print(f"| {version} | {' | '.join(cells)} |", flush=True)
    return int(failed)


def _pip(environment: Path, *words: str | Path) -> None:
    pip = environment / "bin" / "pip"
    done = subprocess.run([pip, *words, "--quiet"], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])


def _environment(program: str, folder: Path, lock: str, package: Path) -> Path:
    environment = Path(tempfile.mkdtemp(dir=folder))
    subprocess.run([program, "-m", "venv", environment], check=True)
    _pip(environment, "install", "--require-hashes", "-r", LOCKS / f"{lock}.txt")
    _pip(environment, "install", "--no-deps", package)
    return environment


def _client(program: str, sdist: Path, folder: Path) -> str:
    try:
        environment = _environment(program, folder, "client", sdist)
    except RuntimeError as error:
        return f"fails: {error}"
    packages = environment / "lib"
    size = sum(path.stat().st_size for path in packages.rglob("*") if "pip" not in str(path))
    code = "from tipstaff import Client; Client('localhost:1').close()"
    done = subprocess.run([environment / "bin" / "python", "-c", code], capture_output=True)
    return f"works, {size / 1e6:.0f} MB" if done.returncode == 0 else "fails: it can't be imported"


def _server(program: str, wheel: Path, folder: Path) -> str:
    try:
        environment = _environment(program, folder, "server", wheel)
    except RuntimeError as error:
        return f"fails: {error}"
    tipstaff = environment / "bin" / "tipstaff"
    log = environment / "log"
    with log.open("wb") as stderr:
        words = [tipstaff, "serve", BUNDLE, "--listen", f"unix:{environment}/socket"]
        server = subprocess.Popen([*words, "--metrics-listen", "off"], stderr=stderr)
    try:
        give_up = time.monotonic() + START_SECONDS
        while b"ready after" not in log.read_bytes():
            if server.poll() is not None or time.monotonic() > give_up:
                return f"fails: {log.read_text().strip().splitlines()[-1]}"
            time.sleep(0.1)
        words = [tipstaff, "score", "--target", f"unix:{environment}/socket", *_SCORE]
        words += ["--ground-truth", "the cat is red", "--timeout", "20"]
        done = subprocess.run(words, capture_output=True, text=True)
        return "serves" if done.returncode == 0 else f"fails: {done.stderr.strip()}"
    finally:
        server.terminate()
        server.wait()


def _resolves(version: str, folder: Path) -> str:
    environment = Path(tempfile.mkdtemp(dir=folder))
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    try:
        _pip(
            environment,
            *("download", "--python-version", version, "--only-binary=:all:", "--require-hashes"),
            *("-r", LOCKS / "server.txt", "--dest", environment / "downloads"),
        )
    except RuntimeError as error:
        return f"fails: {error}"
    return "only resolved"


if __name__ == "__main__":
    sys.exit(main())
