"""Calls for a long time, with a fault a minute, and watches the servers' memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from itertools import cycle

import psutil

from chaos_runs.callers import Callers
from chaos_runs.faults import CLOCK_JUMPS, FAULTS
from chaos_runs.site import Site

_MINUTE = 60.0
_FAULT_SECONDS = 6.0
_GROWTH = 1.05
# Quarters of less would be a minute or two.
_FEWEST_MINUTES = 8


def soak(site: Site, minutes: float) -> bool:
    """Calls for some minutes and prints a line each.

    Returns:
        Whether a promise was broken.
    """
    faults = cycle(fault for fault in FAULTS if fault.hits == 2 and fault.name != CLOCK_JUMPS)
    print("| minute | fault | asked | in time | wrong | hung | memory, MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    memory, broken = [], False
    end = time.monotonic() + minutes * _MINUTE
    while time.monotonic() < end:
        fault, callers = next(faults), Callers(site)
        wake_up = min(time.monotonic() + _MINUTE, end)
        callers.start()
        fault.run(site, _FAULT_SECONDS)
        time.sleep(max(0.0, wake_up - time.monotonic()))
        tally = callers.stop()
        memory.append([_resident(server.process) for server in site.servers])
        broken |= bool(tally.wrong or tally.hung)
        taken = " and ".join(f"{each:.1f}" for each in memory[-1])
        print(
            f"| {len(memory)} | {fault.name} | {tally.asked} | {tally.share:.2%} | {tally.wrong} "
            f"| {tally.hung} | {taken} |",
            flush=True,
        )
    return broken | _grew(memory)


def _resident(process: subprocess.Popen[bytes] | None) -> float:
    assert process is not None
    return float(psutil.Process(process.pid).memory_info().rss / 1e6)


def _grew(memory: list[list[float]]) -> bool:
    """Whether a server takes more in the last quarter than in the second."""
    quarter = len(memory) // 4
    if len(memory) < _FEWEST_MINUTES:
        print(f"memory is compared from {_FEWEST_MINUTES} minutes on", file=sys.stderr)
        return False
    ratios = []
    for of_server in zip(*memory, strict=True):
        second, last = of_server[quarter : 2 * quarter], of_server[-quarter:]
        ratios.append(statistics.median(last) / statistics.median(second))
    print("memory, last quarter over second: " + ", ".join(f"{each:.3f}" for each in ratios))
    return max(ratios) > _GROWTH
