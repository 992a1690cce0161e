"""`tipstaff certify BUNDLE DATA`: thresholds that meet an error bound, on people's labels."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tipstaff.cli import flag_names
from tipstaff.types import Verdict
from tipstaff_server.cli.options import add_options, given
from tipstaff_trainer.cli.data_options import DATA_FLAGS, add_data_options, file_data
from tipstaff_trainer.operations.certify import CertifyRequest, certify
from tipstaff_trainer.operations.sources import file_source
from tipstaff_trainer.progress import TerminalReporter

if TYPE_CHECKING:
    from tipstaff_trainer.operations.certify import Certification

FLAGS = {"bundle": "BUNDLE", **DATA_FLAGS}
_PROMISE = (
    *("max_false_pass", "max_false_block", "confidence"),
    *("pass_on_ood", "pass_on_partial", "pass_on_unreadable", "pass_on_not_learnt", "block_on_ood"),
    "probed",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_options(parser, CertifyRequest, flags=FLAGS, without=_PROMISE)
    add_data_options(parser)
    promise = parser.add_argument_group("promise")
    add_options(promise, CertifyRequest, flags=FLAGS, only=_PROMISE)


def run(args: argparse.Namespace) -> int:
    """Certifies, and prints what was promised and what it costs."""
    data = file_data(args)
    request = CertifyRequest.parse({**given(CertifyRequest, args), "data": data})
    reporter = TerminalReporter(flag_names(FLAGS))
    certification = certify(request, file_source(data, reporter), reporter)
    print("\n".join(_lines(request, certification)))
    print(f"bundle: {certification.bundle.path}")
    print(f"next:   tipstaff serve {certification.bundle.path}")
    return 0


def _lines(request: CertifyRequest, certification: Certification) -> Iterator[str]:
    from tipstaff_trainer.report.card import half_rewritten

    certified = certification.certified
    certificate, cuts = certified.policy.certificate, certified.cuts
    assert certificate is not None
    yield (
        f"{certification.engine}: PASS from {cuts.pass_at:g}, BLOCK under {cuts.block_below:g}, on "
        f"{certificate.n} independent rows{half_rewritten(certificate)}"
    )
    for name, cut, bound in (
        ("P(PASS | bad)", cuts.false_pass, request.max_false_pass),
        ("P(BLOCK | good)", cuts.false_block, request.max_false_block),
    ):
        if cut is None:
            yield f"{name:<16} nothing promised"
        else:
            yield (
                f"{name:<16} at most {bound:.12g} with confidence {request.confidence:.12g} "
                f"({cut.errors} of {cut.n} here)"
            )
    # Once let pass it stays so, in a bundle that is certified again.
    for allowed, verdict, what in (
        (certified.policy.pass_on_ood, "PASS", "what is unlike the training data, by its score"),
        (certified.policy.pass_on_partial, "PASS", "what was not read in full, by its score"),
        (certified.policy.pass_on_unreadable, "PASS", "what the encoder can't read, by its score"),
        (certified.policy.pass_on_not_learnt, "PASS", "outputs, though it has not learnt"),
        (certified.policy.block_on_ood, "BLOCK", "what is unlike the training data, by its score"),
    ):
        if allowed:
            yield f"{'may ' + verdict:<16} {what}"
    for name, verdicts in (("good", certified.good), ("bad", certified.bad)):
        shares = ", ".join(
            f"{verdict} {verdicts[verdict] / max(1, verdicts.total()):.1%}" for verdict in Verdict
        )
        yield f"{name + ' rows':<16} {shares} of {verdicts.total()}"
