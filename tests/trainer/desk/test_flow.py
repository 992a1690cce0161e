"""The whole workflow in a real browser, from a file to a score."""

from __future__ import annotations

import csv
import json
import re

import pytest
from judge_server import Behaviour, JudgeServer
from playwright.sync_api import Page, expect
from tiny_training import tiny_rows

from tipstaff_trainer.workspace import Workspace

expect.set_options(timeout=30_000)
ROWS = 96
LABELLED = """text => document.body.innerText.includes(text) ||
    (window.again ??= setTimeout(() => location.reload(), 500), false)"""


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    """Unlabelled rows, under the names that some app gives their columns."""
    path = tmp_path_factory.mktemp("traces") / "traces of May.csv"
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["asked", "reply", "source text", "thread"])
        for row in tiny_rows(ROWS):
            each = row.interaction
            truth = each.ground_truth.split()[-1]
            lines.writerow([each.input, each.output, truth, row.id])
    return path


@pytest.fixture(scope="module")
def desk(start_desk, tmp_path_factory):
    return start_desk(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="module")
def judge():
    with JudgeServer(Behaviour(keep_bodies=True)) as server:
        yield server


@pytest.fixture
def page(chromium, desk):
    context = chromium.new_context(base_url=desk.url)
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def test_from_a_file_to_a_score(page: Page, desk, traces, bert, judge):
    page.goto("/")
    page.get_by_label("File", exact=True).set_input_files(traces)
    page.get_by_role("button", name="Upload").click()
    page.get_by_label("Input").select_option("asked")
    page.get_by_label("Output").select_option("reply")
    page.get_by_label("Ground truth").select_option("source text")
    page.get_by_text("More columns").click()
    page.get_by_label("Id", exact=True).select_option("thread")
    page.get_by_label("Name of the data set").fill("Traces of May")
    page.get_by_role("button", name="Create data set").click()
    expect(page.get_by_role("status")).to_have_text(f"Traces of May is created with {ROWS} rows.")

    # The pilot: a judge labels 16 rows, a person looks at them.
    page.get_by_role("link", name="Label with an LLM").click()
    with page.expect_navigation():
        page.get_by_label("Criterion").select_option(value="answer-correctness")
    page.get_by_label("Endpoint").fill(judge.url)
    page.get_by_label("Model").fill("judge-1")
    page.get_by_role("button", name="Start").click()
    page.get_by_role("link", name="Review the rows").click()
    page.get_by_label("Your name").fill("Ann")
    page.get_by_role("button", name="Start reviewing").click()
    for done in range(16):
        expect(page.get_by_text(f"{done} of 16 done")).to_be_visible()
        if done == 0:
            page.keyboard.press("j")  # shows the judge's label from here on
        expect(page.get_by_text("judge-1")).to_be_visible()
        output = page.get_by_role("region", name="Output").inner_text()
        truth = page.get_by_role("region", name="Ground truth").inner_text()
        colour = re.search("red|blue|green", output)[0]
        page.keyboard.press("g" if colour in truth else "b")
    expect(page.get_by_text("All done")).to_be_visible()

    # Then all rows, with the person's labels as examples.
    page.get_by_role("link", name="To the data set").click()
    page.get_by_role("link", name="Label with an LLM").click()
    page.get_by_role("button", name="Start").click()
    page.get_by_role("link", name="To the data set").click()
    page.wait_for_function(LABELLED, arg=f"{ROWS} labelled, 16 of them by people")
    assert any("Yes" in str(body["messages"][1:-1]) for body in judge.behaviour.bodies)

    # An output that must never pass becomes a named case of the criterion.
    page.goto("/criteria/answer-correctness/cases")
    page.get_by_label("Name").fill("another colour")
    page.get_by_label("Expected verdict").select_option("not-pass")
    page.get_by_label("Output").fill("it is red")
    page.get_by_label("Ground truth").fill("blue")
    page.get_by_role("button", name="Add").click()
    page.goto("/datasets/1")

    page.get_by_role("button", name="Split").click()
    page.get_by_role("link", name="Train an evaluator").click()
    page.get_by_label("Name of the evaluator").fill("colours")
    page.get_by_text("More settings", exact=True).click()
    page.get_by_label("Base encoder").fill(str(bert))
    page.get_by_label("Epochs").fill("3")
    page.get_by_label("Learning rate").fill("0.005")
    page.get_by_role("button", name="Start training").click()
    page.get_by_role("link", name="To version 1").click(timeout=120_000)
    expect(page.get_by_role("heading", name="Train colours on Traces of May")).to_be_visible()
    with page.expect_navigation():
        page.get_by_role("link", name="Report").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("colours")
    page.go_back()
    page.get_by_role("button", name="Promote").click()
    expect(page.get_by_role("status")).to_have_text(
        "colours version 1 is online. 1 of 1 named cases met."
    )
    expect(page.get_by_role("row", name="another colour")).to_contain_text("met")

    page.goto("/datasets/1")
    page.get_by_role("table").last.get_by_role("link", name="1", exact=True).click()
    page.get_by_role("link", name="Try in the playground").click()
    page.get_by_label("Evaluator").get_by_text("colours version 1").wait_for(state="attached")
    page.get_by_role("button", name="Score").click()
    expect(page.locator("#score")).to_have_text(re.compile(r"0\.\d{3}"))
    expect(page.get_by_text("colours version 1 on int8/cpu")).to_be_visible()


def test_rows_are_added_and_several_data_sets_train_one_evaluator(page: Page, desk, tmp_path):
    def file(name, numbers):
        rows = [{"id": n, "output": f"it is {n}", "label": n % 2} for n in numbers]
        path = tmp_path / name
        path.write_text("\n".join(map(json.dumps, rows)))
        return path

    workspace = Workspace(desk.folder)
    first, second, test = (
        workspace.upload_dataset(file(f"{name}.jsonl", numbers), criterion="relevance")
        for name, numbers in (("first", range(20)), ("second", range(20, 40)), ("held", range(9)))
    )
    page.goto(f"/datasets/{first.id}")
    page.get_by_label("File with more rows").set_input_files(file("more.jsonl", range(18, 23)))
    page.get_by_text("Add rows").locator("..").get_by_role("button", name="Upload").click()
    page.get_by_role("button", name="Add rows").click()
    expect(page.get_by_role("status")).to_contain_text("3 rows are added to first.")
    expect(page.get_by_text("23 rows", exact=True)).to_be_visible()

    page.get_by_role("link", name="Train an evaluator").click()
    page.get_by_text("Several data sets").click()
    page.get_by_role("group", name="Train on these too").get_by_label("second").check()
    page.get_by_label("Test on").select_option(label="held")
    page.get_by_label("Name of the evaluator").fill("several")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url("**/jobs/*")
    (job,) = (each for each in workspace.stores.jobs.active() if each.kind == "train")
    workspace.stores.jobs.stop(job.id)
    data = job.parameters["request"]["data"]
    assert (data["dataset"], data["more"], data["test_dataset"]) == (
        first.id,
        [second.id],
        test.id,
    )
    workspace.close()
