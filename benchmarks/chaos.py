"""Runs ordinary calls through one fault after another, and counts what became of each call.

    python benchmarks/chaos.py
    python benchmarks/chaos.py --only "kill -9" "a caller floods" --seconds 10 --details
    python benchmarks/chaos.py --soak 60

Two servers follow one repository, with TLS and tokens. Four threads call both through one client,
with a deadline of a second; meanwhile a fault hits one server or both. A score is wrong if it
differs in any bit from the same one computed alone. Exits with 1 unless

- no score is wrong, and no call ends long after its deadline without a score or an error,
- 99.9 % of the calls are answered in time where the fault hits one server (a refusal isn't an
  answer),
- where it hits both, calls are answered again 5 s after its end at the latest.

The column `stall` is the longest time that the callers' own process was kept from running: figures
of a run with stalls near the deadline say more of the machine than of the servers.

`--soak MINUTES` calls for so long, with one of the faults that hit both servers every minute, and
prints a line a minute with the servers' memory. Exits with 1 if a score is wrong, a call hangs, or
memory grows by more than 5 % between the second quarter of the time and the last.

Clock jumps need libfaketime (Debian's package of that name), and are left out without it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from chaos_runs.callers import Callers, Tally
from chaos_runs.faults import CLOCK_JUMPS, FAULTS, Fault
from chaos_runs.site import Site, faketime
from chaos_runs.soak import soak

_ANSWERED = 0.999
_RECOVERY_SECONDS = 5.0
_QUIET_SECONDS = 2.0


def measure(site: Site, fault: Fault, seconds: float) -> tuple[Tally, float, float]:
    """Calls through a fault.

    Returns:
        What became of the calls, the time of the fault's end, and the callers' share of the cores.
    """
    callers, started = Callers(site), time.monotonic()
    callers.start()
    time.sleep(_QUIET_SECONDS)
    fault.run(site, seconds)
    ended = time.monotonic()
    time.sleep(_RECOVERY_SECONDS + _QUIET_SECONDS)
    tally = callers.stop()
    cores = os.cpu_count() or 1
    share = tally.processor_seconds / (time.monotonic() - started) / cores
    return tally, ended, share


def verdict(fault: Fault, tally: Tally, recovery: float) -> str:
    """What of the promises was broken; empty if nothing was."""
    broken = []
    if tally.wrong:
        broken.append(f"{tally.wrong} wrong")
    if tally.hung:
        broken.append(f"{tally.hung} hung")
    if fault.hits < 2 and tally.share < _ANSWERED:
        broken.append(f"only {tally.share:.2%} answered")
    if fault.hits == 2 and recovery > _RECOVERY_SECONDS:
        broken.append(f"still failing {recovery:.1f} s later")
    return ", ".join(broken)


def row(fault: Fault, tally: Tally, recovery: float, share: float) -> list[str]:
    """The table's row of one fault."""
    failed = ", ".join(f"{count} {code}" for code, count in sorted(tally.failed.items()))
    return [
        fault.name,
        str(tally.asked),
        f"{tally.share:.2%}",
        str(tally.refused),
        (f"{failed}, " if failed else "") + f"{tally.late} late",
        str(tally.wrong),
        f"{recovery:.1f} s" if tally.last_failure else "",
        f"{share:.0%}",
        f"{tally.stall * 1000:.0f} ms",
    ]


COLUMNS = [
    "fault",
    "asked",
    "in time",
    "refused",
    "failed",
    "wrong",
    "recovery",
    "callers' cores",
    "stall",
]


def _bundles(folder: Path) -> list[Path]:
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from tiny_bundle import make_bundle

    return [make_bundle(folder / f"bundle-{seed}", seed=seed, run_cost=100) for seed in (1, 2)]


def main() -> int:
    """Reads the arguments, runs the faults and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [fault.name for fault in FAULTS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="FAULT")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each fault lasts")
    parser.add_argument("--details", action="store_true", help="say of each failure why")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="watch memory instead")
    args = parser.parse_args()
    broken = False
    if faketime() is None and CLOCK_JUMPS in args.only:
        args.only = [name for name in args.only if name != CLOCK_JUMPS]
        print(f"{CLOCK_JUMPS}: left out, as libfaketime is not installed", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        site = Site(Path(folder))
        try:
            site.build(_bundles(Path(folder)))
            if args.soak:
                return int(soak(site, args.soak))
            print("| " + " | ".join(COLUMNS) + " |")
            print("| --- " * len(COLUMNS) + "|")
            for fault in FAULTS:
                if fault.name not in args.only:
                    continue
                tally, ended, share = measure(site, fault, args.seconds)
                recovery = max(0.0, tally.last_failure - ended)
                print("| " + " | ".join(row(fault, tally, recovery, share)) + " |", flush=True)
                for started, seconds, why in tally.failures if args.details else ():
                    print(f"  {started - ended:+.2f} s, took {seconds:.2f} s: {why}", flush=True)
                if problem := verdict(fault, tally, recovery):
                    broken = True
                    print(f"{fault.name}: {problem}", file=sys.stderr, flush=True)
        finally:
            site.close()
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
