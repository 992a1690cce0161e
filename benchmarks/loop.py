"""Measures how much correcting a judge's labels improves the evaluator, for several choices.

    python benchmarks/loop.py EVOUNA [--arms none,random,queue,relabel,all] [--seeds 0 1 2] [--plan]

EVOUNA is a folder with the Natural Questions part of EVOUNA (Wang et al. 2023), as `quality.py`
takes it. On 4,000 rows of its training file a simulated judge passes 60 % of the bad rows whose
answer has at least 20 words, and flips 3 % of all others. Each arm corrects some rows: they get
people's labels, as from a reviewer. Every arm trains on all 4,000 rows with the default settings;
the measure is AUROC against people's labels on the test file.

    none     the judge's labels as they are
    random   200 random rows corrected
    queue    200 rows of the review queue corrected, a fifth of them random; the queue sees the
             judge's labels and out-of-fold scores of evaluators trained on these labels
    relabel  as random, and `tipstaff relabel` uses these 200 to replace the judge's other labels
    all      every row corrected: the upper limit

Each training is cached in --cache under a hash of all its inputs, so the same command resumes where
it was stopped, and arms and seeds can be run one at a time. A training of 4,000 rows takes about 9
minutes on two cores; `queue` needs two more of 2,000 rows. --plan trains nothing, lists what is not
cached, and estimates its time from the cached trainings. Prints a table row per arm, then one JSON
object.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from experiments import Experiment, is_cached, run, seconds_a_row

from tipstaff.types import Field
from tipstaff_trainer.data import Row, fingerprint, read_rows, without_groups_of
from tipstaff_trainer.data.rows import text_hash
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.encoders.base import find_base
from tipstaff_trainer.label_quality.label_errors import OtherRows
from tipstaff_trainer.label_quality.relabelling import relabel_by_other_rows
from tipstaff_trainer.label_quality.review_queue import rank_for_review

_LONG = 20
_PASSED_WHEN_LONG = 0.6
_FLIPPED = 0.03
_ARMS = ("none", "random", "queue", "relabel", "all")
# Seconds per row and epoch on two busy cores: `quality.py test` took 43 and 46 ms.
_SECONDS_A_ROW = 0.045


@dataclass(frozen=True)
class World:
    """Rows and settings that the arms of one seed share.

    Attributes:
        people: The rows with people's labels.
        judged: The same rows with the judge's labels.
        test: Rows to measure on.
        fields: What the evaluator reads.
        settings: How every arm trains.
        cache: Where trainings are cached.
        corrected: How many rows people correct.
        random_share: The share of the queue that is random.
        folds: The number of folds for out-of-fold scores.
    """

    people: Sequence[Row]
    judged: Sequence[Row]
    test: Sequence[Row]
    fields: Sequence[Field]
    settings: TrainSettings
    cache: Path
    corrected: int
    random_share: float
    folds: int

    @property
    def seed(self) -> int:
        """The seed of the draw, the judge, the arm and the training."""
        return self.settings.seed

    @cached_property
    def others(self) -> OtherRows:
        """Predicts each row from the other rows; reading the texts takes minutes."""
        return OtherRows(self.judged, find_base(self.settings.base), seed=self.seed)

    @property
    def others_files(self) -> str:
        """The prefix of the files that cache the other rows' predictions."""
        return f"others-{text_hash([self.settings.base, fingerprint(self.judged)])}-{self.seed}"

    def others_cached(self) -> bool:
        """Whether both of the predictions that `relabel` needs are cached."""
        return len(list(self.cache.glob(f"{self.others_files}-*.npy"))) > 1

    def others_predict(self, labels: Sequence[float]) -> list[float]:
        """Predicts each row from the other rows, which have these labels."""
        file = self.cache / f"{self.others_files}-{text_hash([repr(labels)])}.npy"
        if not file.exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            np.save(file, self.others.probabilities(labels))
        probabilities: list[float] = np.load(file).tolist()
        return probabilities


