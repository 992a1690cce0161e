"""Labels many rows with a local judge, to see whether rate and memory stay the same.

    python benchmarks/labelling.py [--rows N] [--concurrency N]

The judge (`tests/judge_server.py`) is a process of its own on the same cores and replies at once;
no provider is as fast. Memory is the resident set of this process. A second pass over the same rows
finds every reply in the ledger. Processor time a row is this process's own: it tells a slower job
from a busier machine. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tipstaff import Interaction
from tipstaff_trainer.data import Row, read_rows
from tipstaff_trainer.judge.criteria import load_criterion
from tipstaff_trainer.judge.labelling import label_rows
from tipstaff_trainer.judge.ledger import Ledger
from tipstaff_trainer.judge.records import row_record
from tipstaff_trainer.judge.settings import JudgeSettings
from tipstaff_trainer.progress import Reporter

_SERVER = Path(__file__).parent.parent / "tests" / "judge_server.py"
_PASSAGE = "The kettle may be returned within 14 days of delivery if it was not used. " * 8


def main() -> None:
    """Labels twice and prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--concurrency", type=int, default=32)
    args = parser.parse_args()
    command = [sys.executable, str(_SERVER), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = server.stdout.readline().split()[-1]
    try:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(_measure(Path(folder), url, args)))
    finally:
        server.terminate()
        server.wait()


def _measure(folder: Path, url: str, args: argparse.Namespace) -> dict[str, object]:
    file = folder / "rows.jsonl"
    with file.open("w") as out:
        for index in range(args.rows):
            said = f"You have 14 days, case {index}." if index % 2 else f"No, case {index}."
            interaction = Interaction("Can I return the kettle?", said, f"{_PASSAGE}{index}")
            out.write(json.dumps(row_record(Row(interaction, float("nan"), str(index)))) + "\n")
    process = psutil.Process()
    empty = process.memory_info().rss
    rows = read_rows(file, labelled=False).whole
    loaded = process.memory_info().rss
    settings = JudgeSettings(model="judge", base_url=url, concurrency=args.concurrency)
    marks: list[tuple[float, float, int]] = []

    class Marks(Reporter):
        def step(self, done: int, total: int, message: str = "") -> None:
            if done % max(1, args.rows // 10) == 0:
                marks.append((time.monotonic(), time.process_time(), process.memory_info().rss))
                print(f"{done} rows, {marks[-1][2] / 2**20:.0f} MB", file=sys.stderr)

    with Ledger(folder / "ledger.sqlite") as ledger:
        started, worked = time.monotonic(), time.process_time()
        criterion = load_criterion("faithfulness")
        done = label_rows(rows, criterion, settings, ledger, reporter=Marks())
        times = [started, *(mark for mark, _, _ in marks)]
        works = [worked, *(mark for _, mark, _ in marks)]
        unlabelled = sum(judged.label is None for judged in done.rows)
        peak = max(memory for _, _, memory in marks)
        again = time.monotonic()
        label_rows(rows, criterion, settings, ledger)
        again = time.monotonic() - again
    tenth = args.rows / 10
    return {
        "rows": args.rows,
        "unlabelled": unlabelled,
        "rows_a_second": round(args.rows / (times[-1] - started)),
        "first_tenth": round(tenth / (times[1] - times[0])),
        "last_tenth": round(tenth / (times[-1] - times[-2])),
        "processor_ms_a_row_first_tenth": round(1000 * (works[1] - works[0]) / tenth, 2),
        "processor_ms_a_row_last_tenth": round(1000 * (works[-1] - works[-2]) / tenth, 2),
        "again_rows_a_second": round(args.rows / again),
        "mb_without_rows": round(empty / 2**20),
        "mb_with_rows": round(loaded / 2**20),
        "mb_after_first_tenth": round(marks[0][2] / 2**20),
        "mb_at_end": round(marks[-1][2] / 2**20),
        "mb_peak": round(peak / 2**20),
        "ledger_mb": round((folder / "ledger.sqlite").stat().st_size / 2**20),
    }


if __name__ == "__main__":
    main()
