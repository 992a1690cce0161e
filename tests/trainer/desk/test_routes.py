"""Every route: what a form leads to can be reloaded, and errors have the desk's frame."""

from __future__ import annotations

import json
import re
import time

import pytest
from desk_forms import LOCAL, hidden
from playwright.sync_api import expect
from starlette.testclient import TestClient
from tiny_bundle import make_bundle
from traffic_rows import Said, write_segment

from tipstaff_server import repository
from tipstaff_server.evaluator.cases import Case
from tipstaff_trainer.desk import app
from tipstaff_trainer.desk.settings import DeskSettings
from tipstaff_trainer.workspace.db.models import Job

ROUTES = [(route.path, *route.methods - {"HEAD"}) for route in app.ROUTES]
POSTS = sorted(path for path, method in ROUTES if method == "POST")
# What a form may hold; each route takes the fields that it knows.
FORMS = (
    {},
    {"back": "/datasets", "action": "nonsense", "name": "tiny", "by": "toxicity"},
    {"action": "start", "rows": "all", "criterion": "relevance", "model": "m", "percent": "x"},
    {"dataset": "1/", "name": "A B", "columns": "output", "part": "test", "evaluator": "tiny"},
)
RIGHT = Case(name="right", expect="pass", input="a", output="paris", ground_truth="paris")


@pytest.fixture
def filled(workspace, tmp_path, monkeypatch):
    """A workspace with something at each address; its jobs are recorded and not started."""
    monkeypatch.setattr(workspace.stores.jobs, "_launch", workspace.stores.jobs.get)
    file = tmp_path / "traces.jsonl"
    rows = [{"output": f"Paris {n}", "label": n % 2} for n in range(20)]
    file.write_text("\n".join(map(json.dumps, rows)))
    workspace.upload_dataset(file)
    repository.publish(make_bundle(tmp_path / "1"), workspace.repository)
    said = [Said(time.time() - 60, 0.5, evaluator="tiny")]
    write_segment(tmp_path / "traffic", said)
    workspace.collect_traffic(tmp_path / "traffic")
    with workspace.stores.database.writing() as session:
        session.add(Job(kind="label", title="x", parameters={}, state="failed"))
    return workspace


def address(path):
    """A route's path with the ids of what is there."""
    values = {"key": "0" * 32, "ending": "csv", "folder": "report", "file": "index.html"}
    values |= dict.fromkeys(("dataset", "version", "job", "row"), "1")
    name = "tiny" if path.startswith(("/evaluators", "/live")) else "faithfulness"
    return re.sub(r"{(\w+):\w+}", lambda match: values.get(match[1], name), path)


def framed(page):
    return 'class="brand"' in page.text and 'href="/static/desk.css"' in page.text


@pytest.mark.parametrize("path", POSTS)
def test_every_address_that_a_form_was_sent_to_can_be_opened(visit, filled, path):
    browser = visit()
    opened = browser.get(address(path))
    # Nothing is at that key: a page says so.
    assert opened.status_code == (404 if "{key" in path else 200)
    assert framed(opened)
    nothing = browser.get(address(path).replace("1", "99") + "?criterion=none")
    assert nothing.status_code in (200, 404)
    assert framed(nothing)


@pytest.mark.parametrize("path", POSTS)
def test_every_page_that_a_form_leads_to_can_be_reloaded(visit, filled, path):
    browser = visit()
    for form in FORMS:
        page = browser.post(address(path), data=form)
        assert page.status_code < 500, form
        assert framed(page), form
        again = browser.get(str(page.url))
        assert again.status_code in (200, 404), form
        assert framed(again), form


@pytest.mark.parametrize("path", POSTS)
def test_every_form_leads_through_the_token_and_back(filled, path):
    desk = app.build(filled, DeskSettings(host="0.0.0.0", token="t"))
    browser = TestClient(desk, base_url="http://desk.example", follow_redirects=True)
    for page in (browser.post(address(path), data={"x": "1"}), browser.get(address(path))):
        assert page.status_code in (401, 429)
        assert framed(page)
        assert "Sign in" in page.text
        assert 'aria-label="Main"' not in page.text


def test_a_criterion_stays_chosen_when_a_form_s_address_is_opened(visit, filled):
    browser = visit()
    opened = browser.get("/datasets/1/split?criterion=")
    assert str(opened.url) == f"{LOCAL}/datasets/1?criterion="