def main() -> None:
    """Trains what isn't cached yet, and prints all results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("build/quality"))
    parser.add_argument("--arms", type=_arms, default=["none", "random", "queue"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--corrected", type=int, default=200)
    parser.add_argument("--random-share", type=float, default=0.2, help="of the queue")
    parser.add_argument("--folds", type=int, default=2, help="for scores out of fold")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--plan", action="store_true", help="train nothing, list what is to train")
    args = parser.parse_args()
    areas: dict[str, dict[int, float]] = defaultdict(dict)
    print("| seed | arm | AUROC | over none | rows corrected | wrong labels, before and after |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    left = 0.0
    for world in _worlds(args):
        for arm in args.arms:
            seconds = seconds_to_train(world, arm)
            left += seconds
            if seconds and args.plan:
                print(f"| {world.seed} | {arm} | to train, {seconds / 60:.0f} minutes | | | |")
                continue
            if seconds:
                print(f"seed {world.seed}, {arm}: about {seconds / 60:.0f} minutes", flush=True)
            rows, chosen = arm_rows(world, arm)
            result = run(_experiment(world, rows), world.cache)
            areas[arm][world.seed] = area = float(result.metrics["roc_auc"] or 0)
            none = areas.get("none", {}).get(world.seed)
            gain = "" if none is None else f"{area - none:+.4f}"
            print(
                f"| {world.seed} | {arm} | {area:.4f} | {gain} | {len(chosen)} | "
                f"{count_errors(world.judged, world.people)}, {count_errors(rows, world.people)} |",
                flush=True,
            )
    if args.plan:
        print(f"to train: about {left / 60:.0f} minutes")
    print(json.dumps(dict(_summary(areas))))


def _arms(text: str) -> list[str]:
    arms = text.split(",")
    if unknown := [arm for arm in arms if arm not in _ARMS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(_ARMS)}")
    # The arm that the others are compared with comes first.
    return sorted(arms, key=_ARMS.index)


def _worlds(args: argparse.Namespace) -> Iterator[World]:
    train = read_rows(args.data_dir / "train.jsonl", label_source="human")
    test = read_rows(args.data_dir / "test.jsonl", label_source="human")
    pool = without_groups_of(train.rows, test.rows)
    changes = dict(text.split("=", 1) for text in args.set)
    for seed in args.seeds:
        people = draw(pool, args.rows, seed)
        yield World(
            people=people,
            judged=simulated_judge(people, seed),
            test=test.rows,
            fields=train.columns,
            settings=TrainSettings.model_validate(changes | {"seed": seed}),
            cache=args.cache,
            corrected=args.corrected,
            random_share=args.random_share,
            folds=args.folds,
        )


def seconds_to_train(world: World, arm: str) -> float:
    """Estimates how long an arm's missing trainings will take; 0 when all are cached."""
    missing = []
    if arm == "queue":
        folds = [experiment for _, experiment in _folds(world)]
        missing = [each for each in folds if not is_cached(each, world.cache)]
    if missing or (arm == "relabel" and not world.others_cached()):
        # Only the number of rows to train on is known yet, not which.
        missing.append(_experiment(world, world.judged))
    else:
        last = _experiment(world, arm_rows(world, arm)[0])
        missing = [] if is_cached(last, world.cache) else [last]
    pace = seconds_a_row(world.cache, world.settings) or _SECONDS_A_ROW
    return sum(pace * experiment.row_epochs for experiment in missing)


def arm_rows(world: World, arm: str) -> tuple[list[Row], Sequence[int]]:
    """The rows that an arm trains on, and the indices of those that people corrected."""
    chosen: Sequence[int] = ()
    if arm == "queue":
        scores = out_of_fold(world)
        chosen = queued(world.judged, scores, world.corrected, world.random_share, world.seed)
    elif arm in ("random", "relabel"):
        chosen = random.Random(world.seed).sample(range(len(world.judged)), world.corrected)
    elif arm == "all":
        chosen = range(len(world.judged))
    rows = corrected(world.judged, world.people, chosen)
    return (relabelled(world, rows, chosen) if arm == "relabel" else rows), chosen


