"""`tipstaff inspect`: verify a bundle and describe it, or list a repository."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tipstaff_server.evaluator.bundle import Bundle
    from tipstaff_server.evaluator.manifest import Encoding, Graph, Manifest

Line = tuple[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "path", type=Path, metavar="BUNDLE_OR_REPO", help="folder of a bundle or of a repository"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Prints a description of the bundle or the repository.

    Returns:
        1 if a repository has a damaged `serving.json`.

    Raises:
        TipstaffError: It is neither bundle nor repository, or is damaged.
    """
    from tipstaff_server.evaluator.bundle import Bundle
    from tipstaff_server.evaluator.manifest import MANIFEST_FILE

    path: Path = args.path
    if path.is_dir() and not (path / MANIFEST_FILE).exists() and _holds_evaluators(path):
        return _show_repository(path, as_json=args.json)
    _show_bundle(Bundle.open(path), as_json=args.json)
    return 0


def _holds_evaluators(path: Path) -> bool:
    from tipstaff_server.repository import names

    # An empty folder is a repository that nothing was published to.
    return bool(names(path)) or not any(path.iterdir())


def _show_repository(path: Path, *, as_json: bool) -> int:
    import dataclasses
    import json

    from tipstaff_server.repository import contents

    evaluators = contents(path)
    damaged = int(any(each.damage for each in evaluators))
    if as_json:
        rows = [dataclasses.asdict(each) for each in evaluators]
        print(json.dumps({"repository": str(path), "evaluators": rows}))
        return damaged
    print(f"{path}: repository of {len(evaluators)} evaluator{'s' * (len(evaluators) != 1)}")
    for published in evaluators:
        versions = ", ".join(
            f"{version} (serves)" if version == published.serving else str(version)
            for version in published.versions
        )
        none = "" if published.serving or published.damage else "; none serves yet"
        print(f"  {published.name:<20} {versions}{none}")
        if published.promoted_by:
            forced = ", in spite of a check" if published.forced else ""
            print(f"    promoted by {published.promoted_by}, {published.promoted_at}{forced}")
        if published.damage:
            print(f"    damaged: {published.damage}")
    return damaged


def _show_bundle(bundle: Bundle, *, as_json: bool) -> None:
    import json

    if as_json:
        manifest = bundle.manifest.model_dump(mode="json")
        print(json.dumps({"bundle": str(bundle.path), "verified": True, "manifest": manifest}))
        return
    print(f"{bundle.manifest.name}: bundle in {bundle.path}")
    _print(_overview(bundle))
    for graph in bundle.manifest.graphs:
        print(f"graph {graph.engine}: {graph.file}")
        _print(_measured(graph))
    if bundle.manifest.metrics:
        print("metrics")
        _print(_metrics(bundle.manifest))


def _overview(bundle: Bundle) -> Iterator[Line]:
    from tipstaff_server.evaluator.cases import bundle_cases

    manifest = bundle.manifest
    encoding, training = manifest.encoding, manifest.training
    yield "criterion", manifest.criterion or "not set"
    yield (
        "fields",
        f"{', '.join(manifest.fields)}; up to {encoding.max_length} tokens, marks {encoding.marks}",
    )
    yield "long texts", _windows(encoding)
    yield "base", f"{manifest.base.name} ({manifest.base.architecture})"
    sources = ", ".join(f"{count} {source}" for source, count in training.label_sources.items())
    labels = f"; labels: {sources}" if sources else ""
    yield (
        "trained on",
        f"{training.rows} rows, validated on {training.validation_rows}{labels}; "
        f"fingerprint {training.fingerprint[:12]}",
    )
    for judge in training.judges:
        prompt = f", prompt {judge.prompt[:12]}" if judge.prompt else ""
        yield "judge", f"{judge.name or 'not recorded'}{prompt}; {judge.rows} rows"
    if training.reviewers is not None:
        yield "reviewers", str(training.reviewers)
    if (learnt := manifest.learnt) is not None:
        words = "; ".join(map(str, learnt.comparisons)) or "all of one class"
        yield (
            "learnt",
            f"{'yes' if learnt.verdict else 'no'}, on {learnt.n} {learnt.rows} rows: {words}",
        )
    cases = bundle_cases(bundle)
    yield (
        "named cases",
        "none of its own: it must pass those of the version that serves"
        if cases is None
        else f"{len(cases)}, run before it may serve",
    )
    yield "made", f"{manifest.created_at} by tipstaff {manifest.tipstaff_version}"
    size = sum((bundle.path / file).stat().st_size for file in manifest.checksums)
    yield "files", f"{len(manifest.checksums)}, {size / 1e6:.1f} MB, checksums match"


