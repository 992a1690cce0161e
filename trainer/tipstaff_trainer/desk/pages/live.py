"""Live: what traffic says of each evaluator, its spikes, and its way into the review queue."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlencode

from starlette.responses import Response

from tipstaff_trainer.desk.context import RequestContext, local_address
from tipstaff_trainer.desk.routing import Routes
from tipstaff_trainer.desk.views import labels_url
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.traffic.judge_cost import judge_cost
from tipstaff_trainer.workspace.traffic.live import Chart, Live
from tipstaff_trainer.workspace.traffic.telling import telling_rows
from tipstaff_trainer.workspace.traffic.triage import Triage
from tipstaff_trainer.workspace.traffic.window import CHARTS, VERDICTS, Window

routes = Routes()

Series = Sequence[tuple[str, Sequence[tuple[float, float]]]]
# The class of each verdict's line.
_LINES = {"PASS": "two", "REVIEW": "faint", "BLOCK": "three"}

_HOUR = 3600
_DAY = 24 * _HOUR
WINDOWS = {
    "hour": ("1 hour", _HOUR),
    "day": ("24 hours", _DAY),
    "week": ("7 days", 7 * _DAY),
    "month": ("30 days", 30 * _DAY),
    "quarter": ("90 days", 90 * _DAY),
}
_MOST_QUEUED = 1000
_CHART_WORDS = {
    "PASS": "Share of PASS",
    "REVIEW": "Share of REVIEW",
    "BLOCK": "Share of BLOCK",
    "expected_bad": "Bad answers by the scores",
}


@routes.get("/live")
def show_all(ctx: RequestContext) -> Response:
    """The evaluators with traffic."""
    traffic = ctx.stores.traffic
    window = Window.last(7 * _DAY, now=time.time())
    lives = [traffic.live(name, window) for name in traffic.sources()]
    return ctx.page("live_all.html", lives=lives)


@routes.get("/live/{name:str}")
def show(ctx: RequestContext) -> Response:
    """An evaluator's traffic in a window."""
    name = ctx.request.path_params["name"]
    span, window = _window(ctx)
    live = ctx.stores.traffic.live(name, window)
    choices = ctx.stores.traffic.choices(live)
    labels = ctx.stores.datasets.get(live.dataset_id).label_sets[0]
    agreement, agreement_until = _agreement(live)
    return ctx.page(
        "live.html",
        live=live,
        choices=choices,
        attribute_text=_attribute_text,
        windows=WINDOWS,
        span=span,
        labels=labels,
        progress=ctx.stores.reviews.progress(labels),
        charts=_charts(live),
        agreement=agreement,
        agreement_until=agreement_until,
        spikes=[(_CHART_WORDS[each.name], each, _rows_url(live, each)) for each in live.spikes],
        training_bands=ctx.stores.traffic.training_bands(live),
        judge=judge_cost(ctx.stores.jobs.recent(kind="label"), live.n),
        moment=_moment,
        query=_query(span, window),
        own=ctx.url,
    )


@routes.get("/live/{name:str}/rows")
def show_rows(ctx: RequestContext) -> Response:
    """Kept rows, such as those behind a spike, the most telling first."""
    name = ctx.request.path_params["name"]
    span, window = _window(ctx)
    chart, direction = ctx.text("chart"), ctx.text("direction")
    if chart not in ("", *CHARTS):
        raise WorkspaceError(f"there is no chart {chart[:40]!r}")
    dataset = ctx.stores.datasets.get(ctx.stores.traffic.dataset_id(name))
    rows = telling_rows(
        ctx.stores.database, name, dataset.id, window, chart=chart, direction=direction
    )
    return ctx.page(
        "live_rows.html",
        name=name,
        rows=rows,
        labels=dataset.label_sets[0],
        window=window,
        what=_CHART_WORDS.get(chart, ""),
        direction=direction,
        moment=_moment,
        query=_query(span, window),
        narrowing=_narrowing(window),
        own=ctx.url,
    )


@routes.post("/live/{name:str}")
def queue(ctx: RequestContext) -> Response:
    """Queues rows for review."""
    name = ctx.request.path_params["name"]
    span, window = _window(ctx)
    counts = {
        kind: min(_MOST_QUEUED, max(0, ctx.integer(kind, 0)))
        for kind in ("drawn", "disputed", "flagged", "passed")
    }
    triage = Triage(window, **counts, why=ctx.text("why")[:80])
    count = ctx.stores.traffic.queue(name, triage)
    labels = ctx.stores.datasets.get(ctx.stores.traffic.dataset_id(name)).label_sets[0]
    if not count:
        shown = f"/live/{name}?{urlencode(_query(span, window))}"
        back = local_address(ctx.text("back"), shown)
        return ctx.redirect(back, "All such rows are in the queue already, or were.", "note")
    words = "1 row waits" if count == 1 else f"{count:,} rows wait"
    return ctx.redirect(labels_url(labels, section="review"), f"{words} for review.")


