"""How many processors this process may use, which is rarely how many the host has."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUP_ROOT = Path("/sys/fs/cgroup")
CGROUP_MEMBERSHIP = Path("/proc/self/cgroup")

# Where version 1 mounts its processor controller.
_V1_CONTROLLERS = ("cpu", "cpu,cpuacct", "cpuacct,cpu")


def usable_cpus(root: Path = CGROUP_ROOT, membership: Path = CGROUP_MEMBERSHIP) -> float:
    """Processors this process may use: by its affinity and by the quotas of its control groups.

    Args:
        root: Where control groups are mounted; both versions are understood.
        membership: The kernel's list of the groups that this process is in.

    Returns:
        More than 0; a fraction where the quota is one, as in a container limited to 0.5.
    """
    return min([float(_affinity()), *_quotas(root, _groups(membership))])


def default_workers(cpus: float | None = None) -> int:
    """One-thread workers to run on so many processors, by default those usable; at least 1."""
    return max(1, math.floor(usable_cpus() if cpus is None else cpus))


def _affinity() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _groups(membership: Path) -> dict[str, PurePosixPath]:
    """This process's group by controller; version 2 has one, under the empty word."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        lines = []
    parts = [line.split(":", 2) for line in lines]
    return {
        controller: PurePosixPath(part[2])
        for part in parts
        if len(part) == 3
        for controller in part[1].split(",")
    }


def _quotas(root: Path, groups: dict[str, PurePosixPath]) -> Iterator[float]:
    for folder in _with_parents(root, groups.get("")):
        yield from _share(*_words(folder / "cpu.max"))
    for controller in _V1_CONTROLLERS:
        for folder in _with_parents(root / controller, groups.get("cpu")):
            quota, period = folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"
            yield from _share(*_words(quota), *_words(period))


def _with_parents(mount: Path, group: PurePosixPath | None) -> Iterator[Path]:
    """The folders of a group and of all that it lies in, since each may have a quota.

    A container often sees only its own group, mounted as the root, while the kernel names it by the
    host's path: folders that aren't there have no quota.
    """
    inside = PurePosixPath("/") if group is None else group
    for folder in (inside, *inside.parents):
        yield mount / folder.relative_to("/")


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []


def _share(*words: str) -> Iterator[float]:
    """Quota over period; nothing where they are absent, or `max` or -1, which mean unlimited."""
    if len(words) == 2 and all(word.isdecimal() and int(word) > 0 for word in words):
        quota, period = map(int, words)
        yield quota / period
