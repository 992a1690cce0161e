"""The loop in a real browser: traffic, spike, triage, retrain, compare, promote."""

from __future__ import annotations

import json
import random
import subprocess
import time

import pytest
from playwright.sync_api import Page, expect
from running_server import Starter, command, wait_until
from tiny_bundle import make_bundle
from tiny_training import tiny_rows
from traffic_rows import DAY, Said, write_segment

from tipstaff import Client
from tipstaff_server import repository
from tipstaff_server.traffic.segments import list_segments
from tipstaff_trainer.workspace import Workspace

HOUR = 3600
NAME = "colours"


@pytest.fixture
def server(tmp_path):
    starter = Starter(tmp_path)
    yield starter
    starter.stop()


@pytest.fixture
def page(chromium):
    context = chromium.new_context()
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def history(folder):
    """Two weeks of answers, of which most of the last day's are worse."""
    generator, now, answers = random.Random(1), time.time() - HOUR, []
    for hour in range(14 * 24):
        at, worse = now - 14 * DAY + hour * HOUR, hour >= 13 * 24
        for index in range(4):
            score = generator.random() ** (2.5 if worse else 0.3)
            answers.append(Said(at + index, score, evaluator=NAME))
    write_segment(folder, answers)


def test_what_went_wrong_in_service_teaches_the_next_version(
    page: Page, server, start_desk, bert, tmp_path
):
    home, kept = tmp_path / "workspace", tmp_path / "kept"
    workspace = Workspace(home)
    version = repository.publish(make_bundle(tmp_path / "tiny", name=NAME), workspace.repository)
    repository.promote(workspace.repository, NAME, version, force=True)
    file = tmp_path / "labelled.jsonl"
    rows = [
        {"input": each.input, "output": each.output, "ground_truth": each.ground_truth}
        | {"label": row.label, "id": row.id}
        for row in tiny_rows(96)
        for each in [row.interaction]
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    workspace.split(workspace.upload_dataset(file, name="labelled"), test_size=0.2)

    # Traffic: a server that keeps all of it, after two weeks of which the last day is worse.
    history(kept)
    flags = ("--traffic", kept, "--traffic-rate", 1, "--poll-seconds", 0.2)
    flags = (*flags, "--traffic-seal-seconds", 1)
    serving = server("--repository", workspace.repository, *flags, wait_for="")
    serving.wait_for_log("ready after", 120)
    desk = start_desk(home)
    with Client(serving.address, timeout=10) as client:
        for index in range(12):
            client.score(**{k: v for k, v in rows[index].items() if k not in ("id", "label")})
        client.feedback(client.score(output="paris").request_id, good=False, source="thumbs")
        wait_until(lambda: len(list_segments(kept)) > 1, 60)
        collect = command("collect", kept, "--workspace", home)
        subprocess.run(collect, check=True)
        assert workspace.live(NAME).feedback == (0, 1)

        # A spike leads to the rows behind it, and these into the queue.
        page.goto(f"{desk.url}/live")
        page.get_by_role("link", name=NAME).click()
        page.get_by_role("link", name="Look at the rows").first.click()
        page.get_by_role("button", name="Add to the review queue").click()
        page.get_by_label("Your name").fill("Ann")
        page.get_by_role("button", name="Start reviewing").click()

        # Triage: one key each; a test call is removed, and never comes back.
        labels = workspace.label_set(f"traffic of {NAME}")
        item = page.locator("input[name=item]")
        for key in ("g", "b", "x"):
            seen = item.input_value()
            page.keyboard.press(key)
            expect(page.locator(f"input[name=item][value='{seen}']")).to_have_count(0)
            page.wait_for_load_state()
        reviews = workspace.stores.reviews
        progress = reviews.progress(labels)
        assert (progress.done, progress.removed) == (2, 1)
        while one := reviews.claim(labels, "Ann"):
            row = workspace.stores.datasets.row(one.row_id, labels)
            good = (row.output or "").split()[2] in (row.ground_truth or "")
            reviews.submit(one.id, float(good), who="Ann", based_on_label_id=0)
        again = workspace.queue_traffic(NAME, flagged=1000, passed=1000, drawn=1000)
        queued = [each.row_id for each, _ in workspace.review_queue(f"traffic of {NAME}")]
        assert len(queued) == again
        removed = reviews.item(int(seen)).row_id
        assert removed not in queued

        # The next version learns from it.
        page.goto(f"{desk.url}/datasets/1")
        page.get_by_role("link", name="Train an evaluator").click()
        page.get_by_label("Name of the evaluator").fill(NAME)
        page.get_by_text("More settings", exact=True).click()
        page.get_by_label("Reviewed traffic of").fill(NAME)
        page.get_by_label("Base encoder").fill(str(bert))
        page.get_by_label("Allow text that the encoder can't read").check()
        page.get_by_label("Epochs").fill("3")
        page.get_by_label("Learning rate").fill("0.005")
        page.get_by_role("button", name="Start training").click()
        page.get_by_role("heading", name="On past traffic").wait_for(timeout=120_000)
        page.get_by_role("link", name="To version 2").click()
        with page.expect_navigation():
            page.get_by_role("link", name="Comparison").first.click()
        page.go_back()
        page.get_by_role("button", name="Promote").first.click()
        expect(page.get_by_role("status")).to_contain_text(f"{NAME} version 2 is online")

        # The server follows, and its answers are the next traffic.
        texts = {name: rows[0][name] for name in ("input", "output", "ground_truth")}
        wait_until(lambda: client.score(**texts).version == 2, 30)
    serving.stop()
    subprocess.run(collect, check=True)
    page.goto(f"{desk.url}/live/{NAME}?span=month")
    expect(page.locator("#loop").get_by_role("row")).to_have_count(3)
    workspace.close()
