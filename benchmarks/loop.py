"""What correcting a judge is worth: 200 rows by the review queue, 200 at random, none.

    python benchmarks/loop.py EVOUNA [--arms none random queue] [--seeds 0 1 2]

EVOUNA is a folder with the Natural Questions part of EVOUNA (Wang et al. 2023), as `quality.py`
takes it. On 4,000 rows of its training file a simulated judge passes 60 % of the bad rows whose
answer has at least 20 words, and flips 3 % of all others. The queue sees its labels beside scores
out of fold of evaluators trained on those very labels. The rows chosen get people's labels, as a
reviewer would give them; every arm trains on all 4,000 with the default settings and is measured by
AUROC against people's labels on the test file. Arm `all` has every row corrected: the most there is
to win.

Each training is kept in --cache by a hash of all that it depends on, so arms and seeds can be run
one at a time and are put together by the last command. Prints a JSON object for each arm and seed,
and one for the whole.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from experiments import Experiment, run

from tipstaff.types import Field
from tipstaff_trainer.data import Row, read_rows, without_groups_of
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.judge.review_queue import review_queue

_LONG = 20
_PASSED_WHEN_LONG = 0.6
_FLIPPED = 0.03
_ARMS = ("none", "random", "queue", "all")


def main() -> None:
    """Trains what isn't kept yet, and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("build/quality"))
    parser.add_argument("--arms", nargs="+", choices=_ARMS, default=["none", "random", "queue"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--corrected", type=int, default=200)
    parser.add_argument("--random-share", type=float, default=0.2, help="of the queue")
    parser.add_argument("--folds", type=int, default=2, help="for scores out of fold")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    args = parser.parse_args()
    train = read_rows(args.data_dir / "train.jsonl", label_source="human")
    test = read_rows(args.data_dir / "test.jsonl", label_source="human")
    pool = without_groups_of(train.rows, test.rows)
    areas: dict[str, list[float]] = defaultdict(list)
    for seed in args.seeds:
        given = dict(text.split("=", 1) for text in args.set)
        settings = TrainSettings.model_validate(given | {"seed": seed})
        people = draw(pool, args.rows, seed)
        judged = simulated_judge(people, seed)
        for arm in args.arms:
            rows = judged
            chosen: Sequence[int] = ()
            if arm == "queue":
                scores = out_of_fold(judged, train.columns, settings, args.folds, args.cache)
                chosen = queued(judged, scores, args.corrected, args.random_share, seed)
            elif arm == "random":
                chosen = random.Random(seed).sample(range(len(judged)), args.corrected)
            elif arm == "all":
                chosen = range(len(judged))
            rows = corrected(judged, people, chosen)
            result = run(Experiment(rows, test.rows, train.columns, settings), args.cache)
            area = float(result.metrics["roc_auc"] or 0)
            areas[arm].append(area)
            print(
                json.dumps(
                    {
                        "arm": arm,
                        "seed": seed,
                        "auroc": round(area, 4),
                        "errors_before": count_errors(judged, people),
                        "errors_found": sum(judged[i].good != people[i].good for i in chosen),
                        "errors_left": count_errors(rows, people),
                    }
                ),
                flush=True,
            )
    print(json.dumps(dict(_summary(areas))))


def draw(pool: Sequence[Row], count: int, seed: int) -> list[Row]:
    """About so many rows: whole groups, so that answers to one question stay together."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in pool:
        groups[row.group].append(row)
    names = random.Random(seed).sample(sorted(groups), len(groups))
    rows: list[Row] = []
    for name in names:
        if len(rows) >= count:
            break
        rows += groups[name]
    return rows[:count]


def simulated_judge(people: Sequence[Row], seed: int) -> list[Row]:
    """A judge that lets long answers talk it round, and slips now and then."""
    generator = random.Random(seed)
    judged = []
    for row in people:
        long = len((row.interaction.output or "").split()) >= _LONG
        chance = generator.random()
        if not row.good and long:
            says = chance < _PASSED_WHEN_LONG
        else:
            says = row.good != (chance < _FLIPPED)
        judged.append(replace(row, label=float(says), label_source="judge", selection="unknown"))
    return judged


def out_of_fold(
    rows: Sequence[Row],
    fields: Sequence[Field],
    settings: TrainSettings,
    folds: int,
    cache: Path,
) -> list[float]:
    """What evaluators say of rows that they weren't trained on; folds keep groups whole."""
    groups = sorted({row.group for row in rows})
    random.Random(settings.seed).shuffle(groups)
    fold_of = {group: index % folds for index, group in enumerate(groups)}
    scores = np.zeros(len(rows))
    for fold in range(folds):
        held = [index for index, row in enumerate(rows) if fold_of[row.group] == fold]
        rest = [row for row in rows if fold_of[row.group] != fold]
        experiment = Experiment(rest, [rows[index] for index in held], fields, settings)
        scores[held] = run(experiment, cache).scores
    return scores.tolist()


def queued(
    rows: Sequence[Row], scores: Sequence[float], count: int, random_share: float, seed: int
) -> list[int]:
    """The queue's rows, by their index."""
    index_of = {row.id: index for index, row in enumerate(rows)}
    queue = review_queue(rows, count=count, random_share=random_share, scores=scores, seed=seed)
    return [index_of[each.row.id] for each in queue]


def corrected(judged: Sequence[Row], people: Sequence[Row], chosen: Sequence[int]) -> list[Row]:
    """The judge's rows, those chosen with the label that a person gives."""
    rows = list(judged)
    for index in chosen:
        rows[index] = replace(people[index], label_source="human", selection="unknown")
    return rows


def count_errors(rows: Sequence[Row], people: Sequence[Row]) -> int:
    """Rows whose label takes another side than a person's."""
    return sum(row.good != person.good for row, person in zip(rows, people, strict=True))


def _summary(areas: dict[str, list[float]]) -> Iterator[tuple[str, object]]:
    for arm, found in areas.items():
        yield arm, {"mean": round(float(np.mean(found)), 4), "seeds": len(found)}
    for arm in set(areas) - {"none"}:
        if len(areas[arm]) == len(areas["none"]):
            gains = np.subtract(areas[arm], areas["none"])
            yield f"{arm} over none", [round(float(gain), 4) for gain in gains]
    if len(areas["queue"]) == len(areas["random"]):
        gains = np.subtract(areas["queue"], areas["random"])
        yield "queue over random", [round(float(gain), 4) for gain in gains]


if __name__ == "__main__":
    main()
