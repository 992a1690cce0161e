"""Measures quality and time with long ground truths, by the depth of the relevant part.

    python benchmarks/long_inputs.py BUNDLE [--data examples/support/test.jsonl] [--tokens 4000]

BUNDLE is an evaluator of the example data, as `make demo` leaves it. Each row's ground truth is
hidden at several depths of a long text, among sentences of other rows' ground truths that share no
word with it. A running server scores them, one request after the other. `--max-runs` and
`--ground-truth-window` use a copy of BUNDLE with other windows; `--max-runs 0` truncates, as
evaluators without windows do. `--alone` scores the rows as they are, such as WiCE's with whole
pages. `cpu_ms` is the server's processor time per request; other work on the machine changes it
less than the other times. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
from local_server import serving
from tokenizers import Tokenizer

from tipstaff import AsyncClient, Interaction
from tipstaff.types import Score
from tipstaff_server.evaluator.bundle import Bundle, write_manifest
from tipstaff_server.evaluator.marks import STOP_WORDS, words_of
from tipstaff_trainer.data import Row, read_rows
from tipstaff_trainer.evaluation.metrics import classification_metrics

_DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
_TIMEOUT = 60.0


class Archive:
    """Sentences among which a row's own ground truth is hidden."""

    def __init__(self, rows: Sequence[Row], tokenizer: Tokenizer, seed: int) -> None:
        sentences = {
            sentence
            for row in rows
            for sentence in re.split(r"(?<=\.)\s+", row.interaction.ground_truth or "")
        }
        self._words = {sentence: _words(sentence) for sentence in sorted(sentences)}
        self._tokens = {
            sentence: len(tokenizer.encode(sentence, add_special_tokens=False).ids)
            for sentence in self._words
        }
        self._random = random.Random(seed)

    def around(self, row: Row, tokens: int, depths: Sequence[float]) -> list[Interaction]:
        """Returns the row's interaction with its ground truth at each depth of a long text."""
        own = row.interaction.ground_truth or ""
        others = [one for one, words in self._words.items() if not words & _words(own)]
        chosen: list[str] = []
        while sum(self._tokens[one] for one in chosen) < tokens:
            chosen += self._random.sample(others, min(20, len(others)))
        places = [round(depth * len(chosen)) for depth in depths]
        return [
            replace(row.interaction, ground_truth=" ".join([*chosen[:place], own, *chosen[place:]]))
            for place in places
        ]


def _words(text: str) -> set[str]:
    return {word for word, _, _ in words_of(text)} - STOP_WORDS


@contextmanager
def with_windows(bundle: Path, max_runs: int | None, ground_truth: int | None) -> Iterator[Path]:
    """Yields a copy of a bundle with other windows; `max_runs` 0 removes the windows."""
    if max_runs is None and ground_truth is None:
        yield bundle
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(
            bundle, Path(folder) / "bundle", ignore=shutil.ignore_patterns("training")
        )
        manifest = Bundle.open(copy).manifest
        windows = manifest.encoding.windows
        if windows is None:
            raise SystemExit(f"{bundle} has no windows that could be changed")
        options = {"max_runs": max_runs, "ground_truth": ground_truth}
        changes = {name: value for name, value in options.items() if value is not None}
        changed = None if max_runs == 0 else windows.model_copy(update=changes)
        encoding = manifest.encoding.model_copy(update={"windows": changed})
        write_manifest(copy, manifest.model_copy(update={"encoding": encoding}))
        yield copy


def cpu_seconds(process: psutil.Process) -> float:
    """The processor time that a process has used, in seconds."""
    times = process.cpu_times()
    return float(times.user + times.system)


async def score_all(target: str, interactions: Sequence[Interaction]) -> list[Score]:
    """Scores one after the other, so that the times are those of an idle server."""
    async with AsyncClient(target, timeout=_TIMEOUT) as client:
        return [
            await client.score(input=each.input, output=each.output, ground_truth=each.ground_truth)
            for each in interactions
        ]


def summary(
    name: str, labels: Sequence[float], scores: Sequence[Score], cpu: float
) -> dict[str, object]:
    """Prints and returns quality, coverage and times at one depth."""
    values = np.array([score.score for score in scores])
    bad = np.array(labels) < 0.5
    metrics = classification_metrics(labels, values)
    timings = [score.timing for score in scores if score.timing]
    coverage = [score.coverage["ground_truth"] for score in scores]
    record: dict[str, object] = {
        "ground_truth": name,
        "auroc": metrics["roc_auc"],
        "accuracy": metrics["accuracy"],
        "bad_found": float(np.mean(values[bad] < 0.5)),
        "good_kept": float(np.mean(values[~bad] >= 0.5)),
        "tokens": int(np.median([one.total for one in coverage])),
        "scored": float(np.mean([one.scored / one.total for one in coverage])),
        "encode_ms": float(np.median([one.encode for one in timings]) * 1e3),
        "cpu_ms": cpu / len(scores) * 1e3,
        "total_ms": float(np.median([one.total for one in timings]) * 1e3),
        "total_ms_p95": float(np.quantile([one.total for one in timings], 0.95) * 1e3),
    }
    print(
        "  ".join(
            f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}"
            for key, value in record.items()
        ),
        flush=True,
    )
    return record


def main() -> None:
    """Scores the workloads on a server and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, default=Path("examples/support/test.jsonl"))
    parser.add_argument("--tokens", type=int, default=4000, help="of the ground truth")
    parser.add_argument("--max-runs", type=int, help="another cap than the bundle's; 0 truncates")
    parser.add_argument("--ground-truth-window", type=int, help="tokens, other than the bundle's")
    parser.add_argument("--rows", type=int, default=80, help="of the data, drawn by the seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--alone", action="store_true", help="hide no row in a longer text")
    args = parser.parse_args()

    all_rows = read_rows(args.data).rows
    bundle = Bundle.open(args.bundle)
    rows = random.Random(args.seed).sample(all_rows, min(args.rows, len(all_rows)))
    labels = [row.label for row in rows]
    workloads = {"alone": [row.interaction for row in rows]}
    if not args.alone:
        archive = Archive(all_rows, Tokenizer.from_str(bundle.tokenizer_json()), args.seed)
        deep = [archive.around(row, args.tokens, _DEPTHS) for row in rows]
        workloads |= {
            f"at {depth:.0%}": [each[index] for each in deep] for index, depth in enumerate(_DEPTHS)
        }
    records = []
    bundle_to_serve = with_windows(args.bundle, args.max_runs, args.ground_truth_window)
    with bundle_to_serve as served_bundle, serving(served_bundle) as server:
        windows = Bundle.open(served_bundle).manifest.encoding.windows
        process = psutil.Process(server.process.pid)
        for name, interactions in workloads.items():
            before = cpu_seconds(process)
            scores = asyncio.run(score_all(server.target, interactions))
            records.append(summary(name, labels, scores, cpu_seconds(process) - before))
    window_settings = windows.model_dump() if windows else None
    print(json.dumps({"rows": len(rows), "windows": window_settings, "found": records}))


if __name__ == "__main__":
    main()
