"""Plots as SVG text that takes its colours from the page around it.

matplotlib draws; each colour here is a placeholder that becomes a CSS variable, so that one drawing
suits light and dark pages.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from tipstaff_trainer.evaluation.base import Floats
from tipstaff_trainer.evaluation.curves import Curve, Histogram, ReliabilityBin
from tipstaff_trainer.evaluation.latency import Latency

Arguments = ParamSpec("Arguments")

_SIZE = (4.2, 3.0)
# A loss logged at every step is noisy; in a short run, every step can be seen.
_SMOOTH_FROM = 100
# Placeholder colours for matplotlib, and the page's variables for them.
_INK, _FAINT, _MAIN, _GOOD, _BAD, _SECOND = (f"#0000f{digit}" for digit in range(1, 7))
_VARIABLES = {
    _INK: "var(--ink-soft)",
    _FAINT: "var(--line)",
    _MAIN: "var(--accent)",
    _GOOD: "var(--colour-good)",
    _BAD: "var(--colour-bad)",
    _SECOND: "var(--second)",
}
# matplotlib types its keys as a closed list of words.
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tipstaff",
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 2,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), _INK),
    **dict.fromkeys(("axes.edgecolor", "grid.color"), _FAINT),
    **dict.fromkeys(("xtick.major.size", "ytick.major.size", "xtick.minor.size"), 0),
}
# A thin line to compare with, as that of chance.
_REFERENCE: dict[str, Any] = {"color": _INK, "linewidth": 1, "linestyle": (0, (2, 3))}


def _plot(draw: Callable[Concatenate[Axes, Arguments], None]) -> Callable[Arguments, Markup]:
    """Makes a function that draws on axes one that returns a page's SVG."""

    @wraps(draw)
    def plot(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Markup:
        text = io.StringIO()
        with rc_context(_STYLE):
            # Without pyplot no state is shared with other figures, and no display is needed.
            figure = Figure(figsize=_SIZE, layout="constrained")
            draw(figure.subplots(), *args, **kwargs)
            figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
        return Markup(_for_page(text.getvalue()))

    return plot


@_plot
def roc(axes: Axes, curve: Curve) -> None:
    """A ROC curve over the line of chance."""
    axes.plot([0, 1], [0, 1], **_REFERENCE)
    axes.fill_between(curve.x, curve.y, color=_MAIN, alpha=0.12, linewidth=0)
    axes.plot(curve.x, curve.y, color=_MAIN)
    _percent(axes, curve.x_label, curve.y_label)


@_plot
def precision_recall(axes: Axes, curve: Curve, share_good: float) -> None:
    """A precision-recall curve over the line of guessing."""
    axes.axhline(share_good, **_REFERENCE)
    axes.plot(curve.x, curve.y, color=_MAIN)
    _percent(axes, curve.x_label, curve.y_label)


@_plot
def reliability(axes: Axes, bins: Sequence[ReliabilityBin]) -> None:
    """Mean score against mean label; larger points hold more rows."""
    most = max(part.n for part in bins)
    scores, labels = [part.score for part in bins], [part.good for part in bins]
    sizes = [12 + 130 * part.n / most for part in bins]
    axes.plot([0, 1], [0, 1], **_REFERENCE)
    axes.plot(scores, labels, color=_MAIN, linewidth=1)
    axes.scatter(scores, labels, sizes, color=_MAIN, alpha=0.75, linewidth=0, zorder=3)
    _percent(axes, "score", "good among them")


@_plot
def histogram(axes: Axes, bins: Histogram, *, pass_at: float, block_below: float) -> None:
    """Shares of the good rows upwards, of the bad ones downwards, with the cuts."""
    edges = np.array(bins.edges)
    width = np.diff(edges)
    for counts, sign, colour, label in (
        (bins.good, 1, _GOOD, "good"),
        (bins.bad, -1, _BAD, "bad"),
    ):
        shares = sign * np.array(counts) / max(1, sum(counts))
        axes.bar(edges[:-1], shares, width * 0.9, align="edge", color=colour, label=label)
    for cut in {pass_at, block_below}:
        axes.axvline(cut, color=_INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.axhline(0, color=_INK, linewidth=0.6)
    axes.set(xlim=(0, 1), xlabel="score", ylabel="share of the class")
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0%}")
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper center", ncols=2)


@_plot
def latency(axes: Axes, points: Sequence[Latency]) -> None:
    """Milliseconds by length, both on logarithmic scales."""
    tokens = [point.tokens for point in points]
    medians = [point.median_ms for point in points]
    slow = [point.p90_ms for point in points]
    axes.fill_between(tokens, medians, slow, color=_MAIN, alpha=0.2, linewidth=0)
    axes.plot(tokens, medians, color=_MAIN, marker="o", ms=4)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(tokens, [str(count) for count in tokens])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda *_: "")
    axes.set(xlabel="tokens", ylabel="ms, one thread")


@_plot
def learning(axes: Axes, curves: Sequence[Curve]) -> None:
    """Losses by step, on one axis; AUROC beside them, on the other."""
    colours = {"training loss": _INK, "validation loss, calibrated": _MAIN}
    lines = []
    for curve in curves:
        if curve.name not in colours:
            other = axes.twinx()
            other.grid(visible=False)
            other.spines["right"].set_visible(False)
            other.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
            other.set_ylabel(curve.name)
            lines += other.plot(curve.x, curve.y, "o-", color=_SECOND, label=curve.name, ms=3)
            continue
        options: dict[str, Any] = {"color": colours[curve.name], "label": curve.name}
        if len(curve.x) > _SMOOTH_FROM:
            lines += axes.plot(curve.x, _smooth(curve.y), linewidth=1, **options)
        else:
            lines += axes.plot(curve.x, curve.y, "o-", ms=3, **options)
    axes.set_ylim(bottom=0)
    axes.set(xlabel="step", ylabel="loss")
    axes.legend(handles=lines, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


@_plot
def risk_coverage(axes: Axes, curve: Curve) -> None:
    """The share of wrong decisions by the share decided."""
    axes.plot(curve.x, curve.y, color=_MAIN)
    _percent(axes, curve.x_label, curve.y_label, top=None)


def _smooth(values: Sequence[float]) -> Floats:
    """The mean of each step and its neighbours, a fiftieth of the run to either side."""
    reach = len(values) // 50
    sums = np.r_[0, np.cumsum(values)]
    places = np.arange(len(values))
    low, high = np.maximum(places - reach, 0), np.minimum(places + reach + 1, len(values))
    smooth: Floats = (sums[high] - sums[low]) / (high - low)
    return smooth


def _percent(axes: Axes, x_label: str, y_label: str, *, top: float | None = 1.02) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    axes.set(xlim=(0, 1), ylim=(0, top), xlabel=x_label, ylabel=y_label)


def _for_page(drawing: str) -> str:
    """The `svg` element alone, in the page's colours, letters and width."""
    svg = drawing[drawing.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', 'aria-hidden="true"', svg, count=1)
    svg = re.sub(r"(font: [\d.]+px) [^;\"]+", r"\1 var(--letters)", svg)
    # All drawings of a page share its ids: give each drawing a prefix of its own.
    prefix = hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>p{prefix}-", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg
