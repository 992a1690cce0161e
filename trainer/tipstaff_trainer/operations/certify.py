"""Certify: thresholds that meet an error bound, proved on rows that people labelled.

bundle, rows → eligible rows → predictions as served → laxest thresholds → certified bundle
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import model_validator

from tipstaff.errors import UsageError
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.manifest import Precision
from tipstaff_server.repository import is_published
from tipstaff_server.requests import Request, setting
from tipstaff_trainer.operations.outputs import check_new_file
from tipstaff_trainer.operations.sources import FileData, RowSource, StoredData
from tipstaff_trainer.progress import Reporter

if TYPE_CHECKING:
    from tipstaff_trainer.certification.certify import Certified
    from tipstaff_trainer.certification.promise import Promise


class CertifyRequest(Request):
    """Which bundle to certify, the bounds to prove, and the rows to prove them on."""

    bundle: Path = setting(description="the bundle's folder")
    data: FileData | StoredData = setting(description="rows that people labelled, drawn at random")
    out: Path | None = setting(
        None, "folder of the certified bundle, a copy (default: BUNDLE-certified)", unit="dir"
    )
    precision: Precision | None = setting(
        None, "which of its graphs (default: the one that a CPU serves)"
    )
    max_false_pass: float = setting(
        0.05, "the largest share of bad outputs that may get PASS; 1 promises nothing", unit="rate"
    )
    max_false_block: float = setting(
        1.0, "the largest share of good outputs that may get BLOCK; 1 promises nothing", unit="rate"
    )
    confidence: float = setting(0.95, "the confidence of each promise separately", unit="share")
    pass_on_ood: bool = setting(
        False, "let outputs pass that look unlike the training data; the bound is proved with them"
    )
    pass_on_partial: bool = setting(
        False, "let outputs pass that were not scored in full; the bound is proved with them"
    )
    pass_on_unreadable: bool = setting(
        False,
        "let outputs pass where the encoder can't read more of a field than the limits allow; the "
        "bound is proved with them",
    )
    pass_on_not_learnt: bool = setting(
        False, "let outputs pass though the evaluator has not learnt; see the model card"
    )
    block_on_ood: bool = setting(
        False, "block low outputs that look unlike the training data; otherwise they get REVIEW"
    )
    probed: bool = setting(
        False,
        "prove the bounds on a mixture: half of the rows as they are, half rewritten as by the "
        "probes, such as quoted and contradicted",
    )

    @model_validator(mode="after")
    def _check_promise(self) -> CertifyRequest:
        self.promise()
        return self

    def promise(self) -> Promise:
        """The bounds.

        Raises:
            UsageError: One is out of range, or nothing is promised.
        """
        from tipstaff_trainer.certification.promise import Promise

        return Promise(self.max_false_pass, self.max_false_block, self.confidence)


@dataclass(frozen=True)
class Certification:
    """A certified bundle.

    Attributes:
        bundle: The new bundle.
        engine: The graph that was certified and where it ran, as in `int8/cpu`.
        certified: The thresholds, and what they do with the rows.
    """

    bundle: Bundle
    engine: str
    certified: Certified


def certify(request: CertifyRequest, rows: RowSource, reporter: Reporter) -> Certification:
    """Finds the laxest thresholds that meet the bounds and writes a bundle with them.

    Args:
        request: What to certify.
        rows: Reads the request's rows.
        reporter: Takes warnings about the rows, and notes on those that were left out.

    Raises:
        UsageError: The new folder exists or can't be made, or the bundle is published and no
            folder is named.
        BundleError: The bundle is damaged.
        CertificationError: The rows can't prove the bounds; the message says what would.
    """
    from tipstaff_trainer.certification import certify as thresholds
    from tipstaff_trainer.evaluation.notices import missing_fields
    from tipstaff_trainer.operations.subject import load_evaluator
    from tipstaff_trainer.report.card import model_card

    bundle = Bundle.open(request.bundle)
    out = request.out or _beside(bundle)
    check_new_file(out)
    evaluator = load_evaluator(request.bundle, precision=request.precision)
    data = rows()
    for notice in missing_fields(bundle.manifest, data.rows):
        reporter.warn(notice.message, remedy=notice.remedy)
    certified = thresholds.certify(
        bundle,
        evaluator,
        data.rows,
        request.promise(),
        pass_on_partial=request.pass_on_partial,
        pass_on_ood=request.pass_on_ood,
        pass_on_unreadable=request.pass_on_unreadable,
        pass_on_not_learnt=request.pass_on_not_learnt,
        block_on_ood=request.block_on_ood,
        probed=request.probed,
    )
    for note in certified.notes:
        reporter.note(note)
    precision = evaluator.graph.precision
    manifest = thresholds.certified_manifest(bundle.manifest, precision, certified.policy)
    written = thresholds.write_certified(bundle, manifest, out, card=model_card(manifest))
    return Certification(written, evaluator.engine, certified)


def _beside(bundle: Bundle) -> Path:
    """The default folder of the certified bundle."""
    if is_published(bundle):
        raise UsageError(
            f"{bundle.path} is a published version, which never changes",
            remedy="name a folder for the certified one with {out}, and publish that",
        )
    # Keep the path as the user wrote it, unless its last part is no name.
    path = bundle.path.resolve() if bundle.path.name in ("", "..") else bundle.path
    return path.with_name(f"{path.name}-certified")
