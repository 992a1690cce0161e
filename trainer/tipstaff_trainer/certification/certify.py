"""Certifies a bundle's thresholds on rows that people labelled.

rows → eligible rows → predictions as served → laxest cuts → new bundle
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tipstaff.types import Reason, Verdict
from tipstaff_server.evaluator import Evaluator, Prediction
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.manifest import BundleCertificate, Manifest, Policy
from tipstaff_server.evaluator.policy import decide
from tipstaff_server.repository.caveats import not_learnt
from tipstaff_trainer.certification.eligible import eligible_rows
from tipstaff_trainer.certification.promise import (
    CertifiedCuts,
    Promise,
    certified_cuts,
    check_enough,
)
from tipstaff_trainer.certification.sweep import Floats, rows_needed
from tipstaff_trainer.data import Row, fingerprint
from tipstaff_trainer.errors import CertificationError
from tipstaff_trainer.evaluation.notices import knows_training_rows
from tipstaff_trainer.evaluation.predict import predict_all
from tipstaff_trainer.export.bundle_writer import copy_bundle
from tipstaff_trainer.probes.mixture import mixed

# The reasons that can turn a PASS into REVIEW.
_OBSTACLES = (
    Reason.PARTIAL,
    Reason.OUT_OF_DISTRIBUTION,
    Reason.UNREADABLE,
    Reason.NOT_LEARNT,
    Reason.MISSING_FIELD,
)


@dataclass(frozen=True, slots=True)
class Certified:
    """Cuts that keep a promise, and their verdicts on the rows that prove it.

    Attributes:
        policy: The graph's policy with these cuts and their certificate.
        cuts: The cuts and their errors.
        good: Verdicts of the good rows, counted.
        bad: Verdicts of the bad rows, counted.
        notes: Which rows were left out and why, for the user.
    """

    policy: Policy
    cuts: CertifiedCuts
    good: Counter[Verdict]
    bad: Counter[Verdict]
    notes: tuple[str, ...]


def certify(
    bundle: Bundle,
    evaluator: Evaluator,
    rows: Sequence[Row],
    promise: Promise,
    *,
    pass_on_partial: bool = False,
    pass_on_ood: bool = False,
    pass_on_unreadable: bool = False,
    pass_on_not_learnt: bool = False,
    block_on_ood: bool = False,
    probed: bool = False,
) -> Certified:
    """Finds the laxest cuts that keep a promise, from verdicts as they are served.

    Args:
        bundle: The bundle.
        evaluator: One of its graphs, loaded and warmed up; the certificate holds for this graph.
        rows: Rows with people's labels.
        promise: The error bounds.
        pass_on_partial: Let partly scored outputs pass from now on.
        pass_on_ood: Let outputs that look unlike the training data pass from now on.
        pass_on_unreadable: Let outputs pass from now on where more text can't be read than the
            limits allow.
        pass_on_not_learnt: Let outputs pass from now on though the evaluator has not learnt.
        block_on_ood: Block low outputs from now on that look unlike the training data.
        probed: Rewrite half of the rows (`probes.mixture`), so that the bounds hold for outputs
            that try to fool the evaluator too, as often as here.

    Raises:
        CertificationError: The evaluator has not learnt or doesn't run here as it was measured, the
            rows can't certify or are too few, or no cut keeps the promise.
    """
    if evaluator.degraded:
        raise CertificationError(
            "a certificate holds only where the evaluator runs as it was measured, and here it "
            f"doesn't: {evaluator.degraded}"
        )
    policy = evaluator.graph.policy
    allowed = {
        "pass_on_partial": policy.pass_on_partial or pass_on_partial,
        "pass_on_ood": policy.pass_on_ood or pass_on_ood,
        "pass_on_unreadable": policy.pass_on_unreadable or pass_on_unreadable,
        "pass_on_not_learnt": policy.pass_on_not_learnt or pass_on_not_learnt,
        "block_on_ood": policy.block_on_ood or block_on_ood,
    }
    if promise.max_false_pass < 1 and not allowed["pass_on_not_learnt"]:
        for clause in not_learnt(bundle.manifest):
            raise CertificationError(
                f"nothing would pass: {bundle.manifest.name} {clause}",
                remedy="train a better one, or add {pass_on_not_learnt}",
            )
    chosen, notes = _choose_rows(rows, bundle, promise, probed=probed)
    predictions = predict_all(evaluator, [row.interaction for row in chosen])
    good = [each for each, row in zip(predictions, chosen, strict=True) if row.good]
    bad = [each for each, row in zip(predictions, chosen, strict=True) if not row.good]
    passing = pass_scores(bad, policy.model_copy(update=allowed))
    if promise.max_false_pass < 1:
        _check_reach(bad, passing, promise)
    cuts = certified_cuts(passing, np.array([each.score for each in good]), promise)
    certificate = BundleCertificate(
        **asdict(promise),
        n=len(chosen),
        n_bad=len(bad),
        n_good=len(good),
        fingerprint=fingerprint(chosen),
        date=datetime.now(UTC).date().isoformat(),
        unseen_checked=knows_training_rows(bundle),
        rows="probed" if probed else "plain",
    )
    thresholds = {"pass_at": cuts.pass_at, "block_below": cuts.block_below}
    policy = policy.model_copy(update={**allowed, **thresholds, "certificate": certificate})
    good_verdicts, bad_verdicts = (
        Counter(decide(each.score, each.reasons, policy) for each in side) for side in (good, bad)
    )
    return Certified(policy, cuts, good_verdicts, bad_verdicts, tuple(notes))


def _choose_rows(
    rows: Sequence[Row], bundle: Bundle, promise: Promise, *, probed: bool
) -> tuple[Sequence[Row], list[str]]:
    """The rows that certify, and notes of which were left out or rewritten.

    Raises:
        CertificationError: The rows can't certify, or are too few; says so before they are scored,
            which takes a while.
    """
    chosen, notes = eligible_rows(rows, bundle)
    if probed:
        plain, chosen = chosen, mixed(chosen)
        count = sum(new is not old for new, old in zip(chosen, plain, strict=True))
        notes.append(f"{count} of {len(chosen)} rows rewritten, each with the label it has now")
    n_good = sum(row.good for row in chosen)
    try:
        check_enough(len(chosen) - n_good, n_good, promise)
    except CertificationError as error:
        raise CertificationError("; ".join([error.message, *notes]), remedy=error.remedy) from None
    return chosen, notes


def pass_scores(predictions: Sequence[Prediction], policy: Policy) -> Floats:
    """The scores, shape (n,); -inf where something other than the score rules PASS out."""
    open_cuts = policy.model_copy(update={"pass_at": 0.0, "block_below": 0.0})
    verdicts = [decide(each.score, each.reasons, open_cuts) for each in predictions]
    scores = np.array([each.score for each in predictions])
    return np.where([verdict is Verdict.PASS for verdict in verdicts], scores, -np.inf)


def _check_reach(bad: Sequence[Prediction], passing: Floats, promise: Promise) -> None:
    """Checks that enough bad rows could get PASS at some cut.

    Otherwise the promise would rest on what keeps these rows from PASS, such as a missing column,
    and any cut would seem to keep it: where traffic has the column, the cut is untested.

    Raises:
        CertificationError: Too few bad rows could.
    """
    reached = int(np.isfinite(passing).sum())
    needed = rows_needed(promise.max_false_pass, promise.confidence)
    if reached < needed:
        reasons = Counter(
            reason
            for prediction, score in zip(bad, passing, strict=True)
            if not np.isfinite(score)
            for reason in prediction.reasons
            if reason in _OBSTACLES
        )
        obstacles = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        raise CertificationError(
            f"only {reached} of {len(bad)} bad rows could get PASS at any cut, and proving a cut "
            f"takes {needed} at least; obstacles of the others: {obstacles}",
            remedy="map a field that all rows lack to its column: {mapping} FIELD=COLUMN",
        )


def certified_manifest(manifest: Manifest, precision: str, policy: Policy) -> Manifest:
    """The manifest with a new policy for one of its graphs."""
    graphs = tuple(
        graph.model_copy(update={"policy": policy}) if graph.precision == precision else graph
        for graph in manifest.graphs
    )
    # Which bad outputs passed was measured at the thresholds of the first graph.
    first = manifest.graphs[0].precision == precision
    quality = {
        name: measured.model_copy(update={"bad_passed": None}) if first else measured
        for name, measured in manifest.quality.items()
    }
    return manifest.model_copy(update={"graphs": graphs, "quality": quality})


def write_certified(bundle: Bundle, manifest: Manifest, out: Path, *, card: str) -> Bundle:
    """Copies a bundle to folder `out`, with the manifest that carries the certificate.

    Args:
        bundle: The bundle that was certified.
        manifest: Its manifest with the new policy (`certified_manifest`).
        out: A new folder.
        card: The model card of that manifest, in Markdown.

    Raises:
        CertificationError: `out` exists, or can't be written.
        BundleError: The bundle changed since it was opened.
    """
    try:
        return copy_bundle(bundle, out, manifest, card=card)
    except FileExistsError:
        raise CertificationError(
            "exists already", field="out", value=str(out), remedy="choose another name"
        ) from None
    except OSError as error:
        # shutil gathers what went wrong with each file of a folder.
        why = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror
        raise CertificationError(f"can't be written: {why}", field="out", value=str(out)) from error
