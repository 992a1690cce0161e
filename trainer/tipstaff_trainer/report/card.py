"""The model card: what a bundle is, for people who find its folder."""

from __future__ import annotations

from collections.abc import Sequence

from tipstaff_server.evaluator.manifest import BundleCertificate, Graph, Manifest, Policy
from tipstaff_server.repository.caveats import caveats
from tipstaff_trainer.encoders.unread import unread_in_words
from tipstaff_trainer.report.rendering import environment

# What becomes of the label under rewritings, in words.
EFFECTS = {
    "breaks": "makes it bad",
    "keeps": "leaves a good one good",
    "mends": "makes it good",
}


def model_card(manifest: Manifest) -> str:
    """The card in Markdown."""
    graph = manifest.graphs[0]
    calibrated = graph.calibration.method != "none"
    template = environment(escape=False).get_template("model_card.md.j2")
    return template.render(
        it=manifest,
        graph=graph,
        calibrated=calibrated,
        # What the validation rows did to the training.
        use="stopped and calibrated" if calibrated else "stopped",
        windows=manifest.encoding.windows,
        caveats=caveats(manifest),
        verdicts=_verdicts(manifest.graphs),
        unread=unread_in_words(manifest.training.unread),
        probes=manifest.probes,
        effects=EFFECTS,
    )


def cuts_in_words(policy: Policy) -> str:
    """Which scores get which verdict."""
    between = ", REVIEW between" if policy.block_below < policy.pass_at else ""
    return f"PASS from {policy.pass_at:g}, BLOCK under {policy.block_below:g}{between}."


def certificate_doubt(certificate: BundleCertificate | None) -> str:
    """A caveat about a certificate; empty when there is none."""
    if certificate is None or certificate.unseen_checked is not False:
        return ""
    return (
        "The evaluator's training rows are not known, so nobody checked that it had seen none of "
        "the certificate's rows: the promise holds only if it hadn't."
    )


def half_rewritten(certificate: BundleCertificate) -> str:
    """Says that rows were rewritten for a certificate; empty where they were not."""
    return ", half of them rewritten" if certificate.rows == "probed" else ""


def _verdicts(graphs: Sequence[Graph]) -> list[str]:
    """One line a graph: each has its own cuts, and a certificate is for one of them."""
    lines = [f"{cuts_in_words(each.policy)} {_promise(each.policy.certificate)}" for each in graphs]
    if len(graphs) == 1:
        return lines
    return [f"- {each.engine}: {words}" for each, words in zip(graphs, lines, strict=True)]


def _promise(certificate: BundleCertificate | None) -> str:
    if certificate is None:
        return "These cuts are not certified: no promise is made on how often they err."
    promises = [
        f"at most {bound:.12g} of {label} outputs get {verdict}"
        for bound, label, verdict in (
            (certificate.max_false_pass, "bad", "PASS"),
            (certificate.max_false_block, "good", "BLOCK"),
        )
        if bound < 1
    ]
    each = "each " if len(promises) > 1 else ""
    return (
        f"Certified on {certificate.n} rows labelled by people{half_rewritten(certificate)}, "
        f"{certificate.date}: "
        f"{' and '.join(promises)}, {each}with confidence {certificate.confidence:.12g}, where "
        f"outputs are like those rows. {certificate_doubt(certificate)}"
    ).rstrip()
