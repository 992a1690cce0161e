"""Processor time and memory of a contender's processes, and pinning to cores."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_STOP_SECONDS = 20.0


def usable_cores() -> list[int]:
    """The cores that this process may use, in order."""
    return sorted(os.sched_getaffinity(0))


@contextmanager
def pinned(cores: Sequence[int]) -> Iterator[None]:
    """Pins every thread of this process to these cores while the `with` block runs."""
    before = usable_cores()
    _keep_threads(os.getpid(), cores)
    try:
        yield
    finally:
        _keep_threads(os.getpid(), before)


def _keep_threads(pid: int, cores: Sequence[int]) -> None:
    # Every thread: a process's affinity is only its first thread's.
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):  # it has ended
            os.sched_setaffinity(int(task.name), cores)


class Processes:
    """A running command and all the processes that it starts."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cores: Sequence[int],
        environment: Mapping[str, str],
        log: Path,
        piped: bool = False,
    ) -> None:
        """Starts the command.

        Args:
            command: The command to run.
            cores: The only cores it may use, from its first instruction on, so that it counts them
                correctly.
            environment: Variables in addition to this process's own.
            log: Where its output goes.
            piped: Whether the caller sends requests to its standard input and reads its output.
        """
        stdio = subprocess.PIPE if piped else None
        with log.open("ab") as file, pinned(cores):
            self.popen = subprocess.Popen(
                list(command),
                env={**os.environ, **environment},
                stdin=stdio if piped else subprocess.DEVNULL,
                stdout=stdio if piped else file,
                stderr=file,
                # Its own process group, so that its workers end with it.
                start_new_session=True,
            )
        self._process = psutil.Process(self.popen.pid)
        self.log = log

    @property
    def running(self) -> bool:
        """Whether its first process is still alive."""
        return self.popen.poll() is None

    def cpu_seconds(self) -> float:
        """Processor time of all its processes so far, including those that ended."""
        total = 0.0
        for process in self._tree():
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def keep_to(self, cores: Sequence[int]) -> None:
        """Pins every current thread to these cores, even those that pinned themselves."""
        for process in self._tree():
            _keep_threads(process.pid, cores)

    def memory_bytes(self) -> int:
        """Memory that its processes hold now; shared pages count once (PSS)."""
        return sum(_pss(process.pid) for process in self._tree())

    def peak_bytes(self) -> int:
        """The sum of each process's peak memory; shared pages count each time."""
        return sum(_high_water(process.pid) for process in self._tree())

    def stop(self) -> None:
        """Terminates the command, then kills whatever is left of its processes."""
        members = self._tree()
        if self.running:
            self.popen.send_signal(signal.SIGTERM)
        psutil.wait_procs(members[:1], timeout=_STOP_SECONDS)
        for process in members:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(members, timeout=_STOP_SECONDS)
        self.popen.wait(_STOP_SECONDS)

    def _tree(self) -> list[psutil.Process]:
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def _pss(pid: int) -> int:
    return _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss")


def _high_water(pid: int) -> int:
    return _kilobytes(Path(f"/proc/{pid}/status"), "VmHWM")


def _kilobytes(file: Path, name: str) -> int:
    try:
        match = re.search(rf"^{name}:\s+(\d+) kB$", file.read_text(), re.MULTILINE)
    except OSError:  # it has ended
        return 0
    return int(match[1]) * 1024 if match else 0
