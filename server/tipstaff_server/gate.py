"""What a version must show before it serves: its named cases come out as expected.

A case that fails stops the promotion, unless the version now serving fails it too: then nothing is
lost. A bundle without cases answers for those of the version now serving, so that forgetting to
pass them on doesn't open the gate.
"""

from __future__ import annotations

import logging
from pathlib import Path

from tipstaff_server.errors import BundleError, InvalidRequest, PromotionRefused
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.cases import (
    Case,
    Outcome,
    bundle_cases,
    failures,
    run_cases,
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
    try:
        outcomes = try_cases(candidate, serving)
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
        raise PromotionRefused(_message(what, lost, len(outcomes)), names)
    log.warning(
        "%s fails %d of %d named cases, as does the version that serves now: %s",
        what, len(failed), len(outcomes), "; ".join(map(str, failed)),
    )  # fmt: skip


def try_cases(candidate: Bundle, serving: Path | None) -> list[Outcome]:
    """What a version makes of its cases, or, where it brings none, of those of another.

    Args:
        candidate: The version.
        serving: The folder of the version that serves now; None when none does.

    Raises:
        InvalidRequest: A case has none of the fields that it reads; names it.
        BundleError: The candidate is damaged.
    """
    cases = _cases(candidate, serving)
    return run_cases(Evaluator.load(candidate.path), cases) if cases else []


def _cases(candidate: Bundle, serving: Path | None) -> tuple[Case, ...]:
    own = bundle_cases(candidate)
    before = _read(serving)
    if own is None:
        return before or ()
    if before and (gone := {case.name for case in before} - {case.name for case in own}):
        names = ", ".join(f'"{name}"' for name in sorted(gone))
        log.warning("no longer among the named cases: %s", names)
    return own


def _read(serving: Path | None) -> tuple[Case, ...] | None:
    if serving is None:
        return None
    try:
        return bundle_cases(Bundle.open(serving))
    except BundleError as error:
        # Above all then another version must be able to take its place.
        log.warning("the named cases of the version that serves now can't be read: %s", error)
        return None


def _failing(serving: Path | None, cases: list[Case]) -> set[str]:
    """Which of the cases fail in the version that serves now, by name."""
    if serving is None:
        return set()
    try:
        outcomes = run_cases(Evaluator.load(serving), cases)
    except (BundleError, InvalidRequest):
        return set()
    return {outcome.case.name for outcome in failures(outcomes)}


def _message(what: str, lost: list[Outcome], count: int) -> str:
    shown = "; ".join(map(str, lost[:5])) + ("; …" if len(lost) > 5 else "")
    return (
        f"{what} does not serve: {len(lost)} of its {count} named cases "
        f"{'fails' if len(lost) == 1 else 'fail'}: {shown}; train a better one, mend the cases, or "
        "promote it with --force"
    )
