"""Two people at once, in two browsers; and a browser whose session ends in the middle."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect
from tiny_training import tiny_rows

from tipstaff_trainer.workspace import Workspace

COUNT = 12


@pytest.fixture(scope="module")
def desk(start_desk, tmp_path_factory):
    """A desk for others than this machine, with rows that wait for review."""
    folder = tmp_path_factory.mktemp("shared")
    file = folder / "rows.jsonl"
    texts = [row.interaction for row in tiny_rows(40)]
    file.write_text(
        "\n".join(
            json.dumps({"id": number, "output": each.output, "ground_truth": each.ground_truth})
            for number, each in enumerate(texts)
        )
    )
    workspace = Workspace(folder / "workspace")
    for name in ("first", "second"):
        dataset = workspace.upload_dataset(file, name=name)
        workspace.stores.reviews.queue(workspace.label_set(dataset), {"random": COUNT}, seed=0)
    workspace.close()
    return start_desk(folder / "workspace", "--host", "0.0.0.0")


@pytest.fixture
def reviewer(chromium, desk):
    contexts = []

    def reviewer(name: str, dataset: int) -> Page:
        context = chromium.new_context()
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.goto(desk.link)
        page.goto(f"{desk.url}/review/{dataset}")
        page.get_by_label("Your name").fill(name)
        page.get_by_role("button", name="Start reviewing").click()
        page.get_by_role("button", name="Good").wait_for()
        return page

    yield reviewer
    for context in contexts:
        context.close()


def labels(desk, dataset):
    workspace = Workspace(desk.folder)
    counted = workspace.label_set(dataset)
    rows = list(workspace.stores.datasets.rows(counted))
    labels_by_row = {row.id: workspace.stores.datasets.labels(row.id, counted) for row in rows}
    workspace.close()
    return labels_by_row, counted


def test_two_people_review_at_once_and_no_label_is_lost(desk, reviewer):
    ann, ben = reviewer("Ann", 1), reviewer("Ben", 1)
    for _ in range(COUNT // 2):
        shown = [page.locator("input[name=item]").input_value() for page in (ann, ben)]
        assert shown[0] != shown[1]
        for page, key in ((ann, "g"), (ben, "b")):
            page.keyboard.press(key)
        for page, item in zip((ann, ben), shown, strict=True):
            expect(page.locator(f"input[name=item][value='{item}']")).to_have_count(0)
            page.wait_for_load_state()  # a key that comes before the page's script is lost
    # Her page may have loaded while his last row was still claimed.
    ann.reload()
    expect(ann.get_by_text("All done")).to_be_visible()
    labels_by_row, counted = labels(desk, 1)
    recorded = [label for row in labels_by_row.values() for label in row]
    assert sorted(label.who for label in recorded) == ["Ann"] * 6 + ["Ben"] * 6
    assert all((label.value == 1) == (label.who == "Ann") for label in recorded)
    assert (counted.human, counted.good) == (12, 6)


def test_the_same_row_on_two_screens_keeps_both_labels(desk, reviewer):
    ann, ben = reviewer("Ann", 2), reviewer("Ben", 2)
    item = ann.locator("input[name=item]").input_value()
    ben.goto(f"{desk.url}/review/2?item={item}")
    ann.get_by_label("Note").fill("the colours agree")
    ann.get_by_role("button", name="Good").click()
    expect(ann.get_by_text(f"1 of {COUNT} done")).to_be_visible()
    ben.keyboard.press("b")
    expect(ben.get_by_role("status")).to_contain_text("Ann labelled that row good")
    labels_by_row, counted = labels(desk, 2)
    (both,) = [row for row in labels_by_row.values() if row]
    assert [(label.who, label.value, label.concurrent) for label in both] == [
        ("Ann", 1.0, False),
        ("Ben", 0.0, True),
    ]
    assert both[0].reason == "the colours agree"
    assert counted.disputed == 1


def test_a_label_outlives_the_session(desk, reviewer):
    page = reviewer("Cem", 2)
    page.context.clear_cookies()
    page.get_by_label("Note").fill("kept")
    page.get_by_role("button", name="Bad").click()
    page.get_by_label("Token").fill(desk.link.partition("token=")[2])
    page.get_by_label("Your name").fill("Cem")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Send again").click()
    page.get_by_role("button", name="Good").wait_for()
    labels_by_row, _ = labels(desk, 2)
    assert [
        label.reason for row in labels_by_row.values() for label in row if label.who == "Cem"
    ] == ["kept"]


UNLABELLED = """() => [...document.querySelectorAll("input:not([type=hidden]), select, textarea")]
    .filter(each => !each.labels.length && !each.getAttribute("aria-label"))
    .map(each => each.outerHTML)"""
TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("width", [390, 1280])
def test_every_page_fits_and_every_field_is_named(desk, reviewer, width):
    page = reviewer("Dua", 2)
    page.set_viewport_size({"width": width, "height": 800})
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    row = page.request.get(f"{desk.url}/datasets/1").text().partition("/datasets/1/rows/")[2]
    for path in (
        *("/datasets", "/datasets/1", f"/datasets/1/rows/{row.partition(chr(34))[0]}"),
        *("/datasets/1/label", "/criteria", "/criteria/new", "/criteria/faithfulness"),
        *("/criteria/faithfulness/cases", "/datasets?archived=yes", "/datasets/1?words=blue"),
        *("/review", "/review/1", "/review/2", "/evaluators", "/playground", "/jobs"),
    ):
        page.goto(f"{desk.url}{path}")
        assert page.evaluate(UNLABELLED) == [], path
        assert page.evaluate(TOO_WIDE) == 0, path
    assert refused == []
