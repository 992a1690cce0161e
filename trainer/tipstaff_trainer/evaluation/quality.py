"""The main measures of a bundle, for its manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.encoding import Encoder
from tipstaff_server.evaluator.manifest import Manifest
from tipstaff_server.evaluator.ood import OodMeter
from tipstaff_server.evaluator.quality import Quality
from tipstaff_server.evaluator.session import Session
from tipstaff_trainer.data import Row, fingerprint
from tipstaff_trainer.evaluation.scored import ScoredRows
from tipstaff_trainer.evaluation.slices import measure


def measure_bundle(
    manifest: Manifest, encoder: Encoder, folder: Path, parts: Mapping[str, Sequence[Row]]
) -> dict[str, Quality]:
    """Measures the verdicts of a bundle's first graph, through the server's code.

    Args:
        manifest: The manifest, which need not be written yet.
        encoder: The bundle's.
        folder: The folder with the graph's files.
        parts: Rows by name; empty parts are left out.
    """
    graph = manifest.graphs[0]
    session = Session((folder / graph.file).read_bytes(), pad_id=manifest.encoding.pad_id)
    meter = None if graph.ood is None else OodMeter.load((folder / graph.ood.file).read_bytes())
    evaluator = Evaluator(manifest, graph, encoder, session, meter)
    return {
        name: measure_quality(ScoredRows.score(evaluator, rows))
        for name, rows in parts.items()
        if rows
    }


def measure_quality(scored: ScoredRows) -> Quality:
    """Measures an evaluator on at least one row, with intervals that know of groups."""
    overall = measure(scored)
    return Quality(
        n=overall.n,
        good=overall.good,
        accuracy=overall.accuracy,
        auroc=overall.auroc,
        bad_passed=overall.false_pass,
        fingerprint=fingerprint(scored.rows),
    )
