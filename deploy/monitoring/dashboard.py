"""The Grafana dashboard as code: a row for each question that an operator asks.

    python deploy/monitoring/dashboard.py > deploy/monitoring/dashboard.json

Written out here and not with Grafana's own SDK, whose versions on PyPI can't be pinned to a range:
a panel takes six fields.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

_WIDTH, _HEIGHT, _PER_ROW = 24, 8, 3
_JOB = 'job=~"$job"'
_BY = f'{_JOB},evaluator=~"$evaluator"'


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: Its question or figure.
        queries: PromQL by legend.
        unit: Grafana's unit of the figures.
        note: How to read it.
    """

    title: str
    queries: dict[str, str]
    unit: str = "short"
    note: str = ""


def _rate(metric: str, labels: str = _BY, by: str = "") -> str:
    total = f"sum by ({by})" if by else "sum"
    return f"{total} (rate({metric}{{{labels}}}[$__rate_interval]))"


def _quantile(share: float, metric: str, by: str = "le") -> str:
    return f"histogram_quantile({share}, {_rate(f'{metric}_bucket', by=by)})"


_REQUESTS = "tipstaff_request_duration_seconds"

ROWS: dict[str, tuple[Panel, ...]] = {
    "Is it up?": (
        Panel("Servers that answer scrapes", {"up": f"sum(up{{{_JOB}}})"}),
        Panel(
            "Versions in service",
            {
                "{{evaluator}} {{version}} {{engine}}": "count by (evaluator, version, engine) "
                f"(tipstaff_evaluator_info{{{_BY}}})"
            },
            note="Two versions of one evaluator: servers follow a promotion, or one can't.",
        ),
        Panel(
            "Not as it should be",
            {
                "degraded {{evaluator}}": "sum by (evaluator) "
                f"(tipstaff_evaluator_degraded{{{_BY}}})",
                "failed promotions {{evaluator}}": "sum by (evaluator) "
                f"(increase(tipstaff_reload_failures_total{{{_JOB}}}[$__rate_interval]))",
                "stale {{files}}": f"sum by (files) (tipstaff_access_files_stale{{{_JOB}}})",
                "workers down": f"sum(1 - tipstaff_lanes_healthy{{{_JOB}}})",
            },
            note="All zero on a healthy server.",
        ),
    ),
    "Is it in time?": (
        Panel("Answers a second, by status", {"{{code}}": _rate(f"{_REQUESTS}_count", by="code")}),
        Panel(
            "Latency of answers",
            {
                f"p{100 * share:g}": (
                    f"histogram_quantile({share}, sum by (le) (rate({_REQUESTS}_bucket"
                    f'{{{_BY},code="OK"}}[$__rate_interval])))'
                )
                for share in (0.5, 0.9, 0.99)
            },
            "s",
        ),
        Panel(
            "Where the time goes, mean",
            {
                part: f"{_rate(f'tipstaff_{part}_duration_seconds_sum')} / "
                f"{_rate(f'tipstaff_{part}_duration_seconds_count')}"
                for part in ("encode", "queue", "inference")
            },
            "s",
        ),
    ),
    "Is it overloaded?": (
        Panel("Interactions waiting", {"{{instance}}": f"tipstaff_queue_depth{{{_JOB}}}"}),
        Panel(
            "Refusals a second, by reason",
            {"{{reason}}": _rate("tipstaff_refusals_total", _JOB, "reason")},
        ),
        Panel(
            "Share of the workers' time in use",
            {
                "used": f"{_rate('tipstaff_inference_duration_seconds_sum', _JOB)} / "
                f"sum(tipstaff_lanes{{{_JOB}}})"
            },
            "percentunit",
            "Above 0.8, waiting grows quickly.",
        ),
        Panel(
            "Waiting for a worker, p99",
            {"p99": _quantile(0.99, "tipstaff_queue_duration_seconds")},
            "s",
        ),
        Panel(
            "Interactions a second, by caller",
            {"{{caller}}": _rate("tipstaff_caller_requests_total", _JOB, "caller")},
        ),
        Panel(
            "Memory",
            {
                "memory {{instance}}": f"process_resident_memory_bytes{{{_JOB}}}",
            },
            "bytes",
        ),
    ),
    "What does it say?": (
        Panel(
            "Share of each verdict",
            {
                "{{verdict}}": f"{_rate('tipstaff_verdicts_total', by='verdict')} "
                f"/ ignoring(verdict) group_left {_rate('tipstaff_verdicts_total')}"
            },
            "percentunit",
        ),
        Panel("Reasons a second", {"{{reason}}": _rate("tipstaff_reasons_total", by="reason")}),
        Panel(
            "Scores: median and tenths",
            {f"p{100 * share:g}": _quantile(share, "tipstaff_score") for share in (0.1, 0.5, 0.9)},
        ),
    ),
    "Is that changing?": (
        Panel(
            "Mean score: the last hour, and a day before",
            {
                "now": f"sum(rate(tipstaff_score_sum{{{_BY}}}[1h])) / "
                f"sum(rate(tipstaff_score_count{{{_BY}}}[1h]))",
                "a day before": f"sum(rate(tipstaff_score_sum{{{_BY}}}[1h] offset 1d)) / "
                f"sum(rate(tipstaff_score_count{{{_BY}}}[1h] offset 1d))",
            },
            note="A shift means other traffic, or another version.",
        ),
        Panel(
            "Share that was not read in full",
            {
                part: f"{_rate(f'tipstaff_{part}_total')} / {_rate(f'{_REQUESTS}_count')}"
                for part in ("partial", "unreadable")
            },
            "percentunit",
        ),
        Panel(
            "Text that the encoder can't read, a second",
            {
                "unknown tokens {{field}}": _rate("tipstaff_unknown_tokens_total", by="field"),
                "dropped characters {{field}}": _rate(
                    "tipstaff_dropped_characters_total", by="field"
                ),
            },
        ),
    ),
}


def render() -> dict[str, Any]:
    """The dashboard, as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for question, row in ROWS.items():
        panels.append(_row(question, y, len(panels)))
        y += 1
        for index, panel in enumerate(row):
            place = {
                "x": index % _PER_ROW * _WIDTH // _PER_ROW,
                "y": y + index // _PER_ROW * _HEIGHT,
                "w": _WIDTH // _PER_ROW,
                "h": _HEIGHT,
            }
            panels.append(_panel(panel, place, len(panels)))
        y += -(-len(row) // _PER_ROW) * _HEIGHT
    return {
        "title": "Tipstaff",
        "uid": "tipstaff",
        "tags": ["tipstaff"],
        "timezone": "utc",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_source(), _variable("job"), _variable("evaluator")]},
        "panels": panels,
    }


def _row(title: str, y: int, number: int) -> dict[str, Any]:
    place = {"x": 0, "y": y, "w": _WIDTH, "h": 1}
    return {
        "id": number + 1,
        "type": "row",
        "title": title,
        "gridPos": place,
        "collapsed": False,
        "panels": [],
    }


def _panel(panel: Panel, place: dict[str, int], number: int) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.note,
        "gridPos": place,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend}
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def _source() -> dict[str, Any]:
    return {
        "name": "datasource",
        "type": "datasource",
        "query": "prometheus",
        "label": "Data source",
    }


def _variable(label: str) -> dict[str, Any]:
    return {
        "name": label,
        "type": "query",
        "label": label.capitalize(),
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": {"query": f"label_values(tipstaff_evaluator_info, {label})", "refId": label},
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


if __name__ == "__main__":
    json.dump(render(), sys.stdout, indent=1)
    print()
