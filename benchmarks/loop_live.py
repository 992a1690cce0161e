"""The loop over live traffic: serve, review 100 rows, train the next version, three times.

    python benchmarks/loop_live.py EVOUNA [--seeds 0 1 2 3 4] [--arms triage random] [--out FILE]

EVOUNA is a folder with the Natural Questions part of EVOUNA (Wang et al. 2023), as `quality.py`
takes it. Real processes: a server that keeps traffic, a collector, jobs that train.

A judge that says good where a reference occurs in the output, with a tenth of its verdicts flipped,
labels 1,000 rows of the training file; an evaluator learns them and serves. Then, for each version,
a part of the file's other questions is scored, and people's labels, those of the file, answer 100
rows of the queue: half of them drawn, the others in REVIEW, blocked, or passed with a low score.
The arm `random` reviews 100 drawn rows instead. Every version is measured on the test file, which
no training sees.

Prints a line of JSON for each version: AUROC, false passes and the share in REVIEW on the test
rows, the estimate of the rate of bad answers and the true one. Then, by version, the mean gain over
the first and the paired difference of the arms with its interval. `--resample` adds the share of
400 resamplings of the reviews, models fixed, whose interval holds the true rate.

An arm of a seed takes ten minutes to half an hour. With `--out` those that the file has already are
not run again: interrupt it, and give the same command to go on.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from local_server import serving
from scipy import stats
from sklearn.metrics import roc_auc_score

from tipstaff import Client
from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.data import Row, read_rows
from tipstaff_trainer.evaluation.predict import predict_all
from tipstaff_trainer.monitoring.estimates import Totals, estimate_rate
from tipstaff_trainer.monitoring.reviews import KeptRow, drawn_reviews
from tipstaff_trainer.workspace import Workspace
from tipstaff_trainer.workspace.db.models import TrafficRow
from tipstaff_trainer.workspace.traffic.window import Window

_NAME = "live"
_FLIPPED = 0.1
_RATE = 0.5
_RESAMPLINGS = 400


def main() -> None:
    """Runs the arms and seeds, and prints what they come to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--arms", nargs="+", default=["triage", "random"])
    parser.add_argument("--rows", type=int, default=1000, help="rows that the judge labels")
    parser.add_argument("--traffic", type=int, default=2000, help="rows scored by each version")
    parser.add_argument("--reviewed", type=int, default=100, help="rows reviewed for each version")
    parser.add_argument("--versions", type=int, default=3)
    parser.add_argument("--base", default="all-MiniLM-L6-v2")
    parser.add_argument("--epochs", type=float, help="default: that of the training")
    parser.add_argument("--resample", action="store_true")
    parser.add_argument("--out", type=Path, help="file to add the lines to, and to go on from")
    args = parser.parse_args()
    people = read_rows(args.data_dir / "train.jsonl", label_source="human").rows
    test = read_rows(args.data_dir / "test.jsonl", label_source="human").rows
    lines: list[dict[str, Any]] = []
    for seed in args.seeds:
        for arm in args.arms:
            known = _known(args, arm, seed)
            lines += known or _run(args, people, test, arm, seed)
    for line in _summary(lines):
        print(json.dumps(line))


def _known(args: argparse.Namespace, arm: str, seed: int) -> list[dict[str, Any]]:
    """The lines of an earlier run of an arm and seed; empty unless it came to its end."""
    if args.out is None or not args.out.exists():
        return []
    steps: dict[int, dict[str, Any]] = {}
    for line in map(json.loads, args.out.read_text(encoding="utf-8").splitlines()):
        if (line["arm"], line["seed"]) == (arm, seed):
            steps[line["step"]] = line
    return list(steps.values()) if len(steps) == args.versions + 1 else []


def _run(
    args: argparse.Namespace, people: Sequence[Row], test: Sequence[Row], arm: str, seed: int
) -> list[dict[str, Any]]:
    shuffled = _by_group(people, seed)
    judged = [_judge(row, random.Random(f"{seed} {row.id}")) for row in shuffled[: args.rows]]
    pool = shuffled[args.rows :]
    truth = {row.id: row for row in pool}
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder / "judged.jsonl", judged)
        workspace = Workspace(folder / "workspace")
        dataset = workspace.upload_dataset(folder / "judged.jsonl", label_source="judge")
        settings: dict[str, Any] = {"base": args.base, "seed": seed}
        if args.epochs:
            settings["epochs"] = args.epochs
        job = workspace.fine_tune_model(
            dataset, model_name=_NAME, wait_for_completion=True, **settings
        )
        for step in range(args.versions + 1):
            version = job.result["version"]
            line = _measure(workspace, version, test) | {"arm": arm, "seed": seed, "step": step}
            if step < args.versions:
                workspace.promote(_NAME, version, force=True)
                rows = pool[step * args.traffic : (step + 1) * args.traffic]
                line |= _traffic(args, workspace, folder / str(step), rows, truth, arm)
                job = workspace.fine_tune_model(
                    dataset,
                    model_name=_NAME,
                    traffic=_NAME,
                    wait_for_completion=True,
                    **settings,
                )
            if args.resample and step < args.versions:
                line |= _resample(workspace, version, rows, args.reviewed, seed)
            print(json.dumps(line), flush=True)
            if args.out:
                with args.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
            lines.append(line)
        workspace.close()
    return lines


def _by_group(rows: Sequence[Row], seed: int) -> list[Row]:
    groups = sorted({row.group for row in rows})
    order = random.Random(seed).sample(groups, len(groups))
    place = {group: index for index, group in enumerate(order)}
    return sorted(rows, key=lambda row: (place[row.group], row.id))


