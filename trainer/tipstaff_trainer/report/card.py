"""The model card: what a bundle is, for a person who finds it in a folder."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tipstaff_server.evaluator.manifest import BundleCertificate, Encoding, Graph, Manifest, Policy

# What Markdown or HTML would read as more than text; underscores inside of words are text to both.
_MARKUP = re.compile(r"[\\`*\[\]<>|~]|&(?=#?\w+;)|(?<!\w)_+|_+(?!\w)")


def model_card(manifest: Manifest) -> str:
    """The card in Markdown."""
    graph = manifest.graphs[0]
    training = manifest.training
    sources = ", ".join(f"{count} {name}" for name, count in training.label_sources.items())
    lines = [
        f"# {manifest.name}",
        "",
        manifest.criterion or "*No criterion was given for this evaluator.*",
        "",
        f"A {manifest.base.architecture} classifier trained from {manifest.base.name} by "
        f"tipstaff {manifest.tipstaff_version}, {manifest.created_at[:10]}. {_meaning(graph)}",
        "",
        "## Data",
        "",
        f"Trained on {training.rows} rows, {_validated(graph)} on {training.validation_rows} "
        f"others (labels: {sources}). Reads {', '.join(manifest.fields)}, at most "
        f"{manifest.encoding.max_length} tokens at a time{_windows(manifest.encoding)}.",
        "",
        f"## Quality of the {graph.precision} graph, as served",
        "",
        *_metrics_table(manifest),
        "",
        *_optimism(manifest),
        *_parity(graph),
        *_calibration(graph),
        "",
        "## Verdicts",
        "",
        *_verdicts(manifest.graphs),
        "",
    ]
    return "\n".join(lines)


def as_text(text: str) -> str:
    """Escapes a text as one line of Markdown, also for cells of tables."""
    return _MARKUP.sub(
        lambda match: "".join(f"\\{sign}" for sign in match[0]), " ".join(text.split())
    )


def cuts_in_words(policy: Policy) -> str:
    """Which scores get which verdict."""
    between = ", REVIEW between" if policy.block_below < policy.pass_at else ""
    return f"PASS from {policy.pass_at:g}, BLOCK under {policy.block_below:g}{between}."


def certificate_doubt(held: BundleCertificate | None) -> str:
    """A caveat about a certificate; empty when there is none."""
    if held is None or held.unseen_checked is not False:
        return ""
    return (
        "The evaluator's training rows are not known, so nobody checked that it had seen none of "
        "the certificate's rows: the promise holds only if it hadn't."
    )


def _verdicts(graphs: Sequence[Graph]) -> list[str]:
    """One line a graph: each has its own cuts, and a certificate is for one of them."""
    lines = [f"{cuts_in_words(each.policy)} {_promise(each.policy.certificate)}" for each in graphs]
    if len(graphs) == 1:
        return lines
    return [f"- {each.engine}: {words}" for each, words in zip(graphs, lines, strict=True)]


def _promise(held: BundleCertificate | None) -> str:
    if held is None:
        return "These cuts are not certified: no promise is made on how often they err."
    promises = [
        f"at most {bound:.12g} of {label} outputs get {verdict}"
        for bound, label, verdict in (
            (held.max_false_pass, "bad", "PASS"),
            (held.max_false_block, "good", "BLOCK"),
        )
        if bound < 1
    ]
    each = "each " if len(promises) > 1 else ""
    return (
        f"Certified on {held.n} rows labelled by people, {held.date}: {' and '.join(promises)}, "
        f"{each}with confidence {held.confidence:.12g}, where outputs are like those rows."
        f" {certificate_doubt(held)}"
    ).rstrip()


def _meaning(graph: Graph) -> str:
    if _calibrated(graph):
        return "Its score is the probability that the output is good."
    return "Its score is higher for better outputs, but no probability, as it is not calibrated."


def _validated(graph: Graph) -> str:
    """What the validation rows were used for."""
    return "stopped and calibrated" if _calibrated(graph) else "stopped"


def _calibrated(graph: Graph) -> bool:
    return graph.calibration.method != "none"


def _windows(encoding: Encoding) -> str:
    windows = encoding.windows
    if windows is None:
        return "; what is longer is cut"
    lengths = " and ".join(
        f"{getattr(windows, name)} ({name.replace('_', ' ')})"
        for name in ("output", "ground_truth")
        if name in encoding.order
    )
    return f"; longer texts in windows of {lengths}, {windows.max_runs} runs at most"


def _metrics_table(manifest: Manifest) -> list[str]:
    sets = list(manifest.metrics)
    names = list(next(iter(manifest.metrics.values()), {}))
    return [
        f"| metric | {' | '.join(sets)} |",
        f"| --- |{' --- |' * len(sets)}",
        *(
            f"| {name} | "
            + " | ".join(_shown(manifest.metrics[part][name]) for part in sets)
            + " |"
            for name in names
        ),
    ]


def _optimism(manifest: Manifest) -> list[str]:
    if "validation" not in manifest.metrics:
        return []
    return [
        "The validation numbers are optimistic: these rows "
        f"{_validated(manifest.graphs[0])} the training.",
        "",
    ]


def _parity(graph: Graph) -> list[str]:
    if graph.parity is None:
        return []
    return [
        f"Against the trained model in torch it changes {graph.parity.changed:.2%} of the "
        f"decisions over {graph.parity.n} rows."
    ]


def _calibration(graph: Graph) -> list[str]:
    if not _calibrated(graph):
        return ["Its score is not calibrated: there were too few validation rows of both classes."]
    return [f"Its score is calibrated on {graph.calibration.n} validation rows."]


def _shown(value: float | None) -> str:
    if value is None:
        return "not defined"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
