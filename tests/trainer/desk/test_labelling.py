"""Labelling with a judge: criteria that it can use, and rows to pay for."""

from __future__ import annotations

import json

import pytest
from desk_forms import hidden
from judge_server import JudgeServer
from playwright.sync_api import expect

from tipstaff_trainer.workspace.labels.log import NewLabel, record

JUDGE = {"model": "judge-1", "base_url": "http://127.0.0.1:9/v1", "key_variable": ""}
ROWS = 40


@pytest.fixture
def dataset(workspace, tmp_path):
    """Rows without a ground truth."""
    file = tmp_path / "traces.jsonl"
    file.write_text(
        "\n".join(
            json.dumps({"input": f"{n}?", "output": f"{n} is Paris", "channel": "mail"})
            for n in range(ROWS)
        )
    )
    return workspace.upload_dataset(file)


@pytest.fixture
def here(dataset):
    return f"/datasets/{dataset.id}/label"


def give(workspace, dataset, source, rows, *, criterion="relevance"):
    labels = workspace.add_criterion(dataset, criterion)
    found = workspace.stores.datasets.page(labels, size=ROWS).rows
    with workspace.stores.database.writing() as session:
        for row in found[rows]:
            record(session, row.id, criterion, NewLabel(1.0, source, "somebody"))


def start(browser, here, **fields):
    form = hidden(browser.get(here).text) | JUDGE | {"action": "start", "rows": "pilot"}
    return browser.post(here, data=form | fields)


def test_a_column_that_is_not_there_is_told_where_the_criterion_is_chosen(
    visit, workspace, dataset, here
):
    workspace.stores.criteria.save(
        "tone", criterion="Fits.", prompt="{output} on {channel} in {voice}"
    )
    browser = visit()
    page = browser.get(here).text
    # The first choice is a criterion that fits the data set.
    assert '<option value="relevance" selected>' in page
    assert '<option value="tone">tone: uses a column that the data set lacks' in page
    assert "no row has a text there" not in page
    shown = browser.post(here, data=hidden(page) | {"criterion": "tone", "action": "choose"})
    assert shown.status_code == 200
    assert "uses {voice}, but no row has a text there" in shown.text
    assert "&#34;input&#34;, &#34;output&#34; and &#34;channel&#34;" in shown.text
    assert '<button class="main" name="action" value="start" disabled>' in shown.text
    refused = start(browser, here, criterion="tone")
    assert (refused.status_code, "uses {voice}, but no row" in refused.text) == (400, True)
    assert not workspace.stores.jobs.recent()
    # Nor did the data set get the criterion.
    assert [each.criterion for each in workspace.stores.datasets.get(dataset).label_sets] == [""]


def test_a_column_that_is_not_there_is_told_at_the_preview(visit, dataset):
    browser = visit()
    page = browser.get(f"/criteria/faithfulness?dataset={dataset.id}").text
    told = "No row of this data set has a text in {ground_truth}"
    assert told in page
    assert "&#34;input&#34;, &#34;output&#34; and &#34;channel&#34;" in page
    draft = {"name": "a", "criterion": "A.", "prompt": "{output}", "action": "preview"}
    mended = browser.post("/criteria/faithfulness", data=hidden(page) | draft).text
    assert "No row of this data set" not in mended
    draft["prompt"] = "{reply}"
    assert "has a text in {reply}" in (
        browser.post("/criteria/faithfulness", data=hidden(page) | draft).text
    )


