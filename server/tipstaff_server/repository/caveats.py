"""What to say of a version before it serves: how little its figures prove, or what gets worse.

Caveats refuse nothing. Commands and the desk show them beside the version, as in "version 3 is not
shown to be better than chance: …".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tipstaff_server.evaluator.manifest import Manifest

# With fewer rows the 95 % interval of an accuracy of 0.8 is wider than a fifth.
# Above this, whoever knows a rewriting can mostly get the verdict that it aims at.
_FOOLED = 0.5
_MOST_PROBES = 3
_FEW_ROWS = 50
_FEW_OF_A_CLASS = 10
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Caveat:
    """One doubt about a version.

    Attributes:
        kind: `learnt`: it is not shown to be better than simpler rules; `chance`: it may know
            nothing; `words`: word overlap does as well; `worse`: the version that serves lets fewer
            bad outputs pass; `probes`: rewritten outputs fool it; `rows`: it was measured on too
            few.
        clause: What follows the version's name in a sentence, without a full stop.
    """

    kind: Literal["learnt", "chance", "words", "worse", "probes", "rows"]
    clause: str

    def __str__(self) -> str:
        return self.clause


def caveats(candidate: Manifest, serving: Manifest | None = None) -> list[Caveat]:
    """Names the doubts about a version, the gravest first; empty without doubts.

    Args:
        candidate: The manifest of the version that is to serve.
        serving: The manifest of the version that serves now; None if none does.
    """
    return [
        *(Caveat("learnt", clause) for clause in not_learnt(candidate)),
        *(Caveat("chance", clause) for clause in _chance(candidate)),
        *(Caveat("words", clause) for clause in _words(candidate)),
        *(Caveat("worse", clause) for clause in _passes_more(candidate, serving)),
        *(Caveat("probes", clause) for clause in _fooled(candidate)),
        *(Caveat("rows", clause) for clause in _few_rows(candidate)),
    ]


def measured_rows(manifest: Manifest) -> str:
    """The name of the rows that tell most of a version's quality, as in `test`.

    Validation rows come second, since they stopped and calibrated the training.

    Returns:
        Empty where the version was measured on no rows.
    """
    measured = [*manifest.quality, *manifest.metrics]
    return next((name for name in ("test", "validation") if name in measured), "")


def not_learnt(manifest: Manifest) -> Iterator[str]:
    """Why a version counts as not learnt, in one clause; nothing where it has, or isn't known."""
    learnt = manifest.learnt
    if learnt is None or learnt.verdict:
        return
    if not learnt.comparisons:
        kind = "good" if learnt.good else "bad"
        yield (
            f"is not shown to have learnt anything: all {learnt.n} {learnt.rows} rows are {kind}, "
            "which shows nothing"
        )
        return
    failed = ", nor ".join(map(str, (each for each in learnt.comparisons if not each.passed)))
    yield f"is not clearly better than {failed}, on {learnt.n} {learnt.rows} rows"


def _words(manifest: Manifest) -> Iterator[str]:
    """Whether word overlap does as well as a version that has learnt."""
    learnt = manifest.learnt
    if learnt is None or not learnt.verdict:
        return
    as_good = [
        each
        for each in learnt.comparisons
        if each.baseline.startswith("word overlap") and each.difference.value <= 0
    ]
    if as_good:
        best = max(as_good, key=lambda each: each.value)
        yield f"is no better than {best}, on {learnt.n} {learnt.rows} rows"


def _chance(manifest: Manifest) -> Iterator[str]:
    if any(not_learnt(manifest)):
        return  # which says it already
    part = measured_rows(manifest)
    quality = manifest.quality.get(part)
    if quality is None:
        yield from _old_chance(manifest, part)
        return
    rows = f"{quality.n} {part} rows"
    if quality.auroc is None:
        kind, other = ("good", "bad") if quality.good else ("bad", "good")
        yield f"was measured on {kind} rows only ({rows}), which show nothing about {other} ones"
    elif quality.auroc.low <= 0.5:
        yield f"is not shown to be better than chance: AUROC {quality.auroc} on {rows}"
    elif quality.accuracy.value <= (usual := max(quality.good, quality.bad) / quality.n):
        kind = "good" if quality.good >= quality.bad else "bad"
        yield (
            f"decides right no more often than a rule that calls every output {kind}: accuracy "
            f"{quality.accuracy} on {rows}, against {usual:.3f}"
        )


def _old_chance(manifest: Manifest, part: str) -> Iterator[str]:
    """The same for a manifest without intervals, from an older tipstaff."""
    metrics = manifest.metrics.get(part, {})
    n, auroc = metrics.get("n"), metrics.get("roc_auc")
    # The AUROC's deviation where scores are chance and half of the rows are good (Mann & Whitney
    # 1947); where fewer are, it is larger.
    if n and auroc is not None and auroc <= 0.5 + _Z * math.sqrt((n + 1) / (3 * n**2)):
        yield f"is not shown to be better than chance: AUROC {auroc:.3f} on {n} {part} rows"


def _fooled(manifest: Manifest) -> Iterator[str]:
    """The rewritings that surely change more verdicts than not, the worst first."""
    if manifest.probes is None:
        return
    harmful = [rate for rate in manifest.probes.rates if rate.harm.low > _FOOLED]
    if not harmful:
        return
    worst = sorted(harmful, key=lambda rate: -rate.harm.value)[:_MOST_PROBES]
    more = f" and {len(harmful) - len(worst)} more" if len(harmful) > len(worst) else ""
    yield f"is fooled by rewritten outputs: {', '.join(map(str, worst))}{more}"


def _few_rows(manifest: Manifest) -> Iterator[str]:
    part = measured_rows(manifest)
    if not part:
        yield "was measured on no rows"
        return
    quality = manifest.quality.get(part)
    n = manifest.metrics.get(part, {}).get("n") if quality is None else quality.n
    classes = "" if quality is None else f" ({quality.good} good, {quality.bad} bad)"
    few = quality is not None and 0 < min(quality.good, quality.bad) < _FEW_OF_A_CLASS
    if n is not None and (n < _FEW_ROWS or few):
        yield f"was measured on only {n} {part} rows{classes}, too few to rely on"


def _passes_more(candidate: Manifest, serving: Manifest | None) -> Iterator[str]:
    if serving is None:
        return
    before, now = _bad_passed(serving), _bad_passed(candidate)
    if before and now and now.share > before.share:
        which = ""
        if before.fingerprint and now.fingerprint:
            same = before.fingerprint == now.fingerprint
            which = f", measured on {'the same' if same else 'other'} rows"
        yield (
            f"lets more bad outputs pass than the version that serves: {now.words}, against "
            f"{before.words}{which}"
        )


class _BadPassed(NamedTuple):
    """P(PASS | bad), the same in words, and the fingerprint of the rows that it was measured on."""

    share: float
    words: str
    fingerprint: str | None = None


def _bad_passed(manifest: Manifest) -> _BadPassed | None:
    """What is known of the first graph: its certificate's bound, or else what was measured."""
    certificate = manifest.graphs[0].policy.certificate
    if certificate is not None and certificate.max_false_pass < 1:
        bound = certificate.max_false_pass
        return _BadPassed(bound, f"at most {bound:.12g} by a certificate on {certificate.n} rows")
    part = measured_rows(manifest)
    quality = manifest.quality.get(part)
    if quality is None or quality.bad_passed is None:
        return None
    share = quality.bad_passed
    return _BadPassed(share.value, f"{share} of {share.n} bad {part} rows", quality.fingerprint)
