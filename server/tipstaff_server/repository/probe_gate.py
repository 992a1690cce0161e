"""The gate of probes: a version that rewritten outputs fool doesn't serve.

A bundle carries what rewriting outputs did to its verdicts (`quality.Probes`). A version is refused
where that harm is surely above that of the version that serves now, and where it is surely above a
limit that the operator sets, unless the version that serves now is no better. A bundle that was
never probed is let through, as all bundles of an older tipstaff are.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tipstaff_server.errors import BundleError, PromotionRefused
from tipstaff_server.evaluator.bundle import Bundle, read_manifest
from tipstaff_server.evaluator.quality import ProbeRate, Probes

log = logging.getLogger(__name__)

# Two of some thirty intervals may miss each other by chance; this much is worth a refusal.
_MARGIN = 0.05
_LISTED = 3


def check_probes(
    candidate: Bundle, serving: Path | None, *, limit: float | None = None, label: str
) -> None:
    """Refuses a version that rewritten outputs fool.

    Args:
        candidate: The version that is to serve.
        serving: The folder of the version that serves now; None if none does.
        limit: The largest harm, a difference of shares in [0, 1]; None allows any.
        label: The candidate in words, for messages.

    Raises:
        PromotionRefused: A rewriting surely does more harm than the limit or than it does to the
            version that serves now.
    """
    probes, before = candidate.manifest.probes, _probes_of(serving)
    if probes is None:
        if before is not None:
            log.warning("%s was not probed, and the version that serves now was", label)
        return
    reasons = list(_reasons(probes, before, limit))
    if reasons:
        raise PromotionRefused(
            f"{label} does not serve: {'; '.join(reasons[:_LISTED])}"
            f"{'; …' if len(reasons) > _LISTED else ''}",
            remedy="train on more rewritten rows, or promote it with {force}",
        )


def _probes_of(folder: Path | None) -> Probes | None:
    # A damaged version, above all, must be replaceable.
    with suppress(BundleError):
        if folder is not None:
            return read_manifest(folder).probes
    return None


def _reasons(probes: Probes, before: Probes | None, limit: float | None) -> Iterator[str]:
    known = {rate.name: rate for rate in before.rates} if before is not None else {}
    for rate in probes.rates:
        old = known.get(rate.name)
        if old is not None and rate.harm.low > old.harm.high + _MARGIN:
            yield f"{_in_words(rate)}, against {_share(old)} with the version that serves now"
        elif limit is None or rate.harm.low <= limit:
            continue
        elif old is None or old.harm.high < rate.harm.low:
            yield f"{_in_words(rate)}, more than the limit of {limit:g} beyond the usual"


def _in_words(rate: ProbeRate) -> str:
    kind = "bad" if rate.effect == "breaks" else "good"
    return f'of {rate.n} {kind} outputs by the rewriting "{rate.name}", {_share(rate)} get PASS'


def _share(rate: ProbeRate) -> str:
    return f"{rate.after.value:.0%}"
