"""Spikes are told to others, each once, and collectors that follow count nothing twice."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prometheus_client.parser import text_string_to_metric_families
from running_server import command, wait_until
from traffic_rows import DAY, Said, write_segment

from tipstaff_trainer.workspace import Workspace
from tipstaff_trainer.workspace.traffic.alarms import Alarms

HOUR = 3600


@pytest.fixture
def spiking(workspace, tmp_path):
    """Two weeks of answers, of which the last twelve hours are worse."""
    generator, now, answers = random.Random(2), time.time() - HOUR, []
    for hour in range(14 * 24):
        worse = hour >= 14 * 24 - 12
        for index in range(6):
            score = generator.random() ** (3 if worse else 0.3)
            answers.append(Said(now - 14 * DAY + hour * HOUR + index, score))
    write_segment(tmp_path / "kept", answers)
    workspace.collect_traffic(tmp_path / "kept")
    return workspace


@pytest.fixture
def webhook():
    """An address that refuses its first call."""
    bodies: list[dict] = []
    replies = [500]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(replies.pop() if replies else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def test_each_spike_is_sent_once_and_again_after_a_refusal(spiking, webhook, tmp_path):
    url, bodies = webhook
    gauges = tmp_path / "traffic.prom"
    alarms = Alarms(spiking.stores.traffic, webhook=url, gauges=gauges, since=time.time() - 2 * DAY)
    (problem,) = alarms.send()
    assert "tried again" in problem
    first = len(bodies)
    assert alarms.send() == []
    # The refused one alone.
    assert len(bodies) == first + 1
    assert bodies[-1] == bodies[0]
    assert alarms.send() == []
    assert len(bodies) == first + 1
    down = next(each for each in bodies if each["chart"] == "PASS")
    assert (down["evaluator"], down["direction"]) == ("judge", "down")
    assert down["value"] < down["before"]
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(gauges.read_text())
        for sample in family.samples
    }
    assert samples["tipstaff_traffic_spike", "PASS", "down", "judge"] == 1
    assert samples["tipstaff_traffic_spike", "PASS", "judge", "up"] == 0
    assert samples["tipstaff_traffic_answers", "judge"] > 100
    # Withheld, as nobody has reviewed a row.
    assert ("tipstaff_traffic_bad_ratio", "judge") not in samples


def test_what_can_not_be_told_is_said(spiking, tmp_path):
    alarms = Alarms(
        spiking.stores.traffic,
        webhook="http://127.0.0.1:9/",
        gauges=tmp_path / "no" / "file.prom",
        since=time.time() - 2 * DAY,
    )
    problems = "\n".join(alarms.send())
    assert "webhook" in problems
    assert "file.prom: can't be written" in problems


def test_two_collectors_that_follow_count_nothing_twice(tmp_path):
    kept, home = tmp_path / "kept", tmp_path / "workspace"
    Workspace(home).close()
    now = time.time() - HOUR

    def answers(count):
        return [Said(now + index, 0.9) for index in range(count)]

    write_segment(kept, answers(20))
    logs = [tmp_path / "one.txt", tmp_path / "two.txt"]
    processes = []
    for log in logs:
        with log.open("wb") as file:
            words = ("collect", kept, "--workspace", home, "--follow", 0.2)
            processes.append(
                subprocess.Popen(command(*words), stdout=file, stderr=subprocess.STDOUT)
            )
    workspace = Workspace(home)

    def count():
        sources = workspace.stores.traffic.sources()
        return workspace.live("judge").n if sources else 0

    wait_until(lambda: count() == 20, 120)
    # Half a copy is said, and read once it is whole.
    whole = write_segment(tmp_path / "elsewhere", answers(30))
    (kept / whole.name).write_bytes(whole.read_bytes()[:-9])
    for number in range(5):
        write_segment(kept, answers(10), number=number)
    wait_until(lambda: count() == 70, 60)
    wait_until(lambda: any("checksum differs" in log.read_text() for log in logs), 60)
    shutil.copy(whole, kept / whole.name)
    wait_until(lambda: count() == 100, 60)
    for process in processes:
        process.send_signal(signal.SIGINT)
    for process in processes:
        process.wait(30)
    workspace.close()
    said = "".join(log.read_text() for log in logs)
    assert "Traceback" not in said
    # Each note once a collector, however often it looks.
    assert said.count("checksum differs") <= 2
