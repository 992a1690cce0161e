"""The playground, with a real server behind it."""

from __future__ import annotations

import re

import pytest
from desk_forms import LOCAL, hidden
from running_server import Starter, wait_until
from starlette.testclient import TestClient
from tiny_bundle import make_bundle

from tipstaff.types import Highlight
from tipstaff_server import repository
from tipstaff_trainer.desk import views
from tipstaff_trainer.desk.app import build
from tipstaff_trainer.desk.settings import DeskSettings
from tipstaff_trainer.workspace import Workspace


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("playground")
    start = Starter(folder)
    server = start(make_bundle(folder / "tiny", name="tiny"))
    workspace = Workspace(folder / "workspace", server=server.address)
    yield TestClient(build(workspace, DeskSettings()), base_url=LOCAL)
    workspace.close()
    start.stop()


def score(browser, **fields):
    form = hidden(browser.get("/playground").text) | {"evaluator": "tiny"} | fields
    return browser.post("/playground", data=form).text


def test_words_that_lowered_a_score_are_marked_and_listed(browser):
    output = "<b>no</b> refund of the euro price can not be in 90 days sorry"
    page = score(browser, output=output, ground_truth="refund in 14 days", explain="yes")
    shown = re.search(r'id="explained">(.*?)</p>', page)[1]
    assert "<b>" not in shown
    marked = re.findall(r'<mark class="lowers \w+">(.*?)<sup>(\d)</sup></mark>', shown)
    assert marked
    listed = re.findall(r"<li>“(.*?)”", page)
    # The list is sorted by weight, as the numbers in the text are.
    assert listed == [word for word, _ in sorted(marked, key=lambda each: each[1])]
    plain = score(browser, output=output, ground_truth="refund in 14 days")
    assert 'id="explained"' not in plain
    assert re.search(r'id="score">([\d.]+)', plain)[1] == re.search(r'id="score">([\d.]+)', page)[1]


def test_each_sentence_stands_beside_its_passage_and_what_contradicts_it(browser):
    truth = "a <b>refund</b> in 14 days. paris is it."
    page = score(
        browser, output="refund in 90 days. paris is it.", ground_truth=truth, explain="yes"
    )
    first, second = re.findall(r"<li><p class=\"text\">(.*?)</li>", page, re.DOTALL)
    assert 'refund in <mark class="differs">90</mark> days.' in first
    assert 'a &lt;b&gt;refund&lt;/b&gt; in <mark class="agrees">14</mark> days.' in first
    assert re.search(r"Contradicted: number: “90” for “14” \(0\.\d\d\)", first)
    assert "Contradicted" not in second
    assert 'id="evidence"' not in score(browser, output="refund", ground_truth=truth)


def test_what_cannot_be_read_stands_beside_the_tokens(browser):
    page = score(browser, output="refund 👍", ground_truth="refund in 14 days")
    assert re.search(r"output: 2 of 2 <span[^>]*>unread: 14.3% \(1 unknown word\)</span>", page)
    assert "too much of a text can&#39;t be read" in page
    assert "unread:" not in score(browser, output="refund", ground_truth="refund in 14 days")


def test_a_page_without_words_to_explain_says_so(browser):
    page = score(browser, input="refund my order", explain="yes")
    assert "can’t explain this score" in page or "No words: leaving out" in page


def test_marks_are_numbered_by_weight_and_nothing_is_lost_between():
    highlights = [Highlight(2, 5, 0.5), Highlight(8, 10, 2.0)]
    assert views.mark_highlights("a <&> b cd e", highlights) == (
        'a <mark class="lowers more">&lt;&amp;&gt;<sup>2</sup></mark> b'
        ' <mark class="lowers most">cd<sup>1</sup></mark> e'
    )


def test_a_form_without_texts_is_refused_and_kept(browser):
    empty = browser.post("/playground", data={"evaluator": "tiny"})
    assert (empty.status_code, "Fill in at least one of the fields" in empty.text) == (400, True)
    unknown = browser.post("/playground", data={"evaluator": "none", "output": "<kept>"})
    assert (unknown.status_code, "&lt;kept&gt;" in unknown.text) == (400, True)


def test_a_row_s_texts_fill_the_form(visit, workspace, tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("output,ground_truth\n<b>no</b>,yes\n")
    labels = workspace.label_set(workspace.upload_dataset(file))
    (row,) = workspace.stores.datasets.rows(labels)
    page = visit().get(f"/playground?row_id={row.id}").text
    assert ">&lt;b&gt;no&lt;/b&gt;</textarea>" in page
    assert visit().get("/playground?row_id=99").status_code == 404


def test_the_workspace_s_own_server_is_started_and_stopped(visit, workspace, tmp_path):
    browser = visit()
    assert "No evaluator is Online" in browser.get("/playground").text
    repository.publish(make_bundle(tmp_path / "tiny"), workspace.repository, promote=True)
    assert "The workspace’s server is not running." in browser.get("/playground").text
    refused = browser.post("/playground", data={"output": "x"})
    assert (refused.status_code, "No server is running" in refused.text) == (400, True)
    assert browser.get("/playground/ready").text == "no"
    started = browser.post("/playground/server", data={"action": "start"})
    assert "The server is starting." in started.text
    wait_until(lambda: browser.get("/playground/ready").text == "yes", 60)
    assert "server runs" in browser.get("/playground").text
    job = workspace.stores.server.job()
    assert workspace.stores.server.start().id == job.id
    stopped = browser.post("/playground/server", data={"action": "stop"})
    assert "The server has stopped." in stopped.text
    assert browser.get("/playground/ready").text == "no"