@pytest.mark.parametrize(
    ("path", "status", "ways"),
    [
        ("/nowhere", 404, ["/datasets"]),
        ("/evaluators/tiny/9", 404, ["/evaluators", "/datasets"]),
        ("/jobs/9", 404, ["/jobs", "/datasets"]),
        ("/static/nothing.css", 404, ["/datasets"]),
    ],
)
def test_a_missing_page_has_a_way_on(visit, filled, path, status, ways):
    page = visit().get(path)
    assert (page.status_code, framed(page)) == (status, True)
    assert re.findall(r'<a class="button[^"]*" href="([^"]+)"', page.text) == ways


def test_a_request_of_another_kind_is_refused_in_the_frame(visit, filled):
    page = visit().put("/datasets")
    assert (page.status_code, framed(page)) == (405, True)
    assert page.headers["allow"]


@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}]
)
def test_another_site_s_form_gets_a_page_with_a_way_on(visit, filled, headers):
    page = visit().post("/evaluators", headers=headers)
    assert (page.status_code, framed(page)) == (403, True)
    assert "another site" in page.text
    assert 'href="/evaluators"' in page.text
    assert page.headers["content-security-policy"]


def test_a_foreign_host_name_gets_a_page_with_styles_and_the_desk_s_address(visit, filled):
    browser = visit()
    page = browser.get("/jobs", headers={"host": "evil.example"})
    assert (page.status_code, framed(page)) == (403, True)
    assert re.search(r'href="http://127\.0\.0\.1:\d+/"', page.text)
    assert browser.get("/static/desk.css", headers={"host": "evil.example"}).status_code == 200


def test_a_form_that_can_not_be_read_gets_a_page(visit, filled):
    kind = {"content-type": "multipart/form-data; boundary=x"}
    page = visit().post("/uploads", content=b"nonsense", headers=kind)
    assert (page.status_code, framed(page)) == (400, True)
    many = visit().post("/criteria/new", data={f"f{n}": "x" for n in range(400)})
    assert (many.status_code, framed(many)) == (400, True)


def test_a_fault_gets_a_page_even_without_the_database(workspace, filled, monkeypatch):
    def fail(*_, **__):
        raise ValueError("a fault")

    monkeypatch.setattr(workspace.stores.datasets, "all", fail)
    monkeypatch.setattr(workspace.stores.jobs, "active", fail)
    desk = app.build(workspace, DeskSettings())
    browser = TestClient(desk, base_url=LOCAL, raise_server_exceptions=False)
    page = browser.get("/datasets")
    assert (page.status_code, framed(page)) == (500, True)
    assert "The desk failed on this request (ValueError)" in page.text
    assert 'href="/evaluators"' in page.text


def test_promoting_anyway_ends_on_a_page_that_can_be_reloaded(
    chromium, start_desk, workspace, tmp_path
):
    for version, bias in enumerate((9.0, -9.0), start=1):
        bundle = make_bundle(tmp_path / str(version), bias=bias, cases=(RIGHT,))
        repository.publish(bundle, workspace.repository, promote=version == 1)
    workspace.close()
    desk = start_desk(workspace.folder)
    page = chromium.new_context(base_url=desk.url).new_page()
    page.goto("/evaluators/tiny/2")
    page.get_by_role("button", name="Promote", exact=True).click()
    expect(page.get_by_role("alert").first).to_contain_text("Version 2 is not promoted")
    page.reload()
    expect(page.get_by_role("alert").first).to_contain_text("Version 2 is not promoted")
    page.get_by_role("button", name="Promote anyway").click()
    expect(page.get_by_role("status")).to_contain_text("tiny version 2 is online")
    expect(page.get_by_role("heading", level=1)).to_contain_text("tiny version 2")
    page.reload()
    expect(page.get_by_text("Online").first).to_be_visible()
    # The refusal's address says what holds now.
    page.goto("/evaluators/tiny/2?refused=yes")
    expect(page.get_by_text("is not promoted")).to_have_count(0)
    page.context.close()


def test_a_refusal_names_the_cases_after_a_reload_without_a_redirect(visit, workspace, tmp_path):
    for version, bias in enumerate((9.0, -9.0), start=1):
        bundle = make_bundle(tmp_path / str(version), bias=bias, cases=(RIGHT,))
        repository.publish(bundle, workspace.repository, promote=version == 1)
    browser = visit()
    form = hidden(browser.get("/evaluators/tiny/2").text)
    for page in (
        browser.post("/evaluators/tiny/2/promote", data=form),
        browser.get("/evaluators/tiny/2?refused=yes"),
    ):
        assert (page.status_code, "<li>right</li>" in page.text) == (409, True)
