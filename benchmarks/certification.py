"""Counts how often certified thresholds exceed their error bounds on data with known rates.

    python benchmarks/certification.py BUNDLE ROWS [--rows 300 1000] [--draws 1000]

ROWS is a file with people's labels that BUNDLE was not trained on. It serves as the population: its
error rates are the true ones. The script draws certification sets from it with replacement, first a
group and then one of its rows. Each set gives thresholds, and the script counts how often their
true error rates exceed the bounds. It does the same for other methods, on the same draws and with
the same bounds:

    best F1          the threshold with the set's best F1, as is usual; it promises no bound
    set's own rate   the laxest threshold at which the set itself meets the bound, no interval
    judge's labels   certified on the column `judge_label` where the file has one

Prints one JSON object per line. The rows are scored once; their scores stay under
build/certification.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import read_manifest
from tipstaff_server.evaluator.manifest import SEEN_FILE
from tipstaff_trainer.certification.certify import pass_scores
from tipstaff_trainer.certification.promise import Promise, certified_cuts
from tipstaff_trainer.data import Row, fingerprint, new_rows, read_rows
from tipstaff_trainer.errors import CertificationError
from tipstaff_trainer.evaluation.predict import predict_all

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_CACHE = Path("build/certification")


@dataclass(frozen=True, slots=True)
class Pool:
    """The population: rows sorted by group, each array of shape (n,).

    Attributes:
        passing: Scores; -inf where the verdict can't be PASS.
        scores: Scores.
        good: People's labels.
        judge_good: The judge's labels; None without a judge.
        starts: Index of each group's first row, shape (groups,).
        sizes: Rows of each group, shape (groups,).
    """

    passing: Floats
    scores: Floats
    good: Bools
    judge_good: Bools | None
    starts: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]

    def draw(self, rows: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draws row indices with replacement: first a group, then one of its rows."""
        groups = generator.integers(len(self.starts), size=rows)
        return self.starts[groups] + (generator.random(rows) * self.sizes[groups]).astype(int)

    @property
    def weights(self) -> Floats:
        """The probability that a row is drawn."""
        return np.repeat(1 / self.sizes, self.sizes) / len(self.sizes)

    def false_pass(self, threshold: float) -> float:
        """The true P(PASS | bad)."""
        return float(
            np.average(self.passing[~self.good] >= threshold, weights=self.weights[~self.good])
        )

    def false_block(self, threshold: float) -> float:
        """The true P(BLOCK | good)."""
        return float(
            np.average(self.scores[self.good] < threshold, weights=self.weights[self.good])
        )

    def true_pass(self, threshold: float) -> float:
        """The true P(PASS | good), which says how useful the thresholds are."""
        return float(
            np.average(self.passing[self.good] >= threshold, weights=self.weights[self.good])
        )


Thresholds = tuple[float, float]
Method = Callable[[npt.NDArray[np.int64]], Thresholds | None]


def methods(pool: Pool, promise: Promise) -> dict[str, Method]:
    """Returns the methods by name.

    Each takes row indices and returns its thresholds for PASS and BLOCK, or None if it refuses.
    """

    def certified(labels: Bools) -> Method:
        def thresholds_of(row_indices: npt.NDArray[np.int64]) -> Thresholds | None:
            good = labels[row_indices]
            try:
                certificate = certified_cuts(
                    pool.passing[row_indices][~good], pool.scores[row_indices][good], promise
                )
            except CertificationError:
                return None
            return certificate.pass_at, certificate.block_below

        return thresholds_of

    def best_f1(row_indices: npt.NDArray[np.int64]) -> Thresholds:
        scores, good = pool.scores[row_indices], pool.good[row_indices]
        order = np.argsort(-scores, kind="stable")
        passed, right = np.arange(1, len(row_indices) + 1), np.cumsum(good[order])
        # F1: twice the true positives over predicted and actual positives.
        threshold = scores[order][np.argmax(2 * right / (passed + good.sum()))]
        return float(threshold), float(threshold)

    def observed_rate(row_indices: npt.NDArray[np.int64]) -> Thresholds:
        good = pool.good[row_indices]
        bad_scores = np.sort(pool.passing[row_indices][~good])[::-1]
        good_scores = np.sort(pool.scores[row_indices][good])
        bad_allowed = int(promise.max_false_pass * len(bad_scores))
        good_allowed = int(promise.max_false_block * len(good_scores))
        return (
            float(np.nextafter(bad_scores[bad_allowed], 2)),
            float(good_scores[good_allowed]) if good_allowed < len(good_scores) else np.inf,
        )

    methods_by_name: dict[str, Method] = {
        "certified": certified(pool.good),
        "set's own rate": observed_rate,
        "best F1": best_f1,
    }
    if pool.judge_good is not None:
        methods_by_name["certified on the judge's labels"] = certified(pool.judge_good)
    return methods_by_name


