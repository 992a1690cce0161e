"""What keeping traffic costs: instructions an answer, and p99 beside a server that keeps none.

    python benchmarks/traffic_cost.py BUNDLE DATA [--rate 0.1] [--rounds 8] [--seconds 3]
    python benchmarks/traffic_cost.py BUNDLE DATA --instructions [--answers 300] [--scored 20]

The first form serves the bundle twice, with and without `--traffic`, and drives both in turn, so
that what else the machine does meets both alike; it prints the medians over the rounds of the
ratios of throughput, p50 and p99.

The second counts instructions under valgrind, and takes some minutes: those of a whole server, all
threads together and the event loop's alone, with and without `--traffic`, and those of a score of
the bundle by itself. The servers have a tiny bundle, since one of BUNDLE isn't ready for minutes
under valgrind; what keeping adds doesn't depend on the bundle. The writer's own are counted until
its next flush.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from comparison.contender import ask_tipstaff
from comparison.loadgen import Answer, closed, percentile_ms
from local_server import serving

from tipstaff import AsyncClient, Client, Interaction
from tipstaff.types import FIELDS
from tipstaff_trainer.data import read_rows

_WARM_SECONDS = 1.0
_WARM_ANSWERS = 50
# The writer has written all by then: rows after 2 s, counts after 10.
_WRITTEN_SECONDS = 15.0
_CALLGRIND = ("valgrind", "-q", "--tool=callgrind")
# Scores the first rows of a file with a bundle; its arguments are the bundle, the file, how many.
_SCORE = """
import sys
from pathlib import Path
from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.data import read_rows
evaluator = Evaluator.load(Path(sys.argv[1]))
rows = read_rows(Path(sys.argv[2]), labelled=False).rows
for row in rows[: int(sys.argv[3])]:
    evaluator.score(row.interaction)
"""


def main() -> None:
    """Prints the ratios, or the instructions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path, help="file that `tipstaff train` reads")
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each phase")
    parser.add_argument("--instructions", action="store_true")
    parser.add_argument("--answers", type=int, default=300, help="to count instructions of")
    parser.add_argument("--scored", type=int, default=20, help="by the bundle, in process")
    args = parser.parse_args()
    interactions = [row.interaction for row in read_rows(args.data, labelled=False).rows]
    random.Random(0).shuffle(interactions)
    if args.instructions:
        _print_instructions(args, interactions)
    else:
        asyncio.run(_print_ratios(args, interactions))


async def _print_ratios(args: argparse.Namespace, interactions: Sequence[Interaction]) -> None:
    requests = list(range(len(interactions)))
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(args.bundle) as without,
        serving(args.bundle, "--traffic", folder, "--traffic-rate", args.rate) as keeping,
    ):
        async with AsyncClient(without.target) as first, AsyncClient(keeping.target) as second:

            async def run(client: AsyncClient, callers: int, seconds: float) -> list[float]:
                async def ask(request: int, left: float) -> Answer:
                    return await ask_tipstaff(client, interactions[request], left)

                outcomes = await closed(ask, requests, callers, seconds)
                latencies = outcomes.answered
                p50, p99 = percentile_ms(latencies, 50), percentile_ms(latencies, 99)
                return [len(latencies) / outcomes.seconds, float(p50 or 0), float(p99 or 0)]

            for client in (first, second):
                await run(client, 4, _WARM_SECONDS)
            print("with traffic against without, medians of rounds (throughput, p50, p99):")
            for callers in args.callers:
                ratios = []
                for turn in range(args.rounds):
                    pair = (first, second) if turn % 2 == 0 else (second, first)
                    figures = {id(each): await run(each, callers, args.seconds) for each in pair}
                    both = zip(figures[id(second)], figures[id(first)], strict=True)
                    ratios.append([mine / other for mine, other in both])
                columns = zip(*ratios, strict=True)
                medians = "  ".join(f"x{statistics.median(each):.3f}" for each in columns)
                print(f"{callers:3} callers  {medians}", flush=True)


def _print_instructions(args: argparse.Namespace, interactions: Sequence[Interaction]) -> None:
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from tiny_bundle import make_bundle

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        tiny = make_bundle(folder / "tiny")
        flags = ("--traffic", folder / "kept", "--traffic-rate", args.rate)
        without = _count(args, tiny, interactions, folder / "without")
        keeping = _count(args, tiny, interactions, folder / "keeping", *flags)
        score = _count_score(args, folder / "score")
    for name, before, now in zip(("all threads", "event loop"), without, keeping, strict=True):
        print(f"{name:12} {before:12,.0f} → {now:12,.0f} an answer: {now - before:+,.0f}")
    added, answer = keeping[0] - without[0], without[0] + score
    print(f"a score of the bundle: {score:,.0f}; of an answer with it: {added / answer:+.2%}")


def _count_score(args: argparse.Namespace, out: Path) -> float:
    """Instructions of a score in process, beside those of loading the bundle."""
    totals = []
    for count in (0, args.scored):
        profile = out.with_suffix(f".{count}")
        command = (*_CALLGRIND, f"--callgrind-out-file={profile}")
        script = (sys.executable, "-c", _SCORE, str(args.bundle), str(args.data), str(count))
        subprocess.run([*command, *script], check=True)
        totals.append(_total(profile))
    return (totals[1] - totals[0]) / args.scored


def _count(
    args: argparse.Namespace,
    bundle: Path,
    interactions: Sequence[Interaction],
    out: Path,
    *flags: object,
) -> tuple[float, float]:
    """Instructions an answer of all threads, and of the main one, on which the event loop runs."""
    wrapper = (*_CALLGRIND, "--separate-threads=yes", f"--callgrind-out-file={out}")
    with (
        serving(bundle, *flags, wrapper=wrapper) as server,
        Client(server.target, timeout=60) as client,
    ):

        def ask(count: int) -> None:
            for index in range(count):
                each = interactions[index % len(interactions)]
                texts = {name: each.get(name) for name in FIELDS}
                client.score(**texts)

        ask(_WARM_ANSWERS)
        time.sleep(_WRITTEN_SECONDS)
        _control(server.process.pid, "-z")
        ask(args.answers)
        time.sleep(_WRITTEN_SECONDS)
        _control(server.process.pid, "-d")
    profiles = list(out.parent.glob(f"{out.name}.1-*"))
    totals = {each.name.rpartition("-")[2]: _total(each) for each in profiles}
    return sum(totals.values()) / args.answers, totals["01"] / args.answers


def _control(process: int, what: str) -> None:
    subprocess.run(["callgrind_control", what, str(process)], check=True, capture_output=True)


def _total(profile: Path) -> int:
    match = re.search(r"^(?:totals|summary): (\d+)", profile.read_text(), re.MULTILINE)
    return int(match[1]) if match else 0


if __name__ == "__main__":
    main()
