"""Runs commands where every look-up of a name and every file they leave is seen.

    unshare --net --mount python tests/closed_room.py

A network without a way out, whose name server records and knows nothing; a fresh home; and a layer
over the folder of temporary files that takes what is written there. Prints one JSON object: for
each step its exit code, the names looked up, and the files that it left outside the folder that its
arguments name.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from judge_rows import capitals
from judge_server import JudgeServer

ROOM = Path("/mnt")
HOME, CWD, OUT, LAYER = (ROOM / name for name in ("home", "cwd", "out", "layer"))
TEMPORARY = Path("/tmp")
TIPSTAFF = Path(sys.executable).with_name("tipstaff")

# Linux' numbers for switching a network interface on.
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1

lookups: list[str] = []


def close_room() -> None:
    """Mounts the folders, and starts the network and its name server."""
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "tmpfs", "none", str(ROOM))
    for folder in (HOME, CWD, OUT, LAYER, ROOM / "work"):
        folder.mkdir()
    layers = f"lowerdir={TEMPORARY},upperdir={LAYER},workdir={ROOM / 'work'}"
    run("mount", "-t", "overlay", "overlay", "-o", layers, str(TEMPORARY))
    (ROOM / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    run("mount", "--bind", str(ROOM / "resolv.conf"), "/etc/resolv.conf")
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    fcntl.ioctl(server, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))
    server.bind(("127.0.0.1", 53))
    threading.Thread(target=answer_lookups, args=(server,), daemon=True).start()


def answer_lookups(server: socket.socket) -> None:
    """Records each name that is asked for, and answers that there is no such name."""
    while True:
        query, sender = server.recvfrom(4096)
        place, parts = 12, []
        while length := query[place]:
            parts.append(query[place + 1 : place + 1 + length].decode(errors="replace"))
            place += 1 + length
        lookups.append(".".join(parts))
        question = query[12 : place + 5]
        server.sendto(query[:2] + b"\x81\x83\0\1" + bytes(6) + question, sender)


def run(*words: str, cwd: Path | None = None) -> None:
    subprocess.run(words, check=True, cwd=cwd)


def environment() -> dict[str, str]:
    """What a person's shell has, and nothing of CI's."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, "HOME": str(HOME), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


def left_files() -> list[str]:
    return [
        str(path)
        for folder in (HOME, CWD, LAYER)
        for path in sorted(folder.rglob("*"))
        if not path.is_dir() or not any(path.iterdir())
    ]


def start(*words: object) -> subprocess.Popen[bytes]:
    log = (OUT / "log.txt").open("wb")
    return subprocess.Popen(
        list(map(str, words)), env=environment(), cwd=CWD, stdout=log, stderr=log
    )


def command(*words: object) -> int:
    return start(TIPSTAFF, *words).wait()


def until_logged(process: subprocess.Popen[bytes], pattern: str) -> str:
    while process.poll() is None:
        if match := re.search(pattern, (OUT / "log.txt").read_text()):
            return match[1]
        time.sleep(0.05)
    raise RuntimeError((OUT / "log.txt").read_text())


def stop(process: subprocess.Popen[bytes], number: signal.Signals) -> int:
    process.send_signal(number)
    return process.wait(30)


def make_base() -> None:
    script = """
import sys, pathlib
from tiny_training import tiny_base
tiny_base("bert", pathlib.Path(sys.argv[1]))
"""
    tests = Path(__file__).parent
    run(sys.executable, "-c", script, str(OUT / "base"), cwd=tests)


def control() -> int:
    """Does what the other steps must not do."""
    script = """
import pathlib, socket, tempfile
pathlib.Path("here").write_text("")
(pathlib.Path.home() / ".telemetry").write_text("")
tempfile.NamedTemporaryFile(delete=False)
socket.gethostbyname("telemetry.example")
"""
    return start(sys.executable, "-c", script).wait()


def label() -> int:
    rows = OUT / "rows.jsonl"
    with rows.open("w") as file:
        for row in capitals(40):
            texts = row.interaction
            record = {"input": texts.input, "output": texts.output}
            file.write(json.dumps({**record, "ground_truth": texts.ground_truth}) + "\n")
    with JudgeServer() as judge:
        return command(
            *("label", rows, "--criterion", "answer-correctness", "--judge-model", "m"),
            *("--base-url", judge.url, "--out", OUT / "labelled.jsonl"),
        )


def train() -> int:
    return command(
        *("train", OUT / "labelled.jsonl", "--name", "colours", "--base", OUT / "base"),
        # The tiny base knows a few words only.
        *("--epochs", 1, "--test-size", 0.25, "--allow-unreadable", "--out", OUT / "bundle"),
    )


def evaluate() -> int:
    return command("evaluate", OUT / "bundle", OUT / "labelled.jsonl", "--out", OUT / "report")


def serve() -> int:
    everywhere = ("--listen", "[::]:0", "--metrics-listen", "0.0.0.0:0")
    server = start(TIPSTAFF, "serve", OUT / "bundle", *everywhere)
    port = until_logged(server, r"gRPC on \S+:(\d+)")
    metrics = until_logged(server, r"metrics on \S+:(\d+)")
    until_logged(server, "(ready after)")
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics") as reply:
        reply.read()
    script = """
import sys
from tipstaff import Client
with Client(sys.argv[1], timeout=10) as client:
    client.score(input="a", output="b", ground_truth="c")
"""
    for host in ("localhost", "127.0.0.1"):
        target = f"{host}:{port}"
        code = subprocess.run(
            [sys.executable, "-c", script, target], env=environment(), cwd=CWD
        ).returncode
        if code:
            return code
    return stop(server, signal.SIGINT)


def desk() -> int:
    running = start(TIPSTAFF, "desk", OUT / "workspace", "--port", 0)
    url = until_logged(running, r"desk +(http://\S+)")
    with urllib.request.urlopen(url) as reply:
        reply.read()
    code = stop(running, signal.SIGTERM)
    # uvicorn ends by the signal that it got.
    return 0 if code == -signal.SIGTERM else code


def main() -> None:
    """Runs the steps."""
    close_room()
    make_base()
    steps: tuple[Callable[[], int], ...] = (control, label, train, evaluate, serve, desk)
    results = {}
    for step in steps:
        del lookups[:]
        before = left_files()
        code = step()
        # Some libraries send what they gathered a little later.
        time.sleep(1)
        results[step.__name__] = {
            "code": code,
            "lookups": sorted(set(lookups)),
            "files": sorted(set(left_files()) - set(before)),
            "log": (OUT / "log.txt").read_text()[-2000:],
        }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