def measure(pool: Pool, promise: Promise, *, rows: int, draws: int, seed: int) -> None:
    """Draws sets, applies each method, and prints how often the bounds are exceeded."""
    generator = np.random.default_rng(seed)
    sets = [pool.draw(rows, generator) for _ in range(draws)]
    # What a method with a risk of exactly 1 - confidence may show: three standard errors more.
    risk = 1 - promise.confidence
    allowed = risk + 3 * np.sqrt(risk * (1 - risk) / draws)
    for name, method in methods(pool, promise).items():
        results = [thresholds for drawn in sets if (thresholds := method(drawn)) is not None]
        passes = np.array([pool.false_pass(threshold) for threshold, _ in results])
        blocks = np.array([pool.false_block(threshold) for _, threshold in results])
        good_passes = np.array([pool.true_pass(threshold) for threshold, _ in results])
        print(
            json.dumps(
                {
                    "method": name,
                    "rows": rows,
                    "draws": draws,
                    "refused": draws - len(results),
                    "false_pass_broken": round(float((passes > promise.max_false_pass).mean()), 4),
                    "false_block_broken": round(
                        float((blocks > promise.max_false_block).mean()), 4
                    ),
                    "allowed": round(float(allowed), 4),
                    "false_pass_mean": round(float(passes.mean()), 4),
                    "false_block_mean": round(float(blocks.mean()), 4),
                    "good_passed_mean": round(float(good_passes.mean()), 4),
                }
            ),
            flush=True,
        )


def scored_pool(bundle: Path, rows: list[Row]) -> Pool:
    """Scores the rows with the bundle, or reads their scores from the cache."""
    manifest = read_manifest(bundle)
    # The policy decides which rows may PASS. It is in the manifest, which has no checksum.
    policies = [graph.policy.model_dump(mode="json") for graph in manifest.graphs]
    key = hashlib.sha256(
        json.dumps([sorted(manifest.checksums.items()), policies, fingerprint(rows)]).encode()
    )
    cache = _CACHE / f"{key.hexdigest()[:16]}.npz"
    if not cache.exists():
        evaluator = Evaluator.load(bundle)
        predictions = predict_all(evaluator, [row.interaction for row in rows])
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            cache,
            passing=pass_scores(predictions, evaluator.graph.policy),
            scores=[prediction.score for prediction in predictions],
        )
    scored = np.load(cache)
    order = np.argsort([row.group for row in rows], kind="stable")
    _, starts, sizes = np.unique(
        [rows[index].group for index in order], return_index=True, return_counts=True
    )
    judged = all("judge_label" in row.extra for row in rows)
    return Pool(
        passing=scored["passing"][order],
        scores=scored["scores"][order],
        good=np.array([rows[index].good for index in order]),
        judge_good=np.array([float(rows[index].extra["judge_label"]) >= 0.5 for index in order])
        if judged
        else None,
        starts=starts,
        sizes=sizes,
    )


def main() -> None:
    """Scores the rows and measures each size of certification set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("pool", type=Path, metavar="rows")
    parser.add_argument("--rows", type=int, nargs="+", default=[300, 1000], help="of a set")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--max-false-pass", type=float, default=0.05)
    parser.add_argument("--max-false-block", type=float, default=0.05)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    promise = Promise(args.max_false_pass, args.max_false_block, args.confidence)

    rows = read_rows(args.pool, label_source="human").rows
    manifest = read_manifest(args.bundle)
    if SEEN_FILE in manifest.checksums:
        rows = new_rows(rows, (args.bundle / SEEN_FILE).read_bytes(), manifest.fields)
    pool = scored_pool(args.bundle, rows)
    for size in args.rows:
        measure(pool, promise, rows=size, draws=args.draws, seed=args.seed)


if __name__ == "__main__":
    main()
