"""The dashboard and the alerts, against a real Prometheus that scrapes a real server."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import grpc
import pytest
import yaml
from running_prometheus import ask_prometheus, running_prometheus
from running_server import Starter, wait_until
from scripts_by_path import load_script
from tiny_bundle import make_bundle
from tools import require

from tipstaff.v1 import scoring_pb2 as pb

FOLDER = Path(__file__).parent.parent / "deploy" / "monitoring"
DOCS = FOLDER.parent.parent / "docs"
PAGE = DOCS / "how-to" / "alerts.md"
# What nothing is known of in the first day.
EMPTY = {"a day before"}


def dashboard():
    return load_script(FOLDER / "dashboard.py")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    program = require("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    starter = Starter(folder)
    callers = folder / "callers.toml"
    callers.touch(mode=0o600)
    callers.write_text("[callers.shop]\nweight = 2\n")
    words = ("--caller-key", "x-app", "--callers", callers)
    server = starter(make_bundle(folder / "tiny"), *words, wait_for="")
    server.wait_for_log("ready after", 90)
    config = {
        "global": {"scrape_interval": "500ms", "evaluation_interval": "1s"},
        "rule_files": [str(FOLDER / "alerts.yaml")],
        "scrape_configs": [
            {
                "job_name": "tipstaff",
                "static_configs": [{"targets": [server.metrics_url.split("/")[2]]}],
            }
        ],
    }
    stub = server.stub()
    try:
        with running_prometheus(program, folder, config) as address:
            give_up = time.monotonic() + 60
            while time.monotonic() < give_up:
                stub.Score(
                    pb.ScoreRequest(output="paris", input="paris", ground_truth="paris"),
                    timeout=5,
                    metadata=(("x-app", "shop"),),
                )
                with pytest.raises(grpc.RpcError):
                    stub.Score(pb.ScoreRequest(evaluator="nobody", output="a"), timeout=5)
                time.sleep(0.1)
                if _ready(address):
                    break
            yield address
    finally:
        starter.stop()


def _ready(address: str) -> bool:
    try:
        found = query(address, "count_over_time(tipstaff_lanes[1m])")
    except OSError:
        return False
    return bool(found) and float(found[0]["value"][1]) >= 8


def query(address: str, text: str) -> list[dict]:
    return ask_prometheus(address, "query", query=text)


def test_the_dashboard_is_what_its_code_renders():
    assert json.loads((FOLDER / "dashboard.json").read_text()) == dashboard().render()


def test_the_pictures_in_the_docs_are_of_this_dashboard_and_of_the_record():
    panels = load_script(DOCS / "images" / "panels.py")
    record = panels.read_record()
    recorded = {
        question: [(panel["title"], panel["unit"], panel["queries"]) for panel in row]
        for question, row in record["rows"].items()
    }
    # When the dashboard changes: python docs/images/panels.py --record
    assert recorded == {
        question: [(panel.title, panel.unit, panel.queries) for panel in row]
        for question, row in dashboard().ROWS.items()
    }
    page = (DOCS / "how-to" / "dashboard.md").read_text()
    assert [*panels.PICTURES] == re.findall(r"^## (.+\?)$", page, re.MULTILINE)
    for question, name in panels.PICTURES.items():
        picture = DOCS / "images" / f"panels-{name}.svg"
        assert picture.read_text(encoding="utf-8") == panels.draw(record, question)
        assert f"](../images/{picture.name})" in page


def test_every_query_of_the_dashboard_finds_what_a_server_offers(prometheus):
    empty = []
    for row in dashboard().ROWS.values():
        for panel in row:
            for legend, text in panel.queries.items():
                text = text.replace("$__rate_interval", "1m")
                text = text.replace("$job", ".*").replace("$evaluator", ".*")
                assert "$" not in text
                if not query(prometheus, text) and legend not in EMPTY:
                    empty.append((panel.title, legend))
    assert not empty


def test_a_healthy_server_raises_no_alert_and_its_rules_have_values(prometheus):
    wait_until(lambda: bool(query(prometheus, "tipstaff:missed:ratio5m")))
    (share,) = query(prometheus, "tipstaff:missed:ratio5m")
    assert float(share["value"][1]) == 0
    assert query(prometheus, "ALERTS") == []


def test_alerts_fire_when_they_should():
    done = subprocess.run(
        [require("promtool"), "test", "rules", FOLDER / "alerts_test.yaml"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_and_has_a_page():
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    cases = (FOLDER / "alerts_test.yaml").read_text()
    headings = {
        heading.lower() for heading in re.findall(r"^## (\w+)$", PAGE.read_text(), re.MULTILINE)
    }
    for alert in alerts:
        name = alert["alert"]
        assert re.search(rf"alertname: {name}\n +eval_time: \w+\n +exp_alerts:\n", cases), name
        page, _, anchor = alert["annotations"]["runbook"].partition("#")
        assert (page, anchor) == ("docs/how-to/alerts.md", name.lower())
        assert anchor in headings