def _window(ctx: RequestContext) -> tuple[str, Window]:
    """The window that a request names: a span until now, or from one moment to another."""
    version, caller = ctx.integer("version", None), ctx.text("caller")
    attribute = _attribute(ctx.text("attribute"))
    since, until = ctx.integer("since", None), ctx.integer("until", None)
    named = None if caller in ("", "*") else caller
    if since is not None and until is not None and since < until:
        return "", Window(since, until, version, named, attribute)
    span = ctx.text("span", "week")
    if span not in WINDOWS:
        span = "week"
    return span, Window.last(
        WINDOWS[span][1],
        now=time.time(),
        version=version,
        caller=named,
        attribute=attribute,
    )


def _attribute_text(name: str, value: str) -> str:
    """An attribute as an address or a form names it: NAME=VALUE; a name may have `=` too."""
    return f"{name.replace('%', '%25').replace('=', '%3D')}={value}"


def _attribute(text: str) -> tuple[str, str] | None:
    """The name and value in a text of `_attribute_text`; None without a name."""
    name, _, value = text.partition("=")
    return (name.replace("%3D", "=").replace("%25", "%"), value) if name else None


def _narrowing(window: Window) -> dict[str, str]:
    """The part of the traffic that a window is narrowed to, as an address or a form names it."""
    query = {}
    if window.version is not None:
        query["version"] = str(window.version)
    if window.caller is not None:
        query["caller"] = window.caller
    if window.attribute is not None:
        query["attribute"] = _attribute_text(*window.attribute)
    return query


def _query(span: str, window: Window) -> dict[str, str]:
    """The same time and part of the traffic, as an address or a form names them."""
    if span:
        return {"span": span, **_narrowing(window)}
    since, until = str(int(window.since)), str(int(window.until))
    return {"since": since, "until": until, **_narrowing(window)}


def _charts(live: Live) -> Sequence[tuple[str, Series]]:
    """Lines by chart, with seconds since the first point."""
    if not live.points:
        return ()
    first = live.points[0].start

    def line(value: str) -> list[tuple[float, float]]:
        return [
            (point.start - first, point.verdicts.get(value, 0) / point.n)
            for point in live.points
            if point.n
        ]

    bad = [(point.start - first, point.expected_bad / point.n) for point in live.points if point.n]
    volume = [(point.start - first, float(point.n)) for point in live.points]
    return (
        (
            "Shares of PASS, REVIEW and BLOCK",
            [(_LINES[verdict], line(verdict)) for verdict in VERDICTS],
        ),
        ("Bad answers that the scores expect", [("one", bad)]),
        (f"Answers in {_duration(live.step)}", [("one", volume)]),
    )


def _agreement(live: Live) -> tuple[Series, float]:
    """How often people agree with PASS and BLOCK, and the interval's ends.

    Returns:
        The lines, by seconds since the first period that has enough reviews; and when the last of
        these periods begins.
    """
    periods = [
        (start, it.value, it.low, it.high)
        for start, it in ((start, rates.agreement) for start, rates in live.over_time)
        if it.value is not None and it.low is not None and it.high is not None
    ]
    if not periods:
        return [("faint", []), ("faint", []), ("one", [])], live.window.until
    first = periods[0][0]
    lines: Series = [
        ("faint", [(start - first, low) for start, _, low, _ in periods]),
        ("faint", [(start - first, high) for start, _, _, high in periods]),
        ("one", [(start - first, value) for start, value, _, _ in periods]),
    ]
    return lines, periods[-1][0]


def _rows_url(live: Live, chart: Chart) -> str:
    spike = chart.spike
    query = {
        "since": spike.start,
        "until": spike.found,
        "chart": chart.name,
        "direction": spike.direction,
        # A spike of a version or a caller is shown by its own rows.
        **_narrowing(live.window),
    }
    return f"/live/{live.evaluator}/rows?{urlencode(query)}"


def _duration(seconds: int) -> str:
    words = {60: "a minute", _HOUR: "an hour", _DAY: "a day"}
    return words.get(seconds, f"{seconds // _HOUR} hours")


def _moment(seconds: float) -> str:
    """A time, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
