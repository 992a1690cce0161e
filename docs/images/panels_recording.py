"""Records the dashboard's panels: a real server, a real Prometheus, and spells of trouble.

The server is slow on purpose: what a worker can do is then a fraction of what this process can ask.
"""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests")]
from running_prometheus import ask_prometheus, running_prometheus  # noqa: E402
from running_server import Server, Starter, wait_until  # noqa: E402
from tiny_bundle import WORDS, make_bundle  # noqa: E402

from tipstaff import Interaction  # noqa: E402
from tipstaff.v1 import scoring_pb2 as pb  # noqa: E402
from tipstaff.v1 import scoring_pb2_grpc  # noqa: E402
from tipstaff_server.evaluator import Evaluator  # noqa: E402
from tipstaff_server.evaluator.manifest import Policy  # noqa: E402
from tipstaff_server.repository import publish  # noqa: E402
from tipstaff_server.repository.serving import set_serving  # noqa: E402

NAME = "faithfulness"
STEP = 5
# Shares of the traffic on a quiet day.
CALLERS = {"shop": 0.5, "helpdesk": 0.3, "search": 0.2}
# Of what the worker can do.
QUIET = 0.2
# One caller's calls at a time in the flood, by what the worker can do in a deadline, and the pause
# after a refusal.
FLOOD, FLOOD_PAUSE = 2.5, 0.1
_SCRAPE_SECONDS, _RATE_SECONDS = 2, 20
_DEADLINE, _START_SECONDS = 0.3, 120
# Multiplications that make a run as slow as that of a small encoder.
_RUN_COST = 100
_LEAST_CAPACITY = 50
_SCORED = 2_000
_FOREIGN = "sko støvle kvittering frakt".split()
# What happens, in seconds from the start of the recording.
SPELLS = (
    (60, 100, "one caller asks far more than the worker can do"),
    (140, 145, "a new version is promoted, which is stricter"),
    (180, 220, "texts have words that the encoder doesn't know, and some are too long"),
    (255, 285, "a version is promoted that can't be loaded"),
)
SECONDS = 330