def _write(file: Path, rows: Sequence[Row]) -> None:
    lines = [
        {
            "id": row.id,
            "group": row.group,
            "input": row.interaction.input,
            "output": row.interaction.output,
            "ground_truth": row.interaction.ground_truth,
            "label": row.label,
        }
        for row in rows
    ]
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")


def _judge(row: Row, generator: random.Random) -> Row:
    """The row with the judge's label."""
    output = (row.interaction.output or "").casefold()
    references = (row.interaction.ground_truth or "").casefold().split("/")
    good = any(each.strip() and each.strip() in output for each in references)
    flipped = generator.random() < _FLIPPED
    return replace(row, label=float(good != flipped), label_source="judge")


def _traffic(
    args: argparse.Namespace,
    workspace: Workspace,
    folder: Path,
    rows: Sequence[Row],
    truth: Mapping[str, Row],
    arm: str,
) -> dict[str, Any]:
    """Serves rows, collects what was kept, and answers the queue with people's labels."""
    flags = ("--repository", workspace.repository, "--traffic", folder, "--traffic-rate", _RATE)
    with serving(None, *flags) as server, Client(server.target, timeout=30) as client:
        for row in rows:
            texts = row.interaction
            client.score(
                input=texts.input,
                output=texts.output,
                ground_truth=texts.ground_truth,
                request_id=row.id,
            )
    workspace.collect_traffic(folder)
    half = args.reviewed // 2
    counts = {"drawn": args.reviewed}
    if arm == "triage":
        counts = {"drawn": half, "flagged": half - half // 2, "passed": half // 2}
    queued = workspace.queue_traffic(_NAME, **counts)
    labels = workspace.label_set(f"traffic of {_NAME}")
    reviews = workspace.stores.reviews
    while item := reviews.claim(labels, "people"):
        query = TrafficRow.row_id == item.row_id
        with workspace.stores.database.reading() as session:
            request = session.query(TrafficRow.request_id).where(query).scalar()
        reviews.submit(item.id, truth[request].label, who="people", based_on_label_id=0)
    version = workspace.stores.evaluators.find(_NAME)
    now = time.time()
    live = workspace.live(_NAME, Window.last(86400, now=now, version=version))
    return {
        "queued": queued,
        "answers": live.n,
        "estimate": [live.rates.bad.low, live.rates.bad.value, live.rates.bad.high],
        "true_bad": float(np.mean([not row.good for row in rows])),
    }


def _measure(workspace: Workspace, version: int, test: Sequence[Row]) -> dict[str, Any]:
    """A version on the test rows, through the server's code."""
    evaluator = Evaluator.load(workspace.stores.evaluators.path(_NAME, version))
    predictions = predict_all(evaluator, [row.interaction for row in test])
    good = np.array([row.good for row in test])
    verdicts = np.array([each.verdict.value for each in predictions])
    return {
        "version": version,
        "auroc": float(roc_auc_score(good, [each.score for each in predictions])),
        "false_pass": float((verdicts[~good] == "PASS").mean()),
        "review": float((verdicts == "REVIEW").mean()),
    }


def _resample(
    workspace: Workspace, version: int, rows: Sequence[Row], reviewed: int, seed: int
) -> dict[str, Any]:
    """How often the interval holds the true rate, over draws of the same traffic."""
    evaluator = Evaluator.load(workspace.stores.evaluators.path(_NAME, version))
    expected = 1 - np.array(
        [each.score for each in predict_all(evaluator, [row.interaction for row in rows])]
    )
    bad = 1 - np.array([row.label for row in rows])
    totals, generator = Totals(len(rows), float(expected.sum())), np.random.default_rng(seed)
    held, widths = 0, []
    for _ in range(_RESAMPLINGS):
        draws = generator.random(len(rows))
        kept = np.flatnonzero(draws < _RATE)
        order = kept[np.argsort(draws[kept])][: reviewed + 1]
        sample = drawn_reviews(
            [
                KeptRow(
                    period=0,
                    probability=_RATE,
                    rank=float(draws[index] / _RATE),
                    bad=float(bad[index]) if place < reviewed else None,
                    expected=float(expected[index]),
                    verdict="",
                    waiting=place == reviewed,
                )
                for place, index in enumerate(order)
            ]
        )
        estimate = estimate_rate(totals, sample.drawn)
        if estimate.value is None or estimate.low is None or estimate.high is None:
            continue
        held += estimate.low <= bad.mean() <= estimate.high
        widths.append(estimate.high - estimate.low)
    return {
        "held": held / max(1, len(widths)),
        "width": float(np.median(widths)) if widths else None,
        "withheld": _RESAMPLINGS - len(widths),
    }


def _summary(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """By arm and step the mean AUROC and its gain; and the paired difference of the arms."""
    by_key = {(each["arm"], each["seed"], each["step"]): each["auroc"] for each in lines}
    arms = sorted({arm for arm, _, _ in by_key})
    seeds = sorted({seed for _, seed, _ in by_key})
    steps = sorted({step for _, _, step in by_key})
    summary: list[dict[str, Any]] = []
    for arm in arms:
        means = [float(np.mean([by_key[arm, seed, step] for seed in seeds])) for step in steps]
        summary.append({"arm": arm, "auroc": means, "gain": means[-1] - means[0]})
    if {"triage", "random"} <= set(arms) and len(seeds) > 1:
        last = steps[-1]
        differences = np.array(
            [by_key["triage", seed, last] - by_key["random", seed, last] for seed in seeds]
        )
        half = stats.t.ppf(0.975, len(seeds) - 1) * differences.std(ddof=1) / len(seeds) ** 0.5
        mean = float(differences.mean())
        summary.append({"triage - random": mean, "low": mean - half, "high": mean + half})
    return summary


if __name__ == "__main__":
    main()