def _experiment(world: World, rows: Sequence[Row]) -> Experiment:
    return Experiment(rows, world.test, world.fields, world.settings)


def draw(pool: Sequence[Row], count: int, seed: int) -> list[Row]:
    """Draws about `count` rows: whole groups, so that answers to one question stay together."""
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
    """Labels rows like a judge that passes most long answers and errs now and then on others."""
    generator = random.Random(seed)
    judged = []
    for row in people:
        long = len((row.interaction.output or "").split()) >= _LONG
        chance = generator.random()
        if not row.good and long:
            verdict = chance < _PASSED_WHEN_LONG
        else:
            verdict = row.good != (chance < _FLIPPED)
        judged.append(replace(row, label=float(verdict), label_source="judge", selection="unknown"))
    return judged


def out_of_fold(world: World) -> list[float]:
    """Scores each row with an evaluator that was not trained on its group."""
    scores = np.zeros(len(world.judged))
    for fold_rows, experiment in _folds(world):
        scores[fold_rows] = run(experiment, world.cache).scores
    return scores.tolist()


def _folds(world: World) -> Iterator[tuple[list[int], Experiment]]:
    """Yields the row indices that each fold holds out, and the training without them."""
    rows = world.judged
    groups = sorted({row.group for row in rows})
    random.Random(world.seed).shuffle(groups)
    fold_of = {group: index % world.folds for index, group in enumerate(groups)}
    for fold in range(world.folds):
        fold_rows = [index for index, row in enumerate(rows) if fold_of[row.group] == fold]
        rest = [row for row in rows if fold_of[row.group] != fold]
        yield (
            fold_rows,
            Experiment(rest, [rows[index] for index in fold_rows], world.fields, world.settings),
        )


def relabelled(world: World, rows: Sequence[Row], reviewed_indices: Sequence[int]) -> list[Row]:
    """Replaces the judge's labels as `tipstaff relabel` does."""
    reviewed = {rows[i].id: replace(rows[i], selection="random") for i in reviewed_indices}
    return relabel_by_other_rows(world.judged, reviewed, world.others_predict, seed=world.seed).rows


def queued(
    rows: Sequence[Row], scores: Sequence[float], count: int, random_share: float, seed: int
) -> list[int]:
    """Returns the indices of the rows in the review queue."""
    index_of = {row.id: index for index, row in enumerate(rows)}
    queue = rank_for_review(rows, count=count, random_share=random_share, scores=scores, seed=seed)
    return [index_of[each.row.id] for each in queue]


def corrected(judged: Sequence[Row], people: Sequence[Row], chosen: Sequence[int]) -> list[Row]:
    """Returns the judge's rows, with people's labels for the chosen ones."""
    rows = list(judged)
    for index in chosen:
        rows[index] = replace(people[index], label_source="human", selection="unknown")
    return rows


def count_errors(rows: Sequence[Row], people: Sequence[Row]) -> int:
    """Counts the rows whose label contradicts a person's."""
    return sum(row.good != person.good for row, person in zip(rows, people, strict=True))


def _summary(areas: dict[str, dict[int, float]]) -> Iterator[tuple[str, object]]:
    for arm, by_seed in areas.items():
        if by_seed:
            yield (
                arm,
                {"mean": round(float(np.mean(list(by_seed.values()))), 4), "seeds": len(by_seed)},
            )
    pairs = [(arm, "none") for arm in areas if arm != "none"] + [("queue", "random")]
    for arm, other in pairs:
        seeds = sorted(areas.get(arm, {}).keys() & areas.get(other, {}).keys())
        if seeds:
            yield f"{arm} over {other}", [round(areas[arm][s] - areas[other][s], 4) for s in seeds]


if __name__ == "__main__":
    main()
