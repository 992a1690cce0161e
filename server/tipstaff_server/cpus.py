"""The number of processors this process may use, which is often fewer than the host has."""

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
    """Processors this process may use, limited by its affinity and its control groups' quotas.

    Args:
        root: Where control groups are mounted, of version 1 or 2.
        membership: The kernel's list of the groups that this process is in.

    Returns:
        More than 0; may be a fraction, as in a container limited to 0.5.
    """
    return min([float(_affinity()), *_quotas(root, _groups(membership))])


def default_workers(cpus: float) -> int:
    """The number of one-thread workers for so many processors; at least 1."""
    return max(1, math.floor(cpus))


def _affinity() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _groups(membership: Path) -> dict[str, PurePosixPath]:
    """This process's group for each controller; version 2 has only one, under the empty name."""
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
    """The folders of a group and of its parents, each of which may have a quota.

    A container often sees only its own group, mounted as the root, while the kernel names it by the
    host's path. Folders that don't exist have no quota.
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
    """Quota over period; nothing if they are absent or unlimited (`max` or -1)."""
    if len(words) == 2 and all(word.isdecimal() and int(word) > 0 for word in words):
        quota, period = map(int, words)
        yield quota / period
