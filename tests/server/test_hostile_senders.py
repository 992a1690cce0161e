"""Texts that are meant to take long disturb neither other calls nor what comes after them."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from hostile_samples import hostile_text
from running_server import Server, Starter
from tiny_bundle import make_bundle

from tipstaff import Client, ScoringError
from tipstaff_server.evaluator.manifest import Windows

TRUTH = "Kitchen appliances can be returned."


@pytest.fixture
def server(tmp_path: Path, start: Starter) -> Server:
    bundle = make_bundle(
        tmp_path / "bundle",
        marks="forms",
        max_length=256,
        windows=Windows(output=64, ground_truth=64, max_runs=16),
    )
    return start(bundle)


def test_two_senders_a_second_leave_ordinary_calls_in_time(server):
    done = threading.Event()

    def send(texts: list[str]) -> None:
        with Client(server.address, timeout=30, on_failure="open") as client:
            while not done.is_set():
                for text in texts:
                    client.score(input="q", output=text, ground_truth=TRUTH)
                    done.wait(1)

    senders = [
        threading.Thread(target=send, args=(texts,))
        for texts in (["漢" * 40_000, "1" * 120_000], ["\ufdfa" * 40_000, "a" * 100_000])
    ]
    for sender in senders:
        sender.start()
    in_time, late = 0, []
    # Ten times what the benchmark allows, since tests run on machines with other work.
    with Client(server.address, timeout=3) as client:
        until = time.monotonic() + 5
        while time.monotonic() < until:
            try:
                client.score(input="q", output="Appliances can be returned.", ground_truth=TRUTH)
                in_time += 1
            except ScoringError as error:
                late.append(str(error))
            time.sleep(0.02)
    done.set()
    for sender in senders:
        sender.join()
    assert in_time >= 99 * len(late), late
    assert in_time > 10


@pytest.mark.parametrize("name", ["CJK", "ligatures", "digits", "one-letter words"])
def test_a_long_first_text_spoils_no_later_one(server, name):
    plain = "The parcel is late, so please wait for a refund. " * 102
    with Client(server.address, timeout=30) as client:
        client.score(input="q", output=hostile_text(name, 120_000), ground_truth=TRUTH)
        answered, refusals = 0, []
        for _ in range(20):
            try:
                client.score(input="q", output=plain, ground_truth=TRUTH, timeout=0.3)
                answered += 1
            except ScoringError as error:
                refusals.append(error)
        assert not [each for each in refusals if "reading" in str(each)], refusals
        assert answered
