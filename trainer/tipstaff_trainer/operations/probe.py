"""Probe: what rewriting outputs does to an evaluator's verdicts, as served.

bundle, rows → rewritten rows with known labels → predictions → flip rates
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import model_validator

from tipstaff.errors import UsageError
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.manifest import Precision
from tipstaff_server.requests import Request, setting
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.operations.sources import FileData, InputFile, RowSource, StoredData
from tipstaff_trainer.probes.kinds import Kind
from tipstaff_trainer.progress import Reporter

if TYPE_CHECKING:
    from tipstaff_trainer.probes.measure import Probed


class ProbeRequest(Request):
    """Which bundle to probe, and the rows to rewrite."""

    bundle: Path = setting(description="the bundle's folder")
    data: FileData | StoredData = setting(description="labelled rows to rewrite")
    precision: Precision | None = setting(None, "which of its graphs")
    sample: int = setting(
        200, "most good rows and most bad rows to rewrite", unit="rows", ge=10, le=10_000
    )
    seed: int = setting(0, "seeds the sample and the rewritings", ge=0, lt=2**32)
    kind: Kind | None = setting(
        None,
        "what the ground truth is: a short reference answer, a context to be faithful to, or "
        "nothing to go by (form); default: by its length",
    )
    separator: str | None = setting(
        None,
        "what separates alternative answers in one cell, as / or ; (default: what most have)",
        unit="sep",
    )
    rewritings: InputFile | None = setting(
        None, "TOML file of your own rewritings, to apply besides", unit="file", local=True
    )
    attach: bool = setting(
        False,
        "store the rates in the bundle, where its card and promotions read them",
        local=True,
    )

    @model_validator(mode="after")
    def _check_combinations(self) -> ProbeRequest:
        if self.attach and self.rewritings is not None:
            raise UsageError(
                "stores the rates of the rewritings that all bundles share",
                field="attach",
                remedy="leave {rewritings} out",
            )
        return self


@dataclass(frozen=True)
class Probing:
    """What the probes found.

    Attributes:
        bundle: The bundle, with the rates if they were attached.
        engine: The graph that was measured and where it ran, as in `int8/cpu`.
        probed: The rates and examples.
    """

    bundle: Bundle
    engine: str
    probed: Probed


def probe(request: ProbeRequest, rows: RowSource, reporter: Reporter) -> Probing:
    """Rewrites rows in many ways with known labels, and measures the verdicts.

    Args:
        request: What to probe.
        rows: Reads the request's rows.
        reporter: Takes warnings about the rows, and notes on rewritings that apply to none.

    Raises:
        DataError: No rewriting applies to the rows, or the bundle is published and can't take the
            rates.
        BundleError: The bundle is damaged.
    """
    # Imported here, since scikit-learn takes seconds.
    from tipstaff_trainer.evaluation.notices import missing_fields, training_rows
    from tipstaff_trainer.operations.subject import load_evaluator
    from tipstaff_trainer.probes import measure
    from tipstaff_trainer.probes.own import read_rewritings
    from tipstaff_trainer.probes.pool import Pool
    from tipstaff_trainer.probes.rewritings import REWRITINGS

    bundle = Bundle.open(request.bundle)
    own = () if request.rewritings is None else read_rewritings(request.rewritings)
    evaluator = load_evaluator(request.bundle, precision=request.precision)
    data = rows()
    for notice in [*missing_fields(bundle.manifest, data.rows), *training_rows(bundle, data.rows)]:
        reporter.warn(notice.message, remedy=notice.remedy)
    probed = measure.probe(
        evaluator,
        data.rows,
        Pool.of(data.rows, kind=request.kind, separator=request.separator),
        sample=request.sample,
        seed=request.seed,
        rewritings=(*REWRITINGS, *own),
    )
    if not probed.results:
        raise DataError(
            "no rewriting applies to these rows",
            remedy="give rows with an output, and with a ground truth to go by",
        )
    if probed.idle:
        reporter.note(f"these apply to none of the rows: {', '.join(probed.idle)}")
    if request.attach:
        from tipstaff_trainer.export.bundle_writer import attach_probes
        from tipstaff_trainer.report.card import model_card

        manifest = bundle.manifest.model_copy(update={"probes": probed.probes})
        bundle = attach_probes(bundle, manifest, card=model_card(manifest))
    return Probing(bundle, evaluator.engine, probed)
