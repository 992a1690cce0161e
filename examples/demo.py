"""Trains on the example data, publishes the evaluator, serves it and scores with it.

`make demo` runs it; every step is a command that you can run yourself.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tipstaff import Client

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "examples" / "support"
NAME = "support-faithfulness"
SHOWN = 6
TIPSTAFF = (sys.executable, "-m", "tipstaff")


def main() -> None:
    """Runs the steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="replaced on each run")
    parser.add_argument("train_options", nargs="*", help="passed on to `tipstaff train`")
    args = parser.parse_args()
    bundle, repository = args.out / "bundle", args.out / "repository"
    own_names = {"bundle", "repository", "server.log", "metrics.txt"}
    if args.out.exists() and (foreign := {path.name for path in args.out.iterdir()} - own_names):
        sys.exit(f"{args.out} has {min(foreign)}, which no demo wrote: choose another --out")
    for name in ("bundle", "repository"):
        shutil.rmtree(args.out / name, ignore_errors=True)

    step(1, "Train an evaluator on the example data, and measure it on rows it never saw")
    tipstaff(
        "train", DATA / "train.jsonl", "--test-file", DATA / "test.jsonl",
        "--name", NAME, "--out", bundle,
        "--criterion", "The answer is true to the ground truth and answers the question.",
        *args.train_options,
    )  # fmt: skip
    step(2, "Publish it, and promote it to serve")
    tipstaff("publish", bundle, repository, "--promote")
    step(3, "Serve it")
    with server(repository, args.out / "server.log") as (address, metrics_url):
        step(4, "Score interactions over gRPC, as an application would")
        score_some(address)
        metrics = args.out / "metrics.txt"
        save_metrics(metrics_url, metrics)
        step(5, "Stop the server")
    print(f"""
Results:
  the bundle      {bundle}   (read {bundle / "card.md"})
  the repository  {repository}
  server log      {args.out / "server.log"}
  metrics         {metrics}   (as scraped from {metrics_url})

Next, with your own data (CSV, JSON lines or Parquet; input, output, ground_truth, label):
  tipstaff train rows.csv --name my-evaluator --out my-bundle --test-size 0.2
  tipstaff serve my-bundle
  tipstaff score --target localhost:50051 --input … --output … --ground-truth …
The commands are in {Path(sys.executable).parent}; README.md has more.""")


def step(number: int, title: str) -> None:
    """Prints the title of a step."""
    print(f"\n[{number}/5] {title}", flush=True)


def tipstaff(*arguments: str | Path) -> None:
    """Runs a Tipstaff command, and prints it as a user would type it."""
    words = [str(argument) for argument in arguments]
    print("$ tipstaff", shlex.join(words), flush=True)
    process = subprocess.run([*TIPSTAFF, *words], cwd=Path.cwd())
    if process.returncode:
        sys.exit(process.returncode)


@contextmanager
def server(repository: Path, log: Path) -> Iterator[tuple[str, str]]:
    """Runs a server on free ports; yields its gRPC address and the URL of its metrics."""
    words = [
        "serve", "--repository", str(repository),
        "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
    ]  # fmt: skip
    print("$ tipstaff", shlex.join(words), flush=True)
    with log.open("w") as out:
        process = subprocess.Popen([*TIPSTAFF, *words], stderr=out, stdout=out)
    try:
        address = wait_for(log, r"gRPC on (\S+)", process)
        metrics = wait_for(log, r"metrics on (\S+)", process)
        wait_for(log, r"(ready) after", process)
        print("  " + log.read_text().strip().replace("\n", "\n  "))
        yield address, metrics
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=60)
    print(f"  stopped, exit code {code}")
    if code:
        sys.exit(f"the server failed while stopping:\n{log.read_text()}")


def wait_for(log: Path, pattern: str, process: subprocess.Popen[bytes], seconds: float = 60) -> str:
    """Waits for a line in the server's log; returns the pattern's group."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if match := re.search(pattern, log.read_text()):
            return match.group(1)
        if process.poll() is not None:
            break
        time.sleep(0.05)
    sys.exit(f"the server did not start:\n{log.read_text()}")


def score_some(address: str) -> None:
    """Scores some good and bad rows of the test file, and prints each with its verdict."""
    rows = [json.loads(line) for line in (DATA / "test.jsonl").read_text().splitlines()]
    good = [row for row in rows if row["label"] >= 0.5]
    bad = [row for row in rows if row["label"] < 0.5]
    half = SHOWN // 2
    stride = len(good) // half
    with Client(address, evaluator=NAME, timeout=1.0) as client:
        for pair in zip(good[::stride][:half], bad[::stride][:half], strict=True):
            for row in pair:
                score = client.score(
                    input=row["input"], output=row["output"], ground_truth=row["ground_truth"]
                )
                print(f"""
  question      {row["input"]}
  ground truth  {row["ground_truth"]}
  answer        {row["output"]}
  label         {"good" if row["label"] >= 0.5 else "bad"}
  evaluator     {score.verdict}, score {score.score:.2f}""")


def save_metrics(url: str, file: Path) -> None:
    """Saves the metrics as Prometheus would scrape them."""
    from urllib.request import urlopen

    with urlopen(url, timeout=5) as response:
        file.write_bytes(response.read())


if __name__ == "__main__":
    main()
