"""The whole way in a real browser, from a file to a score."""

from __future__ import annotations

import csv
import re

import pytest
from playwright.sync_api import Page, expect
from tiny_training import tiny_rows

from tipstaff_trainer.workspace import Workspace


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    """Unlabelled rows, under the names that some app gives their columns."""
    path = tmp_path_factory.mktemp("traces") / "traces of May.csv"
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["asked", "reply", "source text", "thread"])
        for row in tiny_rows(160):
            each = row.interaction
            lines.writerow([each.input, each.output, each.ground_truth, row.id])
    return path


@pytest.fixture(scope="module")
def desk(start_desk, tmp_path_factory):
    return start_desk(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def page(chromium, desk):
    context = chromium.new_context(base_url=desk.url)
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


def test_from_a_file_to_a_score(page: Page, desk, traces, bert):
    page.goto("/")
    page.get_by_label("File", exact=True).set_input_files(traces)
    page.get_by_role("button", name="Upload").click()
    page.get_by_label("Input").select_option("asked")
    page.get_by_label("Output").select_option("reply")
    page.get_by_label("Ground truth").select_option("source text")
    page.get_by_text("More columns").click()
    page.get_by_label("Id", exact=True).select_option("thread")
    page.get_by_label("Name of the data set").fill("Traces of May")
    page.get_by_role("button", name="Store the rows").click()
    expect(page.get_by_role("status")).to_have_text("160 rows are in Traces of May.")

    page.get_by_label("Uncertain").fill("0")
    page.get_by_label("Disputed").fill("0")
    page.get_by_label("Random").fill("60")
    page.get_by_role("button", name="Add to the queue").click()
    page.get_by_label("Your name").fill("Ann")
    page.get_by_role("button", name="Start reviewing").click()
    for done in range(60):
        expect(page.get_by_text(f"{done} of 60 done")).to_be_visible()
        output = page.get_by_role("region", name="Output").inner_text()
        truth = page.get_by_role("region", name="Ground truth").inner_text()
        colour = re.search("red|blue|green", output)[0]
        page.keyboard.press("g" if colour in truth else "b")
    expect(page.get_by_text("All done")).to_be_visible()

    page.get_by_role("link", name="To the data set").click()
    page.get_by_role("button", name="Split").click()
    page.get_by_role("link", name="Train an evaluator").click()
    page.get_by_label("Name of the evaluator").fill("colours")
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Base encoder").fill(str(bert))
    page.get_by_label("Epochs").fill("3")
    page.get_by_role("button", name="Start training").click()
    page.get_by_role("link", name="To version 1").click(timeout=60_000)
    page.get_by_role("button", name="Promote").click()
    expect(page.get_by_role("status")).to_have_text("colours version 1 is online.")

    row = next(Workspace(desk.folder).datasets.rows(1))
    page.goto(f"/datasets/1/rows/{row.id}")
    page.get_by_role("link", name="Try in the playground").click()
    page.wait_for_function("() => true")
    for _ in range(40):
        if page.get_by_label("Evaluator").inner_text() == "colours version 1":
            break
        page.wait_for_timeout(250)
        page.reload()
    page.get_by_role("button", name="Score").click()
    expect(page.locator("#score")).to_have_text(re.compile(r"0\.\d{3}"))
    expect(page.get_by_text("colours version 1 on int8/cpu")).to_be_visible()