@pytest.mark.parametrize(
    ("given", "chosen", "offered"),
    [
        ((), "pilot", {"pilot", "all"}),
        ((("judge", slice(None)),), "pilot", {"pilot", "all"}),
        ((("human", slice(16)),), "rest", {"pilot", "rest", "all"}),
        ((("judge", slice(None)), ("human", slice(16))), "pilot", {"pilot", "all"}),
        ((("human", slice(None)),), None, {"all"}),
    ],
)
def test_what_is_paid_for_is_said_and_never_all_by_itself(
    visit, workspace, dataset, here, given, chosen, offered
):
    for source, rows in given:
        give(workspace, dataset, source, rows)
    page = visit().get(f"{here}?criterion=relevance").text
    for value in ("pilot", "rest", "all"):
        radio = f'<input type="radio" name="rows" value="{value}" required'
        assert (radio in page) == (value in offered)
        assert (f"{radio} checked>" in page) == (value == chosen)
    labelled = max((len(range(ROWS)[rows]) for _, rows in given), default=0)
    assert ("24 rows without a label" in page) == ("rest" in offered)
    assert (f"including {labelled} that have a label" in page) == (0 < labelled < ROWS)
    assert ("All 40 rows, which all have a label already" in page) == (labelled == ROWS)


def test_what_is_paid_for_goes_by_the_criterion_that_is_chosen(visit, workspace, dataset, here):
    give(workspace, dataset, "judge", slice(None))
    give(workspace, dataset, "human", slice(16))
    browser = visit()
    page = browser.get(f"{here}?criterion=relevance").text
    typed = {"criterion": "toxicity", "model": "mine", "rows": "all", "action": "choose"}
    shown = browser.post(here, data=hidden(page) | typed).text
    assert '<option value="toxicity" selected>' in shown
    assert 'value="mine"' in shown
    assert "that have a label" not in shown
    assert 'value="pilot" required checked><span>Pilot: 16 rows without a person’s label' in shown
    nothing = start(browser, here, criterion="toxicity", rows="")
    assert (nothing.status_code, "Choose the rows to label" in nothing.text) == (400, True)


def test_rows_that_wait_for_a_person_come_before_more_are_asked_about(
    visit, workspace, dataset, here
):
    give(workspace, dataset, "judge", slice(16))
    browser = visit()
    told = "16 rows wait for review"
    assert told not in browser.get(f"{here}?criterion=relevance").text
    workspace.stores.reviews.queue(workspace.label_set(dataset), {"ranked": 16})
    assert told in browser.get(f"{here}?criterion=relevance").text
    assert told not in browser.get(f"{here}?criterion=toxicity").text
    give(workspace, dataset, "human", slice(1))
    assert told not in browser.get(f"{here}?criterion=relevance").text


def test_only_rows_without_a_label_are_asked_about(visit, workspace, dataset, here):
    give(workspace, dataset, "human", slice(16))
    with JudgeServer() as judge:
        asked = start(
            visit(), here, criterion="relevance", rows="rest", base_url=judge.url, shots="0"
        )
        job = workspace.wait_for(int(asked.url.path.rpartition("/")[2]), timeout=60)
        assert "Label the unlabelled rows" in asked.text
    assert job.message == "24 of 24 rows are labelled"
    assert judge.behaviour.seen == 24
    labels = workspace.label_set(dataset)
    assert (labels.labelled, labels.human, labels.judge) == (40, 16, 24)
    again = start(visit(), here, criterion="relevance", rows="rest")
    assert (again.status_code, "no rows of the kind" in again.text) == (400, True)


def test_choosing_a_criterion_shows_its_page_and_keeps_what_was_typed(
    chromium, start_desk, tmp_path_factory, dataset, workspace
):
    workspace.close()
    desk = start_desk(workspace.folder)
    page = chromium.new_context(base_url=desk.url).new_page()
    page.goto(f"/datasets/{dataset.id}/label")
    page.get_by_label("Model").fill("mine")
    with page.expect_navigation():
        page.get_by_label("Criterion").select_option("faithfulness")
    expect(page.get_by_role("alert")).to_contain_text("uses {ground_truth}, but no row")
    expect(page.get_by_role("button", name="Start")).to_be_disabled()
    expect(page.get_by_label("Model")).to_have_value("mine")
    with page.expect_navigation():
        page.get_by_label("Criterion").select_option("toxicity")
    expect(page.get_by_role("button", name="Start")).to_be_enabled()
    page.context.close()
