"""Compares Tipstaff with other servers of the same weights, in one run on one machine.

    pip install '.[server,trainer,benchmarks]'
    python benchmarks/compare.py BUNDLE DATA --out OUT

BUNDLE has an int8 graph and, in `training/`, the weights it was exported from; DATA is a file that
`tipstaff train` reads. Each peer runs in its own virtual environment under `build/compare`, created
on the first run. Each contender is first measured alone. Then all take turns, round after round,
because the machine's speed drifts: ratios are medians over the rounds. Writes OUT/raw.jsonl (one
JSON object per phase), table.md, closed.png and open.png, and prints each record; the last line
lists the targets and whether they were met.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import sys
from collections.abc import AsyncIterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

from comparison.ceiling import SETTINGS, ceiling_round, measure_ceiling
from comparison.contender import Contender, ContenderError, HttpPeer, Tipstaff
from comparison.environments import environment, installed
from comparison.lineup import PEERS
from comparison.measure import Plan, Record, measure, measure_round
from comparison.model_folder import write_model_folder
from comparison.processes import usable_cores
from comparison.report import draw, tables
from comparison.verdict import CEILING, TIPSTAFF, evaluate

from tipstaff import Interaction
from tipstaff.errors import TipstaffError, UsageError
from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.data import read_rows

# CPU features for int8 products, named as in /proc/cpuinfo. The ratios depend on them.
_INT8 = {"avx2", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm"}
_WORK = Path(__file__).resolve().parent.parent / "build" / "compare"
_NAMES = (TIPSTAFF, *(spec.name for spec in PEERS), CEILING)


def sample(data: Path, bundle: Path, count: int, seed: int) -> list[Interaction]:
    """Draws real interactions that fit the model without truncation.

    Contenders truncate longer ones differently, and one doesn't truncate at all.
    """
    evaluator = Evaluator.load(bundle)
    rows = read_rows(data, labelled=False).rows
    interactions = [row.interaction for row in rows]
    random.Random(seed).shuffle(interactions)
    encoded = [evaluator.encode(each) for each in interactions]
    fitting = [
        each
        for each, one in zip(interactions, encoded, strict=True)
        if len(one.runs) == 1 and not one.partial
    ]
    if len(fitting) < count:
        raise UsageError(f"{data}: only {len(fitting)} interactions fit, and {count} are needed")
    return fitting[:count]


def enter(name: str, bundle: Path, model: Path, interactions: Sequence[Interaction]) -> Contender:
    """Creates the contender of that name; for a peer, also its environment.

    Raises:
        UsageError: The peer can't be installed.
    """
    if name == TIPSTAFF:
        settings = {"settings": "defaults", "version": version("tipstaff")}
        return Tipstaff(bundle, interactions, settings, _WORK)
    spec = next(spec for spec in PEERS if spec.name == name)
    python = environment(spec.requirements, _WORK / "venvs")
    peer = HttpPeer(spec, interactions, python=python, model=model, logs=_WORK)
    peer.settings["packages"] = installed(python)
    return peer


async def records(args: argparse.Namespace) -> AsyncIterator[Record]:
    """Yields each record as it is measured, after one that describes the machine."""
    plan = Plan(usable_cores()[:2], args.requests, args.seconds, args.seed)
    if len(plan.cores) < 2:
        raise UsageError("needs two cores: one for the server, one for the load generator")
    interactions = sample(args.data, args.bundle, args.requests, args.seed)
    model = write_model_folder(args.bundle, _WORK / "model")
    yield {"phase": "machine", "contender": "", **machine(), "requests": args.requests}
    contenders: dict[str, Contender | None] = {}
    for name in args.only:
        try:
            if name == CEILING:
                yield {"phase": "settings", "contender": name, "settings": SETTINGS}
                for record in measure_ceiling(args.bundle, interactions, plan, _WORK):
                    yield record
                contenders[name] = None
                continue
            contender = enter(name, args.bundle, model, interactions)
            yield {"phase": "settings", "contender": name, "settings": contender.settings}
            async for record in measure(contender, plan):
                yield record
            contenders[name] = contender
        # When a contender fails, the others are still measured; the table lacks its name.
        except (ContenderError, UsageError) as error:
            why = str(error).replace(str(_WORK), "")[-3000:]
            yield {"phase": "failed", "contender": name, "why": why}
    for round_number in range(args.rounds):
        for entry in contenders.values():
            if entry is None:
                record = ceiling_round(args.bundle, interactions, plan, _WORK)
            else:
                record = await measure_round(entry, plan)
            yield {"phase": "round", "round": round_number, **record}


def machine() -> Record:
    """Describes the machine: processor, cores and versions."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    models = {line.partition(":")[2].strip() for line in cpus if line.startswith("model name")}
    features = next((line for line in cpus if line.startswith(("flags", "Features"))), "")
    return {
        "cpu": sorted(models),
        "int8": sorted(_INT8.intersection(features.split())),
        "cores": len(usable_cores()),
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
        "tipstaff": version("tipstaff"),
    }


async def run(args: argparse.Namespace, raw: TextIO) -> list[Record]:
    """Measures, and writes each record as soon as it exists."""
    written = []
    async for record in records(args):
        line = json.dumps(record)
        print(line, flush=True)
        raw.write(line + "\n")
        raw.flush()
        written.append(record)
    return written


def main() -> None:
    """Reads the arguments, measures and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=_WORK / "out")
    parser.add_argument("--only", nargs="*", choices=_NAMES, default=_NAMES, metavar="NAME")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each phase")
    parser.add_argument("--rounds", type=int, default=5, help="in which contenders take turns")
    parser.add_argument("--requests", type=int, default=400, help="distinct interactions")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        with (args.out / "raw.jsonl").open("w") as raw:
            results = asyncio.run(run(args, raw))
    except TipstaffError as error:
        sys.exit(f"compare: {error}")
    (args.out / "table.md").write_text(tables(results))
    draw(results, args.out)
    failed = {r["contender"]: r["why"] for r in results if r["phase"] == "failed"}
    print(json.dumps({"targets": evaluate(results), "failed": failed}))


if __name__ == "__main__":
    main()
