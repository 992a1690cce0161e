"""The hooks that the docs show, run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tools import require_package

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "watch-a-client.md"


def run_example(library: str, then: str, target: str) -> str:
    """Runs the page's example for a library with another target, and what the test adds to it."""
    require_package(library)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    [code] = [block for block in blocks if f"from {library} " in block]
    code = code.replace("dns:///tipstaff:50051", target)
    script = f"{code}\nfor _ in range(3): client.score(output='A')\n{then}"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "on_event raised" not in result.stderr
    return result.stdout


def test_prometheus(server, start_server):
    then = "from prometheus_client import generate_latest; print(generate_latest().decode())"
    text = run_example("prometheus_client", then, server.target)
    assert 'guardrail_seconds_count{code="OK",method="Score"} 3.0' in text
    gone = start_server()
    gone.stop()
    text = run_example("prometheus_client", then, gone.target)
    assert 'guardrail_unchecked_total{code="UNAVAILABLE",verdict="PASS"} 3.0' in text
    assert f'guardrail_events_total{{address="{gone.target}",kind="retry"}}' in text


def test_opentelemetry(server):
    require_package("opentelemetry")
    require_package("opentelemetry.sdk")
    setup = (
        "from opentelemetry.sdk.metrics import MeterProvider\n"
        "from opentelemetry.sdk.metrics.export import InMemoryMetricReader\n"
        "from opentelemetry import metrics as api\n"
        "reader = InMemoryMetricReader()\n"
        "api.set_meter_provider(MeterProvider([reader]))\n"
    )
    then = f"{setup}client.score(output='A')\nprint(reader.get_metrics_data().to_json())"
    text = run_example("opentelemetry", then, server.target)
    assert "guardrail.seconds" in text
