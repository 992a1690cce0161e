"""The gate before a version serves: it must have learnt, and its named cases must be met.

A version that isn't better than simpler rules is refused (`check_learnt`).

A failing case stops the promotion, unless the version that serves now fails it too: then nothing is
lost. A version must also pass those cases of the version that serves now which it doesn't bring
itself, so that leaving cases out of a bundle doesn't open the gate. A case that both bring is run
as the new version has it: people must be able to correct a case, so a change is logged, not
refused.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from tipstaff_server.errors import BundleError, InvalidRequest, PromotionRefused
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.cases import (
    Case,
    Outcome,
    bundle_cases,
    describe_changes,
    failures,
    merge_cases,
    run_cases,
)
from tipstaff_server.evaluator.manifest import Manifest
from tipstaff_server.repository.caveats import not_learnt
from tipstaff_server.repository.probe_gate import check_probes

log = logging.getLogger(__name__)

# Failing cases that a message lists at most.
_LISTED = 5


def check_cases(candidate: Bundle, serving: Path | None, *, label: str) -> None:
    """Refuses a version that fails a case which the version that serves now meets.

    Args:
        candidate: The version that is to serve.
        serving: The folder of the version that serves now; None if none does, or if it can't be
            read.
        label: The candidate in words, for messages.

    Raises:
        PromotionRefused: A case newly fails, or can't be run.
        BundleError: The candidate is damaged.
    """
    own, previous = log_changes(candidate, serving)
    try:
        outcomes = _run(candidate, own, previous)
    except InvalidRequest as error:
        raise PromotionRefused(
            f"{label} does not serve: {error}", remedy="mend the cases, or promote it with {force}"
        ) from None
    failed = failures(outcomes)
    if not failed:
        return
    known = _failing(serving, [outcome.case for outcome in failed])
    lost = [outcome for outcome in failed if outcome.case.name not in known]
    if lost:
        raise _refusal(label, lost, len(outcomes), {case.name for case in own})
    log.warning(
        "%s fails %d of %d named cases, as does the version that serves now: %s",
        label, len(failed), len(outcomes), "; ".join(map(str, failed)),
    )  # fmt: skip


def check(
    candidate: Bundle, serving: Path | None, *, max_probe_harm: float | None = None, label: str
) -> None:
    """Refuses a version that may not serve.

    Args:
        candidate: The version that is to serve.
        serving: The folder of the version that serves now; None if none does.
        max_probe_harm: The limit of `probe_gate.check_probes`.
        label: The version in words, for messages.

    Raises:
        PromotionRefused: It has not learnt, fails a named case, or rewritten outputs fool it.
        BundleError: The candidate is damaged.
    """
    check_learnt(candidate.manifest, label=label)
    check_cases(candidate, serving, label=label)
    check_probes(candidate, serving, limit=max_probe_harm, label=label)


def check_learnt(candidate: Manifest, *, label: str) -> None:
    """Refuses a version that isn't better than the simpler rules it was compared with.

    Args:
        candidate: The manifest of the version that is to serve.
        label: The version in words, for messages.

    Raises:
        PromotionRefused: It is not; the message names these rules.
    """
    for clause in not_learnt(candidate):
        raise PromotionRefused(
            f"{label} does not serve: it {clause}",
            remedy="train on more rows, on better labels or from another base encoder, or promote "
            "it with {force}",
        )


def log_changes(
    candidate: Bundle, serving: Path | None
) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Logs how a version's cases differ from those of the version that serves now.

    Returns:
        The candidate's own cases, and those of the version that serves now.
    """
    own, previous = _cases(candidate, serving)
    fields = candidate.manifest.fields
    for change in describe_changes(own, previous, fields, of="the version that serves now"):
        log.warning("%s", change)
    if {case.name for case in previous} - {case.name for case in own}:
        log.warning("once another serves, what it doesn't bring is forgotten: pass the cases on")
    return own, previous


def log_overridden(candidate: Bundle, serving: Path | None, *, label: str) -> None:
    """Logs the named cases that a version fails which serves in spite of them."""
    try:
        outcomes = try_cases(candidate, serving)
    except (BundleError, InvalidRequest) as error:
        log.warning("%s serves although its named cases can't be run: %s", label, error)
        return
    if failed := failures(outcomes):
        log.warning(
            "%s serves although it fails %d of %d named cases: %s",
            label, len(failed), len(outcomes), "; ".join(map(str, failed)),
        )  # fmt: skip


def try_cases(candidate: Bundle, serving: Path | None) -> list[Outcome]:
    """Runs the cases that a version would have to pass to serve, and refuses nothing.

    Args:
        candidate: The version.
        serving: The folder of the version that serves now; None if none does.

    Raises:
        InvalidRequest: A case has none of the fields that the version reads; names the case.
        BundleError: The candidate is damaged.
    """
    return _run(candidate, *_cases(candidate, serving))


def _run(candidate: Bundle, own: Sequence[Case], previous: Sequence[Case]) -> list[Outcome]:
    cases = merge_cases(own, previous, candidate.manifest.fields)
    return _outcomes(candidate.path, cases) if cases else []


def _outcomes(bundle: Path, cases: Sequence[Case]) -> list[Outcome]:
    # Imported here, since onnxruntime takes half a second, and help needs no evaluator.
    from tipstaff_server.evaluator.evaluator import Evaluator

    return run_cases(Evaluator.load(bundle), cases)


def _cases(candidate: Bundle, serving: Path | None) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """The candidate's own cases, and those of the version that serves now."""
    return bundle_cases(candidate) or (), _serving_cases(serving)


def _serving_cases(serving: Path | None) -> tuple[Case, ...]:
    if serving is None:
        return ()
    try:
        return bundle_cases(Bundle.open(serving)) or ()
    except BundleError as error:
        # A damaged version, above all, must be replaceable.
        log.warning("the named cases of the version that serves now can't be read: %s", error)
        return ()


def _failing(serving: Path | None, cases: list[Case]) -> set[str]:
    """Names of the cases that the version that serves now fails."""
    if serving is None:
        return set()
    try:
        outcomes = _outcomes(serving, cases)
    except (BundleError, InvalidRequest):
        return set()
    return {outcome.case.name for outcome in failures(outcomes)}


def _refusal(label: str, lost: list[Outcome], count: int, own: set[str]) -> PromotionRefused:
    """The error for cases that newly fail; `own` names the cases that the candidate brings."""
    listed = [
        str(outcome)
        if outcome.case.name in own
        else f"{outcome}, a case of the version that serves now which the new one doesn't bring"
        for outcome in lost[:_LISTED]
    ]
    drops = any(outcome.case.name not in own for outcome in lost)
    return PromotionRefused(
        f"{label} does not serve: {len(lost)} of {count} named cases "
        f"{'fails' if len(lost) == 1 else 'fail'}: {'; '.join(listed)}"
        f"{'; …' if len(lost) > _LISTED else ''}",
        [outcome.case.name for outcome in lost],
        remedy="train a better one, mend the cases, or promote it with {force}"
        + (", which drops those that it does not bring" if drops else ""),
    )
