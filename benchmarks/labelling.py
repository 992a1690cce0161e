"""Labels many rows with a local judge, to see whether rate and memory stay constant.

    python benchmarks/labelling.py [--rows N] [--concurrency N]

The judge (`tests/judge_server.py`) runs in another process on the same cores and replies at once:
faster than any provider. Memory is the resident set of this process. A second pass over the same
rows finds every reply in the ledger. Processor time per row counts this process only, which tells a
slower job from a busier machine. The last line printed is one JSON object.
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
    """Labels the rows twice and prints rates, processor time and memory."""
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
            answer = f"You have 14 days, case {index}." if index % 2 else f"No, case {index}."
            interaction = Interaction("Can I return the kettle?", answer, f"{_PASSAGE}{index}")
            out.write(json.dumps(row_record(Row(interaction, float("nan"), str(index)))) + "\n")
    process = psutil.Process()
    empty = process.memory_info().rss
    rows = read_rows(file, labelled=False).whole
    loaded = process.memory_info().rss
    settings = JudgeSettings(model="judge", base_url=url, concurrency=args.concurrency)
    samples: list[tuple[float, float, int]] = []

    class Sampler(Reporter):
        def step(self, done: int, total: int, message: str = "") -> None:
            if done % max(1, args.rows // 10) == 0:
                samples.append((time.monotonic(), time.process_time(), process.memory_info().rss))
                print(f"{done} rows, {samples[-1][2] / 2**20:.0f} MB", file=sys.stderr)

    with Ledger(folder / "ledger.sqlite") as ledger:
        started, cpu_started = time.monotonic(), time.process_time()
        criterion = load_criterion("faithfulness")
        result = label_rows(rows, criterion, settings, ledger, reporter=Sampler())
        times = [started, *(mark for mark, _, _ in samples)]
        cpu_times = [cpu_started, *(mark for _, mark, _ in samples)]
        unlabelled = sum(judged.label is None for judged in result.rows)
        peak = max(memory for _, _, memory in samples)
        second_pass = time.monotonic()
        label_rows(rows, criterion, settings, ledger)
        second_pass = time.monotonic() - second_pass
    tenth = args.rows / 10
    return {
        "rows": args.rows,
        "unlabelled": unlabelled,
        "rows_a_second": round(args.rows / (times[-1] - started)),
        "first_tenth": round(tenth / (times[1] - times[0])),
        "last_tenth": round(tenth / (times[-1] - times[-2])),
        "processor_ms_a_row_first_tenth": round(1000 * (cpu_times[1] - cpu_times[0]) / tenth, 2),
        "processor_ms_a_row_last_tenth": round(1000 * (cpu_times[-1] - cpu_times[-2]) / tenth, 2),
        "again_rows_a_second": round(args.rows / second_pass),
        "mb_without_rows": round(empty / 2**20),
        "mb_with_rows": round(loaded / 2**20),
        "mb_after_first_tenth": round(samples[0][2] / 2**20),
        "mb_at_end": round(samples[-1][2] / 2**20),
        "mb_peak": round(peak / 2**20),
        "ledger_mb": round((folder / "ledger.sqlite").stat().st_size / 2**20),
    }


if __name__ == "__main__":
    main()