def _windows(encoding: Encoding) -> str:
    windows = encoding.windows
    if windows is None:
        return "cut to what fits, the ground truth first"
    lengths = " and ".join(
        f"{getattr(windows, name)} tokens of {name}"
        for name in ("output", "ground_truth")
        if name in encoding.order
    )
    return f"in windows of {lengths}, up to {windows.max_runs} runs"


def _measured(graph: Graph) -> Iterator[Line]:
    policy, calibration, parity = graph.policy, graph.calibration, graph.parity
    allowed = (
        (policy.pass_on_partial, "partial coverage may pass"),
        (policy.pass_on_ood, "what is out of distribution may pass"),
        (policy.pass_on_unreadable, "what can't be read may pass"),
        (policy.pass_on_not_learnt, "outputs may pass though it has not learnt"),
        (policy.block_on_ood, "what is out of distribution may be blocked"),
    )
    cuts = f"pass at {policy.pass_at:g}, block below {policy.block_below:g}"
    yield "thresholds", ", ".join([cuts, *(words for holds, words in allowed if holds)])
    yield (
        "unread text",
        f"up to {policy.max_unread_output:.12g} of an output's characters and "
        f"{policy.max_unread_other:.12g} of another field's may be unread",
    )
    if (certificate := policy.certificate) is None:
        yield "certificate", "none: the thresholds are uncertified"
    else:
        # A bound of 1 guarantees nothing.
        bounds = [
            f"{rate} at most {bound:.12g}"
            for rate, bound in (
                ("P(PASS | bad)", certificate.max_false_pass),
                ("P(BLOCK | good)", certificate.max_false_block),
            )
            if bound < 1
        ]
        yield (
            "certificate",
            f"{', '.join(bounds)}, {'each ' if len(bounds) > 1 else ''}with confidence "
            f"{certificate.confidence:.12g}, on {certificate.n} human-labelled rows, "
            + certificate.date
            + ("; not checked against the training rows" * (certificate.unseen_checked is False)),
        )
    yield (
        "calibration",
        f"{calibration.method}: slope {calibration.slope:.4g}, intercept "
        f"{calibration.intercept:.4g}, on {calibration.n} rows",
    )
    if parity is None:
        yield "parity", "not measured"
    else:
        auroc = (
            f"; AUROC {parity.auroc_torch:.4f} in torch, {parity.auroc_graph:.4f} here"
            if parity.auroc_torch is not None and parity.auroc_graph is not None
            else ""
        )
        yield (
            "parity",
            f"{parity.changed:.2%} of {parity.n} decisions changed against torch (at least "
            f"{parity.changed_low:.2%}), largest logit difference "
            f"{parity.largest_logit_difference:.3g}{auroc}",
        )
    if graph.wide_layers:
        yield "wider", f"{len(graph.wide_layers)} linear layers, which stay in fp32"
    if graph.ood is None:
        yield "unlike data", "not detected"
    else:
        yield (
            "unlike data",
            f"detected by embedding and lengths; {graph.ood.flagged:.1%} of {graph.ood.n} "
            "validation rows are above its threshold",
        )
        if graph.fallback is not None:
            yield "fallback", "shared words count more than the encoder where it is unlike"
    yield "a run takes", "any number of requests" if graph.batch_invariant else "one request"
    yield "golden", f"{len(graph.golden)} interactions, may differ by {graph.golden_bound:.3g}"


def _metrics(manifest: Manifest) -> Iterator[Line]:
    for data, metrics in manifest.metrics.items():
        yield (
            data,
            ", ".join(
                f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}"
                for name, value in metrics.items()
                if value is not None
            ),
        )


def _print(lines: Iterator[Line]) -> None:
    for label, text in lines:
        print(f"  {label:<12} {text}")
