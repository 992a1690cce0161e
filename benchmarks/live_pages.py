"""How fast the Live pages answer over a quarter of traffic, and how fast it is collected.

    python benchmarks/live_pages.py
    python benchmarks/live_pages.py --database postgresql://…

Prints processor time too, which says more than the clock on a machine that others use; of
PostgreSQL it is the desk's alone. The traffic is synthetic: a million answers over 90 days, one in
ten kept, 2,000 of these reviewed.
"""

from __future__ import annotations

import argparse
import gc
import secrets
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from tipstaff_server.traffic.counts import Counts
from tipstaff_server.traffic.policy import SamplingPolicy, band_of
from tipstaff_server.traffic.segments import pack, seal
from tipstaff_trainer.desk.app import build
from tipstaff_trainer.desk.settings import DeskSettings
from tipstaff_trainer.workspace import Workspace
from tipstaff_trainer.workspace.labels.log import NewLabel, record

_DAYS = 90
_EVALUATOR = "support"
_PAGES = (
    *(f"/live/{_EVALUATOR}?span={span}" for span in ("hour", "day", "week", "month", "quarter")),
    f"/live/{_EVALUATOR}?span=quarter&version=2",
    f"/live/{_EVALUATOR}?span=quarter&caller=app-1",
    f"/live/{_EVALUATOR}?span=quarter&attribute=model%3Dmodel-1",
    "/live",
)


def main() -> None:
    """Prints the rows collected a second, and each page's median and p95."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=1_000_000)
    parser.add_argument("--reviewed", type=int, default=2000)
    parser.add_argument("--requests", type=int, default=40, help="of each page")
    parser.add_argument("--database", help="URL of an empty PostgreSQL database")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workspace = Workspace(folder / "workspace", database=args.database)
        started, rows = time.monotonic(), 0
        for number in range(_DAYS):
            _write_day(folder / "kept", number, args.answers // _DAYS)
        written = time.monotonic() - started
        started, processor = time.monotonic(), time.process_time()
        rows = workspace.collect_traffic(folder / "kept").rows.total()
        seconds = time.monotonic() - started
        print(f"{rows:,} rows collected in {seconds:.0f} s: {rows / seconds:,.0f} rows a second")
        processor = time.process_time() - processor
        print(
            f"{1000 * processor / rows:.2f} s of the processor for 1,000 rows, with their counts "
            f"(the segments were written in {written:.0f} s)",
            flush=True,
        )
        _review(workspace, args.reviewed)
        _measure(workspace, args.requests)
        workspace.close()


def _write_day(folder: Path, number: int, count: int) -> None:
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(number)
    policy, counts = SamplingPolicy(0.1, (), b"benchmark"), Counts()
    begin = time.time() - (_DAYS - number) * 86400
    version = 1 if number < _DAYS // 2 else 2
    scores = 1 / (1 + np.exp(-generator.normal(1.5, 2, count)))
    times = np.sort(begin + 86400 * generator.random(count))
    records = list(_records(policy, counts, times.tolist(), scores.tolist(), version))
    identity = f"20260101T000000Z-{secrets.token_hex(6)}-{number + 1:06d}"
    seal(pack([*records, *counts.take()]), folder, identity, folder / "none")


def _records(
    policy: SamplingPolicy, counts: Counts, times: list[float], scores: list[float], version: int
) -> Iterator[dict[str, Any]]:
    for at, score in zip(times, scores, strict=True):
        key = secrets.token_hex(16)
        verdict = "PASS" if score > 0.7 else "REVIEW" if score > 0.3 else "BLOCK"
        caller, band = f"app-{int(at) % 3}", band_of(score)
        cell = counts.cell(at, _EVALUATOR, version, caller, verdict, band, ("UNCERTIFIED",))
        rate, draw = policy.rate(_EVALUATOR, verdict, band_of(score)), policy.draw(key)
        counts.add(cell, 1 - score, 0.004, drawn=draw < rate)
        if draw >= rate:
            continue
        yield {
            "kind": "row",
            **{"row": key, "request": key, "at": at, "pi": rate, "draw": draw},
            **{"policy": policy.version, "evaluator": _EVALUATOR, "version": version},
            **{"caller": cell[3], "verdict": verdict, "band": band_of(score), "minute": cell[0]},
            "input": f"When does order {key[:6]} arrive?",
            "output": f"It arrives in {int(at) % 9} days. " + "We keep you informed by email. " * 8,
            "ground_truth": "Orders take three days within the country. " * 12,
            "attributes": {"model": f"model-{int(at) % 2}"},
            **{"redaction_failed": False, "score": score, "logit": 0.0, "ood": 0.2},
            "reasons": ["UNCERTIFIED"],
            "coverage": {"output": [80, 80, 0, 0, 0.0]},
            **{"engine": "int8/cpu", "cached": False, "seconds": [0.001, 0.0, 0.003, 0.004]},
        }


def _review(workspace: Workspace, count: int) -> None:
    """Labels the first of the drawn rows, as people do."""
    from tipstaff_trainer.workspace.traffic.window import Window

    window = Window.last(_DAYS * 86400, now=time.time())
    workspace.queue_traffic(_EVALUATOR, drawn=count, window=window)
    items = workspace.review_queue(f"traffic of {_EVALUATOR}")
    while items:
        with workspace.stores.database.writing() as session:
            for item, row in items:
                label = NewLabel(float(row.position % 7 > 0), "human", "benchmark", "drawn")
                record(session, item.row_id, item.criterion, label)
                session.merge(item).state = "done"
        items = workspace.review_queue(f"traffic of {_EVALUATOR}")


def _measure(workspace: Workspace, requests: int) -> None:
    browser = TestClient(build(workspace, DeskSettings()), base_url="http://127.0.0.1")
    # As the desk's own process does.
    gc.collect()
    gc.freeze()
    for page in _PAGES:
        browser.get(page)
        seconds, processor = [], []
        for _ in range(requests):
            started, worked = time.perf_counter(), time.process_time()
            answer = browser.get(page)
            seconds.append(time.perf_counter() - started)
            processor.append(time.process_time() - worked)
            assert answer.status_code == 200, answer.text
        middle, work = statistics.median(seconds), statistics.median(processor)
        p95 = statistics.quantiles(seconds, n=20)[-1]
        figures = f"median {1e3 * middle:5.0f} ms, p95 {1e3 * p95:5.0f} ms"
        print(f"{page:60} {figures}, of the processor {1e3 * work:5.0f} ms", flush=True)


if __name__ == "__main__":
    main()
