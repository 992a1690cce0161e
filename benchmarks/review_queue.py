"""Measures how many of a real judge's errors the review queue puts first.

    python benchmarks/review_queue.py BUNDLE ROWS [--replace ' | ' '/']

ROWS holds people's `label` and a judge's `judge_label` for the same rows, as the OpenQA-eval data
does (Kamalloo et al. 2023: GPT-4's verdicts). An error is a row where the two disagree. The queue
sees the judge's labels and one or both of two signals: the scores of the evaluator in BUNDLE, and
predictions from the other rows' judge labels (`out_of_fold`). It never sees people's labels. The
result is the share of all errors among the first rows, for the queue without its random slice
(`ranked`) and with it (`queue`); a random order would find the share of rows reviewed. --replace
brings the ground truth into the form that the evaluator was trained on. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.data import Row, read_rows
from tipstaff_trainer.evaluation.predict import predict_all
from tipstaff_trainer.label_quality.agreement import measure_agreement
from tipstaff_trainer.label_quality.label_errors import out_of_fold_scores
from tipstaff_trainer.label_quality.review_queue import rank_for_review

_SHARES = (0.05, 0.1, 0.2, 0.3)


def main() -> None:
    """Ranks the rows, counts the errors found and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--replace", nargs=2, default=("", ""), metavar=("OLD", "NEW"))
    args = parser.parse_args()
    people = read_rows(args.rows, label_source="human").rows
    judged = [
        replace(row, label=float(row.extra["judge_label"]), label_source="judge") for row in people
    ]
    errors = {
        row.id
        for row, judged_row in zip(people, judged, strict=True)
        if row.good != judged_row.good
    }
    false_passes = {row.id for row in judged if row.good and row.id in errors}
    old, new = args.replace
    predictions = predict_all(
        Evaluator.load(args.bundle),
        [
            replace(
                row.interaction,
                ground_truth=(row.interaction.ground_truth or "").replace(old or new, new),
            )
            for row in people
        ],
    )
    scores = [prediction.score for prediction in predictions]
    others = out_of_fold_scores(judged)
    signals_by_name = {
        "evaluator": {"scores": scores},
        "out_of_fold": {"out_of_fold": others},
        "both": {"scores": scores, "out_of_fold": others},
    }
    evaluator_correct = sum(
        (score >= 0.5) == row.good for score, row in zip(scores, people, strict=True)
    )
    agreement = measure_agreement(
        [row.label for row in judged], [row.label for row in people], [row.group for row in people]
    )
    print(
        json.dumps(
            {
                "rows": len(people),
                "judge_errors": len(errors),
                "passed_by_the_judge_only": len(false_passes),
                "kappa": asdict(agreement.kappa),
                "evaluator_accuracy": round(evaluator_correct / len(people), 4),
                **{
                    name: {
                        "ranked": _recall_by_share(judged, signals, errors, random_share=0.0),
                        "ranked_false_passes": _recall_by_share(
                            judged, signals, false_passes, random_share=0.0
                        ),
                        "queue": _recall_by_share(judged, signals, errors, random_share=0.2),
                    }
                    for name, signals in signals_by_name.items()
                },
                "most_possible": {
                    str(share): round(min(1.0, share * len(people) / len(errors)), 3)
                    for share in _SHARES
                },
            }
        )
    )


def _recall_by_share(
    rows: Sequence[Row],
    signals: Mapping[str, Sequence[float]],
    errors: set[str],
    *,
    random_share: float,
) -> Mapping[str, float]:
    """The share of all errors among the first rows of the queue, for each share of rows."""
    shares = {}
    for share in _SHARES:
        count = round(share * len(rows))
        queue = rank_for_review(rows, count=count, random_share=random_share, **signals)
        shares[str(share)] = round(sum(each.row.id in errors for each in queue) / len(errors), 3)
    return shares


if __name__ == "__main__":
    main()