def record(rows: dict[str, Any], bundle: Path | None) -> dict[str, Any]:
    """Runs the spells and asks every query of the dashboard over their time.

    Args:
        rows: The dashboard's panels by row.
        bundle: The bundle to serve; None for a tiny one with random weights.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        repository = folder / "repository"
        versions = [bundle] * 2 if bundle else _bundles(folder)
        name = Evaluator.load(versions[0]).manifest.name if bundle else NAME
        publish(versions[0], repository, promote=True, force=True)
        starter = Starter(folder)
        try:
            server = starter(
                *("--repository", repository, "--workers", 1, "--poll-seconds", 1),
                *("--max-queue", 64, "--default-deadline-seconds", _DEADLINE),
                wait_for="",
            )
            server.wait_for_log("ready after", _START_SECONDS)
            with _prometheus(folder, server) as address:
                start = asyncio.run(_drive(server, repository, name, versions[1]))
                return {
                    "about": f"{_version()}, a scrape every {_SCRAPE_SECONDS} s, rates over "
                    f"{_RATE_SECONDS} s, one worker",
                    "step": STEP,
                    "seconds": SECONDS,
                    "spells": [list(spell) for spell in SPELLS],
                    "rows": {
                        question: [_ask(address, panel, start) for panel in row]
                        for question, row in rows.items()
                    },
                }
        finally:
            starter.stop()


def _bundles(folder: Path) -> list[Path]:
    """Two versions; the first passes nine outputs in ten, the second is stricter."""
    options: dict[str, Any] = {"name": NAME, "seed": 28, "run_cost": _RUN_COST}
    evaluator = Evaluator.load(make_bundle(folder / "0", **options | {"run_cost": 0}))
    draw = random.Random(0)
    scores = sorted(evaluator.score(_interaction(draw)).score for _ in range(_SCORED))
    block_below, pass_at = scores[_SCORED // 50], scores[_SCORED // 10]
    policy = Policy(pass_at=pass_at, block_below=block_below)
    return [
        make_bundle(folder / f"{number}", policy=policy, bias=bias, **options)
        for number, bias in ((1, 0.0), (2, -0.15))
    ]


def _interaction(draw: random.Random) -> Interaction:
    def text(least: int, most: int) -> str:
        return " ".join(draw.choices(WORDS, k=draw.randint(least, most)))

    return Interaction(text(4, 8), text(4, 12), text(8, 20))


def _strange(draw: random.Random) -> Interaction:
    """A text with unknown words, or one that is too long to be read in full."""
    usual = _interaction(draw)
    if draw.random() < 0.3:
        return Interaction(usual.input, " ".join(draw.choices(WORDS, k=90)), usual.ground_truth)
    words = f"{usual.output} {' '.join(draw.choices(_FOREIGN, k=4))}"
    return Interaction(usual.input, words, usual.ground_truth)


async def _drive(server: Server, repository: Path, name: str, second: Path) -> float:
    """Asks at the rate of each moment, and promotes when it is time; returns when it began.

    A quiet while goes ahead, so that rates have something to look back at.
    """
    draw = random.Random(1)
    flood, promotion, strange, broken = SPELLS
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = scoring_pb2_grpc.ScoringServiceStub(channel)
        capacity, ahead = await _capacity(stub, draw), _RATE_SECONDS + 10
        print(f"one worker answers {capacity:.0f} a second", flush=True)
        if capacity < _LEAST_CAPACITY:
            sys.exit("other work has the cores: a healthy server would not look like one")
        events = [
            (promotion[0], lambda: publish(second, repository, promote=True, force=True)),
            (broken[0], lambda: _promote_broken(repository, name, second)),
            (broken[1], lambda: set_serving(repository, name, 2)),
        ]
        calls: set[asyncio.Task[bool]] = set()
        at_a_time = round(FLOOD * capacity * _DEADLINE)
        flooding = asyncio.create_task(
            _flood(stub, draw, at_a_time, ahead + flood[0], ahead + flood[1])
        )
        began, start, due = time.time() + ahead, time.monotonic() + ahead, -float(ahead)
        while due < SECONDS:
            await asyncio.sleep(max(0.0, start + due - time.monotonic()))
            if events and due >= events[0][0]:
                await asyncio.to_thread(events.pop(0)[1])
            (caller,) = draw.choices([*CALLERS], [*CALLERS.values()])
            is_strange = strange[0] <= due < strange[1] and draw.random() < 0.5
            item = (_strange if is_strange else _interaction)(draw)
            call = asyncio.create_task(_call(stub, item, caller))
            calls.add(call)
            call.add_done_callback(calls.discard)
            due += draw.expovariate(capacity * QUIET)
        await asyncio.gather(flooding, *calls)
    return began


async def _capacity(stub: scoring_pb2_grpc.ScoringServiceStub, draw: random.Random) -> float:
    """Answers a second of the worker with eight callers."""
    seconds, answers = 3.0, 0
    end = time.monotonic() + seconds

    async def ask() -> None:
        nonlocal answers
        while time.monotonic() < end:
            answers += await _call(stub, _interaction(draw), "shop")

    await asyncio.gather(*(ask() for _ in range(8)))
    return answers / seconds


async def _flood(stub: Any, draw: random.Random, at_a_time: int, start: float, stop: float) -> None:
    """One caller asks without end, and comes again soon after each refusal."""
    await asyncio.sleep(start)
    end = time.monotonic() + stop - start

    async def ask() -> None:
        while time.monotonic() < end:
            if not await _call(stub, _interaction(draw), "search"):
                await asyncio.sleep(FLOOD_PAUSE)

    await asyncio.gather(*(ask() for _ in range(at_a_time)))


async def _call(stub: Any, item: Interaction, caller: str) -> bool:
    """Asks; returns whether there was an answer."""
    request = pb.ScoreRequest(input=item.input, output=item.output, ground_truth=item.ground_truth)
    metadata = (("tipstaff-caller", caller),)
    try:
        await stub.Score(request, timeout=_DEADLINE, metadata=metadata)
    except grpc.aio.AioRpcError:
        return False
    return True


def _promote_broken(repository: Path, name: str, bundle: Path) -> None:
    version = publish(bundle, repository)
    (graph,) = (repository / name / str(version)).glob("*.onnx")
    graph.write_bytes(b"broken")
    set_serving(repository, name, version)


@contextmanager
def _prometheus(folder: Path, server: Server) -> Iterator[str]:
    """A Prometheus that scrapes the server; yields its address."""
    program = shutil.which("prometheus")
    if program is None:
        sys.exit("prometheus is not installed (apt-get install prometheus)")
    target = server.metrics_url.split("/")[2]
    static = {"targets": [target], "labels": {"instance": "tipstaff-0"}}
    config = {
        "global": {"scrape_interval": f"{_SCRAPE_SECONDS}s"},
        "scrape_configs": [{"job_name": "tipstaff", "static_configs": [static]}],
    }
    with running_prometheus(program, folder, config) as address:
        wait_until(lambda: _answers(address), 60)
        yield address


def _answers(address: str) -> bool:
    try:
        return bool(ask_prometheus(address, "query", query="tipstaff_lanes"))
    except OSError:
        return False


def _ask(address: str, panel: Any, start: float) -> dict[str, Any]:
    """A panel's series over the whole time; None where Prometheus has no value."""
    series = []
    for legend, text in panel.queries.items():
        query = text.replace("$__rate_interval", f"{_RATE_SECONDS}s")
        query = query.replace("$job", ".*").replace("$evaluator", ".*")
        times = {"start": start, "end": start + SECONDS, "step": STEP}
        for each in ask_prometheus(address, "query_range", query=query, **times):
            values = {
                round((float(at) - start) / STEP): _rounded(float(value))
                for at, value in each["values"]
            }
            line = [values.get(index) for index in range(SECONDS // STEP + 1)]
            series.append([_legend(legend, each["metric"]), line])
    return {
        "title": panel.title,
        "unit": panel.unit,
        "queries": panel.queries,
        "series": sorted(series) if len(panel.queries) == 1 else series,
    }


def _rounded(value: float) -> float | None:
    """Three digits, enough for a picture; None for what is no number."""
    return float(f"{value:.3g}") if value == value else None


def _legend(text: str, labels: dict[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), text)


def _version() -> str:
    words: Sequence[str] = subprocess.run(
        ["prometheus", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()
    return f"Prometheus {words[words.index('version') + 1].partition('+')[0]}"
