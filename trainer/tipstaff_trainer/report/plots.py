"""Plots as SVG text that takes its colours from the page around it.

matplotlib draws; each colour here is a placeholder that becomes a CSS variable, so that one drawing
suits light and dark pages.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from tipstaff_trainer.evaluation.curves import Curve, Histogram, ReliabilityBin
from tipstaff_trainer.evaluation.latency import Latency

_SIZE = (4.2, 3.0)
# A loss logged at every step is noisy; in a short run, every step can be seen.
_SMOOTH_FROM = 100
# Placeholder colours for matplotlib, and the page's variables for them.
_INK, _FAINT, _MAIN, _GOOD, _BAD, _SECOND = (f"#0000f{digit}" for digit in range(1, 7))
_VARIABLES = {
    _INK: "var(--ink-soft)",
    _FAINT: "var(--line)",
    _MAIN: "var(--accent)",
    _GOOD: "var(--good)",
    _BAD: "var(--bad)",
    _SECOND: "var(--second)",
}
# matplotlib types its keys as a closed list of words.
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tipstaff",
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _FAINT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 2,
}


def roc(curve: Curve) -> str:
    """A ROC curve over the line of chance."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=1, linestyle=(0, (2, 3)))
        axes.fill_between(curve.x, curve.y, color=_MAIN, alpha=0.12, linewidth=0)
        axes.plot(curve.x, curve.y, color=_MAIN)
        _percent(axes, curve.x_label, curve.y_label)

    return _svg(draw)


def precision_recall(curve: Curve, share_good: float) -> str:
    """A precision-recall curve over the line of guessing."""

    def draw(axes: Axes) -> None:
        axes.axhline(share_good, color=_INK, linewidth=1, linestyle=(0, (2, 3)))
        axes.plot(curve.x, curve.y, color=_MAIN)
        _percent(axes, curve.x_label, curve.y_label)

    return _svg(draw)


def reliability(bins: Sequence[ReliabilityBin]) -> str:
    """Mean score against mean label; larger points hold more rows."""

    def draw(axes: Axes) -> None:
        most = max(part.n for part in bins)
        scores = [part.score for part in bins]
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=1, linestyle=(0, (2, 3)))
        axes.plot(scores, [part.good for part in bins], color=_MAIN, linewidth=1)
        axes.scatter(
            scores,
            [part.good for part in bins],
            [12 + 130 * part.n / most for part in bins],
            color=_MAIN,
            alpha=0.75,
            linewidth=0,
            zorder=3,
        )
        _percent(axes, "score", "good among them")

    return _svg(draw)


def histogram(bins: Histogram, *, pass_at: float, block_below: float) -> str:
    """Shares of the good rows upwards, of the bad ones downwards, with the cuts."""

    def draw(axes: Axes) -> None:
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
        axes.set_xlim(0, 1)
        axes.set_xlabel("score")
        axes.set_ylabel("share of the class")
        axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0%}")
        axes.grid(visible=False, axis="x")
        axes.legend(loc="upper center", ncols=2)

    return _svg(draw)


def latency(points: Sequence[Latency]) -> str:
    """Milliseconds by length, both on logarithmic scales."""

    def draw(axes: Axes) -> None:
        tokens = [point.tokens for point in points]
        axes.fill_between(
            tokens,
            [point.median_ms for point in points],
            [point.p90_ms for point in points],
            color=_MAIN,
            alpha=0.2,
            linewidth=0,
        )
        axes.plot(tokens, [point.median_ms for point in points], color=_MAIN, marker="o", ms=4)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(tokens, [str(count) for count in tokens])
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(lambda *_: "")
        axes.set_xlabel("tokens")
        axes.set_ylabel("ms, one thread")

    return _svg(draw)


def learning(curves: Sequence[Curve]) -> str:
    """Losses by step, on one axis; AUROC beside them, on the other."""

    def draw(axes: Axes) -> None:
        colours = {"training loss": _INK, "validation loss, calibrated": _MAIN}
        lines = []
        for curve in curves:
            if curve.name in colours:
                many = len(curve.x) > _SMOOTH_FROM
                lines += axes.plot(
                    curve.x,
                    _smooth(curve.y) if many else curve.y,
                    color=colours[curve.name],
                    label=curve.name,
                    linewidth=1 if many else 2,
                    marker=None if many else "o",
                    ms=3,
                )
            else:
                other = axes.twinx()
                other.grid(visible=False)
                other.spines["right"].set_visible(False)
                other.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
                other.set_ylabel(curve.name)
                lines += other.plot(
                    curve.x, curve.y, color=_SECOND, label=curve.name, marker="o", ms=3
                )
        axes.set_ylim(bottom=0)
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.legend(handles=lines, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)

    return _svg(draw)


def _smooth(values: Sequence[float]) -> npt.NDArray[np.float64]:
    """The mean of each step and its neighbours, a fiftieth of the run to either side."""
    reach = len(values) // 50
    sums = np.r_[0, np.cumsum(values)]
    places = np.arange(len(values))
    low, high = np.maximum(places - reach, 0), np.minimum(places + reach + 1, len(values))
    smooth: npt.NDArray[np.float64] = (sums[high] - sums[low]) / (high - low)
    return smooth


def risk_coverage(curve: Curve) -> str:
    """The share of wrong decisions by the share decided."""

    def draw(axes: Axes) -> None:
        axes.plot(curve.x, curve.y, color=_MAIN)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1))
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(curve.x_label)
        axes.set_ylabel(curve.y_label)

    return _svg(draw)


def _percent(axes: Axes, x_label: str, y_label: str) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)


def _svg(draw: Callable[[Axes], None]) -> str:
    text = io.StringIO()
    with rc_context(_STYLE):
        # Without pyplot there is no state outside of this figure, and no display is looked for.
        figure = Figure(figsize=_SIZE, layout="constrained")
        draw(figure.subplots())
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(text.getvalue())


def _for_page(drawn: str) -> str:
    """The `svg` element alone, in the page's colours, letters and width."""
    svg = drawn[drawn.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', 'aria-hidden="true"', svg, count=1)
    svg = re.sub(r"(font: [\d.]+px) [^;\"]+", r"\1 var(--letters)", svg)
    # Names inside of one drawing are names of the whole page, and two plots use the same.
    own = hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>p{own}-", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg
