"""Compares Tipstaff with other servers of the same weights, in one run on one machine.

    pip install '.[server,trainer,benchmarks]'
    python benchmarks/compare.py BUNDLE DATA --out OUT

BUNDLE has an int8 graph and, in `training/`, the weights it was made of; DATA is a file that
`tipstaff train` reads. Each peer gets a virtual environment of its own under `build/compare`, made
the first time. Each contender is measured by itself. Then all take turns, round after round,
because the machine's speed drifts: ratios are medians over the rounds. Writes OUT/raw.jsonl (one
JSON object a phase), table.md, closed.png and open.png, and prints each record; the last line lists
the targets and whether they were met.
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

# The CPU features that int8 products run on, as the kernel names them: they decide these ratios.
_INT8 = {"avx2", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm"}
_WORK = Path(__file__).resolve().parent.parent / "build" / "compare"
_NAMES = (TIPSTAFF, *(spec.name for spec in PEERS), CEILING)


def sample(data: Path, bundle: Path, count: int, seed: int) -> list[Interaction]:
    """Real interactions that fit the model in full.

    Others are left out: contenders truncate them differently, and one doesn't truncate at all.
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
        raise UsageError(f"{data}: only {len(fitting)} interactions fit, and {count} are wanted")
    return fitting[:count]


def enter(name: str, bundle: Path, model: Path, interactions: Sequence[Interaction]) -> Contender:
    """Creates the contender of that name, and a peer's environment first.

    Raises:
        UsageError: It can't be installed.
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
    """Yields each record as it is measured, the machine's first."""
    plan = Plan(usable_cores()[:2], args.requests, args.seconds, args.seed)
    if len(plan.cores) < 2:
        raise UsageError("the comparison needs two cores: one to serve, one to ask from")
    interactions = sample(args.data, args.bundle, args.requests, args.seed)
    model = write_model_folder(args.bundle, _WORK / "model")
    yield {"phase": "machine", "contender": "", **machine(), "requests": args.requests}
    entered: dict[str, Contender | None] = {}
    for name in args.only:
        try:
            if name == CEILING:
                yield {"phase": "settings", "contender": name, "settings": SETTINGS}
                for record in measure_ceiling(args.bundle, interactions, plan, _WORK):
                    yield record
                entered[name] = None
                continue
            contender = enter(name, args.bundle, model, interactions)
            yield {"phase": "settings", "contender": name, "settings": contender.settings}
            async for record in measure(contender, plan):
                yield record
            entered[name] = contender
        # When one fails, the others are still measured; the table will lack its name.
        except (ContenderError, UsageError) as error:
            why = str(error).replace(str(_WORK), "")[-3000:]
            yield {"phase": "failed", "contender": name, "why": why}
    for number in range(args.rounds):
        for taking_turns in entered.values():
            if taking_turns is None:
                record = ceiling_round(args.bundle, interactions, plan, _WORK)
            else:
                record = await measure_round(taking_turns, plan)
            yield {"phase": "round", "round": number, **record}


def machine() -> Record:
    """The machine: processor, cores and versions."""
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
    """Measures, writing each record as it comes."""
    kept = []
    async for record in records(args):
        line = json.dumps(record)
        print(line, flush=True)
        raw.write(line + "\n")
        raw.flush()
        kept.append(record)
    return kept


def main() -> None:
    """Reads the arguments, measures, reports."""
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
            found = asyncio.run(run(args, raw))
    except TipstaffError as error:
        sys.exit(f"compare: {error}")
    (args.out / "table.md").write_text(tables(found))
    draw(found, args.out)
    failed = {r["contender"]: r["why"] for r in found if r["phase"] == "failed"}
    print(json.dumps({"targets": evaluate(found), "failed": failed}))


if __name__ == "__main__":
    main()
