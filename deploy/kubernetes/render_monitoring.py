"""Wraps the rules and the dashboard of `deploy/monitoring` for Kubernetes' operators.

python deploy/kubernetes/render_monitoring.py
"""

from __future__ import annotations

import json
from pathlib import Path

import yaml

HERE = Path(__file__).parent
SOURCES = HERE.parent / "monitoring"
TARGETS = (HERE / "components" / "monitoring", HERE.parent / "helm" / "tipstaff" / "files")


def render() -> dict[str, str]:
    """The files' content by name."""
    rules = yaml.safe_load((SOURCES / "alerts.yaml").read_text(encoding="utf-8"))
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "tipstaff"},
        "spec": rules,
    }
    dashboard = json.loads((SOURCES / "dashboard.json").read_text(encoding="utf-8"))
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "tipstaff-dashboard", "labels": {"grafana_dashboard": "1"}},
        "data": {"tipstaff.json": json.dumps(dashboard, separators=(",", ":"))},
    }
    note = "# Made by deploy/kubernetes/render_monitoring.py.\n"
    return {
        "prometheusrule.yaml": note + yaml.safe_dump(rule, sort_keys=False, width=100),
        "dashboard.yaml": note + yaml.safe_dump(config, sort_keys=False, width=100),
    }


if __name__ == "__main__":
    for name, content in render().items():
        for target in TARGETS:
            (target / name).write_text(content, encoding="utf-8")
