"""Progress: a bar on a terminal, whole lines in a log."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios

_PROGRAM = """
import time
from tipstaff_trainer import progress
progress._SECONDS_A_LINE = {seconds}
for _ in progress.progress(range(12), desc="judging", unit="row"):
    time.sleep(0.05)
"""


def _ran(seconds: float) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(seconds=seconds)],
        capture_output=True,
        check=True,
        timeout=60,
    )
    return ended.stderr.decode()


def test_a_log_gets_whole_lines_that_say_how_far_it_is() -> None:
    logged = _ran(0.1)

    assert "\r" not in logged
    lines = logged.splitlines()
    assert 2 <= len(lines) <= 7
    assert lines[-1].startswith("judging: 12 of 12, ")
    assert all("row/s" in line and " left" in line for line in lines)


def test_what_is_soon_done_leaves_no_line() -> None:
    assert _ran(30) == ""


def test_a_terminal_gets_a_bar() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen([sys.executable, "-c", _PROGRAM.format(seconds=30)], stderr=theirs):
        os.close(theirs)
        drawn = b""
        try:
            while more := os.read(ours, 4096):
                drawn += more
        except OSError:  # how Linux says that the other end is closed
            pass
    os.close(ours)

    assert b"\r" in drawn
    assert b"12/12" in drawn
