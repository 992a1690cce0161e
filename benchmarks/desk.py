"""Measures how fast the desk's pages answer with many rows in a data set.

    python benchmarks/desk.py [--rows 100000] [--requests 20] [--database URL]

Creates a workspace with a labelled data set, starts `tipstaff desk` on it, and requests one page
after the other, as one person would. Prints one JSON object per page, with milliseconds from
request to last byte, and a summary at the end. `--database postgresql://…` stores the rows there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

from tipstaff_trainer.workspace import Workspace

_WORDS = "the parcel comes on monday tuesday in three days with a red blue green kettle".split()
_LIMIT_MS = 300


def main() -> int:
    """Fills a workspace, measures its pages and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--database")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = _fill(folder, args.rows, args.database)
        with _desk(folder / "workspace", args.database) as url:
            slowest = _measure(url, args.rows, args.requests)
    print(
        json.dumps(
            {
                "rows": args.rows,
                "slowest_p95_ms": round(slowest, 1),
                "limit_ms": _LIMIT_MS,
                "upload_seconds": round(seconds, 1),
            }
        )
    )
    return 0 if slowest < _LIMIT_MS else 1


def _fill(folder: Path, count: int, database: str | None) -> float:
    """Creates a half-labelled data set and a review queue; returns the upload's seconds."""
    generator = random.Random(0)

    def text(length: int) -> str:
        return " ".join(generator.choices(_WORDS, k=length))

    file = folder / "rows.jsonl"
    with file.open("w") as lines:
        for number in range(count):
            row = {"id": number, "input": text(12), "output": text(40), "ground_truth": text(80)}
            row["input"] += f" unique{number}"
            if number % 2:
                row |= {"label": generator.random(), "label_source": "judge"}
            lines.write(json.dumps(row) + "\n")
    workspace = Workspace(folder / "workspace", database=database)
    started = time.perf_counter()
    dataset = workspace.upload_dataset(file, name=f"many {time.time():.0f}")
    seconds = time.perf_counter() - started
    workspace.review_queue(dataset, {"ranked": 1000, "random": 1000})
    workspace.close()
    return seconds


@contextmanager
def _desk(folder: Path, database: str | None) -> Iterator[str]:
    command = [sys.executable, "-m", "tipstaff", "desk", str(folder), "--port", "0"]
    if database:
        command += ["--database", database]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ})
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if match := re.search(r"desk +(http://\S+?)/", line):
                yield match[1]
                break
    finally:
        process.terminate()
        process.wait()


def _measure(url: str, rows: int, requests: int) -> float:
    """Requests every page; returns the slowest 95th percentile, in milliseconds."""
    with httpx.Client(base_url=url, follow_redirects=True, timeout=60) as browser:
        page = browser.get("/datasets")
        dataset = max(map(int, re.findall(r'href="/datasets/(\d+)\?', page.text)))
        review = browser.get(f"/review/{dataset}").text
        browser.post("/name", data={**_hidden(review), "name": "Ann"})
        slowest = 0.0
        here = f"/datasets/{dataset}"
        for name, path in {
            "data sets": "/datasets",
            "first rows": here,
            "rows in the middle": f"{here}?after={rows // 2}",
            "last rows": f"{here}?before={rows}",
            "unlabelled rows in the middle": f"{here}?only=unlabelled&after={rows // 2}",
            "judge's rows in the middle": f"{here}?only=judge&after={rows // 2}",
            "disputed rows (there are none)": f"{here}?only=disputed",
            "test rows (there are none)": f"{here}?only=test",
            "rows with a word that all have": f"{here}?words=kettle",
            "rows with a word that one has": f"{here}?words=unique{rows // 2}",
            "rows with words that none has": f"{here}?words=kettle+nothing",
            "data sets, searched": "/datasets?words=many",
            "ask a judge": f"{here}/label",
            "criterion with preview": f"/criteria/faithfulness?dataset={dataset}&row={rows // 2}",
            "reviews": "/review",
            "review": f"/review/{dataset}",
            "evaluators": "/evaluators",
            "playground": "/playground",
            "jobs": "/jobs",
        }.items():
            slowest = max(slowest, _report(name, lambda path=path: browser.get(path), requests))

        def label() -> httpx.Response:
            form = _hidden(browser.get(f"/review/{dataset}").text)
            return browser.post(f"/review/{dataset}", data={**form, "action": "good"})

        def choose() -> httpx.Response:
            form = _hidden(browser.get(here).text)
            return browser.post(f"{here}/queue", data={**form, "ranked": "40", "random": "10"})

        # A button's work, not a page: people expect to wait, and the limit doesn't apply.
        _report("choose 50 rows for review", choose, min(requests, 5))
        return max(slowest, _report("show, label and show the next", label, requests))


def _report(name: str, ask: Callable[[], httpx.Response], requests: int) -> float:
    milliseconds = []
    for _ in range(requests + 1):
        started = time.perf_counter()
        answer = ask()
        milliseconds.append((time.perf_counter() - started) * 1000)
        assert answer.status_code == 200, (name, answer.status_code)
    # The first request compiles the page's template.
    median, p95 = np.percentile(milliseconds[1:], [50, 95])
    print(json.dumps({"page": name, "median_ms": round(median, 1), "p95_ms": round(p95, 1)}))
    return float(p95)


def _hidden(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))


if __name__ == "__main__":
    sys.exit(main())
