from __future__ import annotations

import os

import pytest

from tipstaff_server.cpus import default_workers, usable_cpus

AFFINITY = len(os.sched_getaffinity(0))


@pytest.fixture
def kernel(tmp_path):
    """Writes a tree of control groups; returns the number of processors that it allows."""

    def write(files: dict[str, str], membership: str = "0::/\n") -> float:
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / "membership").write_text(membership)
        return usable_cpus(tmp_path / "cgroup", tmp_path / "membership")

    return write


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("50000 100000\n", 0.5),
        ("max 100000\n", AFFINITY),
        ("99900000 100000\n", AFFINITY),
        ("25000 50000\n", 0.5),
        ("", AFFINITY),
        ("nonsense", AFFINITY),
    ],
)
def test_version_2(kernel, text, cpus):
    assert kernel({"cpu.max": text}) == cpus


def test_version_2_counts_the_tightest_of_the_groups_it_lies_in(kernel):
    files = {
        "pod/cpu.max": "40000 100000\n",
        "pod/container/cpu.max": "80000 100000\n",
        "other/cpu.max": "10000 100000\n",
    }
    assert kernel(files, "0::/pod/container\n") == 0.4


def test_version_2_where_the_container_sees_its_own_group_as_the_root(kernel):
    assert kernel({"cpu.max": "70000 100000\n"}, "0::/kubepods/pod1/container2\n") == 0.7


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct", "cpuacct,cpu"])
def test_version_1(kernel, mount):
    files = {
        f"{mount}/docker/1/cpu.cfs_quota_us": "25000\n",
        f"{mount}/docker/1/cpu.cfs_period_us": "100000\n",
        f"{mount}/cpu.cfs_quota_us": "-1\n",
        f"{mount}/cpu.cfs_period_us": "100000\n",
    }
    assert kernel(files, "9:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n0::/\n") == 0.25


def test_version_1_where_the_container_sees_its_own_group_as_the_root(kernel):
    files = {"cpu/cpu.cfs_quota_us": "60000\n", "cpu/cpu.cfs_period_us": "100000\n"}
    assert kernel(files, "4:cpu:/docker/1\n") == 0.6


def test_without_control_groups_it_is_the_affinity(tmp_path):
    assert usable_cpus(tmp_path / "none", tmp_path / "none either") == AFFINITY


def test_this_machine():
    assert 0 < usable_cpus() <= AFFINITY


@pytest.mark.parametrize(("cpus", "workers"), [(0.5, 1), (1.0, 1), (1.9, 1), (2.0, 2), (7.5, 7)])
def test_workers_are_whole_processors(cpus, workers):
    assert default_workers(cpus) == workers


def test_workers_by_default_are_this_machines():
    assert default_workers(usable_cpus()) == max(1, int(usable_cpus()))
