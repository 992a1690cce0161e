"""The review's pages without scripts: what each button leads to."""

from __future__ import annotations

import json

import pytest
from desk_forms import hidden

HERE = "/review/1?criterion="


@pytest.fixture
def queued(workspace, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps({"output": f"Paris {n}"}) for n in range(6)))
    labels = workspace.label_set(workspace.upload_dataset(file))
    workspace.stores.reviews.queue(labels, {"random": 3}, seed=0)
    return labels


@pytest.fixture
def browser(visit, queued):
    browser = visit()
    browser.post("/name", data={"name": "Ann", "back": HERE})
    return browser


def act(browser, action, page=None, **fields):
    page = page or browser.get(HERE)
    return browser.post(HERE, data=hidden(page.text) | {"action": action} | fields)


def item_of(page):
    return int(hidden(page.text)["item"])


def log(workspace, labels, item):
    row = workspace.stores.reviews.item(item).row_id
    return [(each.value, each.reason) for each in workspace.stores.datasets.labels(row, labels)]


def test_without_a_name_nothing_is_recorded(visit, workspace, queued):
    browser = visit()
    assert "Who is reviewing?" in browser.get(HERE).text
    sent = browser.post(HERE, data={"action": "good", "item": "1"})
    assert "Who is reviewing?" in sent.text
    assert log(workspace, queued, 1) == []
    unnamed = browser.post("/name", data={"name": " ", "back": HERE})
    assert "Enter your name" in unnamed.text


def test_the_first_row_has_nothing_before_it(browser):
    assert "You have nothing to undo." in act(browser, "undo").text
    assert "That was your first row." in act(browser, "back").text


def test_back_shows_the_label_and_its_note(browser):
    page = browser.get(HERE)
    first = item_of(page)
    act(browser, "good", page, note="fine")
    back = act(browser, "back")
    assert (item_of(back), 'value="fine"' in back.text) == (first, True)
    assert 'aria-pressed="true"' in back.text
    assert "That was your first row." in act(browser, "back", back).text


def test_undo_opens_the_row_again_with_its_note_and_no_label(browser, workspace, queued):
    page = browser.get(HERE)
    item = item_of(page)
    act(browser, "bad", page, note="rounded")
    undone = act(browser, "undo")
    assert "Your label is taken back" in undone.text
    assert (item_of(undone), 'value="rounded"' in undone.text) == (item, True)
    assert "aria-pressed" not in undone.text
    act(browser, "good", undone, note="rounded up")
    assert log(workspace, queued, item) == [
        (0.0, "rounded"),
        (None, "rounded"),
        (1.0, "rounded up"),
    ]


def test_skipped_rows_come_back_on_request(browser):
    for _ in range(3):
        page = act(browser, "skip")
    assert "0 reviewed, 3 skipped" in page.text
    back = browser.post(HERE, data=hidden(page.text) | {"action": "requeue-skipped"})
    assert "3 skipped rows are back in the queue." in back.text
    assert "Review</a>" in browser.get("/review").text or "0 of 3 done" in back.text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"action": "good", "item": ""}, "No row was chosen: open the review again"),
        ({"action": "good", "item": "99"}, "There is no row 99 in the review queue"),
        ({"action": "good", "item": "x"}, "is not a whole number"),
        ({"action": ""}, "Neither good nor bad was chosen"),
        ({"action": "GOOD"}, "Neither good nor bad was chosen"),
    ],
)
def test_a_form_that_decides_nothing_records_nothing(browser, workspace, queued, fields, message):
    page = browser.get(HERE)
    refused = browser.post(HERE, data=hidden(page.text) | fields)
    assert message in refused.text
    assert log(workspace, queued, item_of(page)) == []


def test_others_have_the_last_rows(visit, browser):
    browser.get(HERE)
    for name in ("Ben", "Cem"):
        other = visit()
        other.post("/name", data={"name": name, "back": HERE})
        assert "0 of 3 done" in other.get(HERE).text
    fourth = visit()
    fourth.post("/name", data={"name": "Dua", "back": HERE})
    assert "Others are reviewing the last 3 rows" in fourth.get(HERE).text
