"""What a version must show before it serves: its named cases come out as expected.

A case that fails stops the promotion, unless the version now serving fails it too: then nothing is
lost. A version also answers for the cases of the one now serving that it doesn't bring, so that
forgetting to pass them on doesn't open the gate. Where both bring a case, it is run in the new
one's words: cases must be mendable, so a change is told and not refused.
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
    changes,
    failures,
    run_cases,
    united,
)
from tipstaff_server.evaluator.evaluator import Evaluator

log = logging.getLogger(__name__)


def check(candidate: Bundle, serving: Path | None, *, what: str) -> None:
    """Lets a version through that loses no case.

    Args:
        candidate: That is to serve.
        serving: The folder of the version that serves now; None when none does, or when it can't
            be read.
        what: The candidate, in words.

    Raises:
        PromotionRefused: A case fails that is not known to, or can't be run.
        BundleError: The candidate is damaged.
    """
    own, before = tell_changes(candidate, serving)
    try:
        outcomes = _run(candidate, own, before)
    except InvalidRequest as error:
        raise PromotionRefused(
            f"{what} does not serve: {error}; mend the cases, or promote it with --force"
        ) from None
    failed = failures(outcomes)
    if not failed:
        return
    known = _failing(serving, [outcome.case for outcome in failed])
    lost = [outcome for outcome in failed if outcome.case.name not in known]
    if lost:
        names = [outcome.case.name for outcome in lost]
        brought = {case.name for case in own}
        raise PromotionRefused(_message(what, lost, len(outcomes), brought), names)
    log.warning(
        "%s fails %d of %d named cases, as does the version that serves now: %s",
        what, len(failed), len(outcomes), "; ".join(map(str, failed)),
    )  # fmt: skip


def tell_changes(
    candidate: Bundle, serving: Path | None
) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Logs what becomes of the cases of the version that serves now, once another takes its place.

    Returns:
        The candidate's own cases, and those of the version that serves now.
    """
    own, before = _cases(candidate, serving)
    fields = candidate.manifest.fields
    for change in changes(own, before, fields, of="the version that serves now"):
        log.warning("%s", change)
    if {case.name for case in before} - {case.name for case in own}:
        log.warning("once another serves, what it doesn't bring is forgotten: pass the cases on")
    return own, before


def try_cases(candidate: Bundle, serving: Path | None) -> list[Outcome]:
    """What a version makes of its cases, and of those of another that it doesn't bring.

    Args:
        candidate: The version.
        serving: The folder of the version that serves now; None when none does.

    Raises:
        InvalidRequest: A case has none of the fields that it reads; names it.
        BundleError: The candidate is damaged.
    """
    return _run(candidate, *_cases(candidate, serving))


def _run(candidate: Bundle, own: Sequence[Case], before: Sequence[Case]) -> list[Outcome]:
    cases = united(own, before, candidate.manifest.fields)
    return run_cases(Evaluator.load(candidate.path), cases) if cases else []


def _cases(candidate: Bundle, serving: Path | None) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """The candidate's own cases, and those of the version that serves now."""
    return bundle_cases(candidate) or (), _read(serving)


def _read(serving: Path | None) -> tuple[Case, ...]:
    if serving is None:
        return ()
    try:
        return bundle_cases(Bundle.open(serving)) or ()
    except BundleError as error:
        # Above all then another version must be able to take its place.
        log.warning("the named cases of the version that serves now can't be read: %s", error)
        return ()


def _failing(serving: Path | None, cases: list[Case]) -> set[str]:
    """Which of the cases fail in the version that serves now, by name."""
    if serving is None:
        return set()
    try:
        outcomes = run_cases(Evaluator.load(serving), cases)
    except (BundleError, InvalidRequest):
        return set()
    return {outcome.case.name for outcome in failures(outcomes)}


def _message(what: str, lost: list[Outcome], count: int, brought: set[str]) -> str:
    shown = [
        str(outcome)
        if outcome.case.name in brought
        else f"{outcome}, a case of the version that serves now which the new one doesn't bring"
        for outcome in lost[:5]
    ]
    dropped = any(outcome.case.name not in brought for outcome in lost)
    return (
        f"{what} does not serve: {len(lost)} of {count} named cases "
        f"{'fails' if len(lost) == 1 else 'fail'}: {'; '.join(shown)}"
        f"{'; …' if len(lost) > 5 else ''}; train a better one, mend the cases, or promote it with "
        f"--force{', which drops those that it does not bring' if dropped else ''}"
    )
