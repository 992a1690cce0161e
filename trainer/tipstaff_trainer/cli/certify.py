"""`tipstaff certify BUNDLE DATA`: cuts that keep a promise, proved on rows that people labelled."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tipstaff.errors import UsageError
from tipstaff.types import Verdict
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.manifest import Precision
from tipstaff_server.repository import is_published
from tipstaff_trainer.cli.data_arguments import (
    absent_fields,
    add_data_arguments,
    check_exists,
    check_folder_of,
    read_data,
    warn,
)

if TYPE_CHECKING:
    from tipstaff_trainer.certification.certify import Certified
    from tipstaff_trainer.certification.promise import Promise


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the bundle's folder")
    add_data_arguments(parser)
    group = parser.add_argument_group("promise")
    group.add_argument(
        "--max-false-pass",
        type=float,
        default=0.05,
        metavar="RATE",
        help="of bad outputs, at most this share gets PASS; 1 promises nothing (default: 0.05)",
    )
    group.add_argument(
        "--max-false-block",
        type=float,
        default=1.0,
        metavar="RATE",
        help="of good outputs, at most this share gets BLOCK (default: nothing promised)",
    )
    group.add_argument(
        "--confidence",
        type=float,
        default=0.95,
        metavar="SHARE",
        help="of each promise by itself (default: 0.95)",
    )
    group.add_argument(
        "--pass-on-ood",
        action="store_true",
        help="let an output pass that is unlike the training data, and prove the promise with that",
    )
    group.add_argument(
        "--pass-on-partial",
        action="store_true",
        help="the same for an output of which not all was scored",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the certified bundle, a copy (default: BUNDLE-certified)",
    )
    parser.add_argument(
        "--precision",
        choices=get_args(Precision),
        help="which of its graphs (default: the one that a CPU serves)",
    )


def run(args: argparse.Namespace) -> int:
    """Certifies, writes the bundle and says what was promised and what it costs."""
    check_exists(args.data)

    from tipstaff_server.evaluator import Evaluator
    from tipstaff_trainer.certification.certify import (
        certified_manifest,
        certify,
        write_certified,
    )
    from tipstaff_trainer.certification.promise import Promise
    from tipstaff_trainer.report.card import model_card

    promise = Promise(args.max_false_pass, args.max_false_block, args.confidence)
    bundle = Bundle.open(args.bundle)
    out = args.out or _beside(bundle)
    if out.exists():
        raise UsageError(f"{out} is there already: choose another --out")
    check_folder_of(out)
    evaluator = Evaluator.load(args.bundle, precision=args.precision)
    data = read_data(args.data, args)
    warn((*data.warnings, *absent_fields(bundle.manifest, data)))
    evaluator.warm_up()
    found = certify(
        bundle,
        evaluator,
        data.rows,
        promise,
        pass_on_partial=args.pass_on_partial,
        pass_on_ood=args.pass_on_ood,
    )
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    manifest = certified_manifest(bundle.manifest, evaluator.graph.precision, found.policy)
    written = write_certified(bundle, manifest, out, card=model_card(manifest))
    _report(found, promise, evaluator.engine)
    print(f"bundle: {written.path}")
    print(f"next:   tipstaff serve {written.path}")
    return 0


def _beside(bundle: Bundle) -> Path:
    if is_published(bundle):
        raise UsageError(
            f"{bundle.path} is a published version, which never changes: say where the certified "
            "one goes with --out, and publish that"
        )
    # As it was typed, unless that has no name.
    named = bundle.path.resolve() if bundle.path.name in ("", "..") else bundle.path
    return named.with_name(f"{named.name}-certified")


def _report(found: Certified, promise: Promise, engine: str) -> None:
    certificate, cuts = found.policy.certificate, found.cuts
    assert certificate is not None
    print(
        f"{engine}: PASS from {cuts.pass_at:g}, BLOCK under {cuts.block_below:g}, on "
        f"{certificate.n} independent rows"
    )
    for name, cut, bound in (
        ("P(PASS | bad)", cuts.false_pass, promise.max_false_pass),
        ("P(BLOCK | good)", cuts.false_block, promise.max_false_block),
    ):
        if cut is None:
            print(f"{name:<16} nothing promised")
        else:
            print(
                f"{name:<16} at most {bound:.12g} with confidence {promise.confidence:.12g} "
                f"({cut.errors} of {cut.n} here)"
            )
    # Once let pass it stays so, in a bundle that is certified again.
    for allowed, what in (
        (found.policy.pass_on_ood, "what is unlike the training data, by its score"),
        (found.policy.pass_on_partial, "what was not read in full, by its score"),
    ):
        if allowed:
            print(f"{'may PASS':<16} {what}")
    for name, verdicts in (("good", found.good), ("bad", found.bad)):
        shares = ", ".join(
            f"{verdict} {verdicts[verdict] / max(1, verdicts.total()):.1%}" for verdict in Verdict
        )
        print(f"{name + ' rows':<16} {shares}")
