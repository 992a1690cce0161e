"""Who gets in, which forms are refused, and that nothing that was typed is lost."""

from __future__ import annotations

import json
import re
import time

import httpx
import pytest
from desk_forms import LOCAL, hidden
from starlette import formparsers
from starlette.testclient import TestClient

from tipstaff_trainer.desk import sessions, views
from tipstaff_trainer.desk.app import build
from tipstaff_trainer.desk.settings import DeskSettings
from tipstaff_trainer.workspace import Workspace


def criterion(**changes):
    return {"name": "polite", "criterion": "It is polite.", "prompt": "Polite? {output}"} | changes


def test_this_machine_needs_no_token(visit):
    page = visit().get("/")
    assert page.status_code == 200
    assert "No data set yet" in page.text
    assert page.headers["cache-control"] == "no-store"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_no_page_has_scripts_or_styles_of_its_own(visit):
    browser = visit()
    for path in ("/datasets", "/criteria/faithfulness", "/evaluators", "/playground", "/jobs"):
        html = browser.get(path).text
        assert not re.search(r"<style|<script(?! src=\"/static)| style=| on\w+=", html), path


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "["])
def test_another_name_for_this_machine_is_refused(visit, host):
    answer = visit().get("/datasets", headers={"host": host})
    assert answer.status_code == 403
    assert "open the desk as localhost" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": LOCAL},
    ],
)
def test_another_site_s_form_is_refused(visit, workspace, headers):
    answer = visit().post("/criteria/new", data=criterion(action="save"), headers=headers)
    assert answer.status_code == 403
    assert "polite" not in [each.name for each in workspace.stores.criteria.all()]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": LOCAL},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        # As through a proxy that sends its own Host.
        {"sec-fetch-site": "same-origin", "origin": "https://desk.example"},
    ],
)
def test_a_form_of_the_desk_s_own_is_taken(visit, workspace, headers):
    answer = visit().post("/criteria/new", data=criterion(action="save"), headers=headers)
    assert answer.status_code == 200
    assert workspace.stores.criteria.get("polite").version == 1


def test_others_need_the_token(visit):
    browser = visit("http://desk.example", host="0.0.0.0", token="open sesame")
    for path in ("/datasets", "/jobs/1/live", "/datasets/1/download/csv"):
        assert browser.get(path).status_code == 401
    refused = browser.post("/sign-in", data={"token": "please", "to": "/jobs"})
    assert (refused.status_code, "That is not the token" in refused.text) == (401, True)
    entered = browser.post("/sign-in", data={"token": "open sesame", "to": "/jobs", "name": "Ann"})
    assert (entered.status_code, entered.url.path) == (200, "/jobs")
    assert "Ann" in entered.text


def test_guessing_gets_slow_and_loses_nothing_that_was_typed(visit):
    browser = visit("http://desk.example", host="0.0.0.0", token="t")
    form = {"token": "no", "to": "/jobs", "kept-note": "typed"}
    statuses = [browser.post("/sign-in", data=form).status_code for _ in range(5)]
    statuses.append(browser.get("/?token=no").status_code)
    assert statuses == [401] * 5 + [429]
    # The right token is refused too, or guessing could continue.
    waiting = browser.post("/sign-in", data=form | {"token": "t"})
    assert (waiting.status_code, waiting.headers["retry-after"]) == (429, "1")
    assert 'name="kept-note" value="typed"' in waiting.text
    time.sleep(1.05)
    assert browser.post("/sign-in", data=form | {"token": "t"}).status_code == 200


def test_the_token_comes_by_the_environment_and_is_shown_nowhere(start_desk, tmp_path):
    desk = start_desk(
        tmp_path / "desk", "--host", "0.0.0.0", TIPSTAFF_DESK_TOKEN="from the environment"
    )
    assert "from the" not in desk.log
    signed_in = httpx.post(
        f"{desk.url}/sign-in", data={"token": "from the environment", "to": "/jobs"}
    )
    assert signed_in.headers["location"] == "/jobs"


def test_a_link_with_the_token_lets_in(visit):
    browser = visit("http://desk.example", host="0.0.0.0", token="open sesame")
    assert browser.get("/?token=open%20sesame").url.path == "/datasets"
    assert browser.get("/jobs").status_code == 200


@pytest.mark.parametrize("to", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_signing_in_leads_to_no_other_site(visit, to):
    browser = visit("http://desk.example", host="0.0.0.0", token="t")
    assert browser.post("/sign-in", data={"token": "t", "to": to}).url.host == "desk.example"


def test_what_was_typed_outlives_the_session(visit, workspace):
    browser = visit("http://desk.example", host="0.0.0.0", token="t", session_seconds=1)
    browser.get("/?token=t")
    form = hidden(browser.get("/criteria/new").text) | criterion(action="save")
    for cookie in list(browser.cookies.jar):
        # Simulates an expired session: the cookie is present but invalid.
        if cookie.name.startswith("tipstaff_desk"):
            cookie.value = cookie.value[:-4] + "beef"
    out = browser.post("/criteria/new", data=form)
    assert (out.status_code, "signed out" in out.text) == (401, True)
    again = browser.post("/sign-in", data=hidden(out.text) | {"token": "t"})
    assert "send it again" in again.text
    assert browser.post("/criteria/new", data=hidden(again.text)).status_code == 200
    assert workspace.stores.criteria.get("polite").criterion == "It is polite."


def test_a_session_in_use_does_not_end(visit, monkeypatch):
    browser = visit("http://desk.example", host="0.0.0.0", token="t", session_seconds=60)
    browser.get("/?token=t")
    real = time.time
    for seconds in (40, 80, 120):
        monkeypatch.setattr(time, "time", lambda late=seconds: real() + late)
        assert browser.get("/jobs").status_code == 200


def test_a_cookie_is_sent_over_https_only_where_it_was_set_so(visit):
    for scheme, secure in (("http", False), ("https", True)):
        browser = visit(f"{scheme}://desk.example", host="0.0.0.0", token="t")
        answer = browser.get("/?token=t", follow_redirects=False)
        cookie = answer.headers["set-cookie"].casefold()
        assert ("secure" in cookie) is secure
        assert "httponly" in cookie
        assert "samesite=lax" in cookie


def test_a_long_notice_fits_into_a_cookie():
    session = {}
    sessions.set_notice(session, "bad", "„“" * 3000)
    assert len(json.dumps(session)) < 2100
    tone, notice = sessions.pop_notice(session)
    assert (tone, notice[:2], notice[-1]) == ("bad", "„“", "…")
    assert sessions.pop_notice(session) is None


def test_a_session_ends(visit, monkeypatch):
    browser = visit("http://desk.example", host="0.0.0.0", token="t", session_seconds=60)
    browser.get("/?token=t")
    assert browser.get("/jobs").status_code == 200
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 62)
    assert browser.get("/jobs").status_code == 401


def test_a_name_may_hold_anything_and_does_nothing(visit):
    browser = visit()
    mark = hidden(browser.get("/review").text) or hidden(browser.get("/datasets").text)
    page = browser.post(
        "/name", data=mark | {"name": "<script>alert(1)</script>", "back": "/datasets"}
    )
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text


def test_no_such_page_is_said_kindly(visit):
    answer = visit().get("/nowhere")
    assert (answer.status_code, "There is no such page</h1>" in answer.text) == (404, True)
    answer = visit().get("/datasets/99")
    assert (answer.status_code, ">There is no data set 99 yet.<" in answer.text) == (404, True)


def test_a_message_begins_with_a_capital_unless_that_may_be_a_name():
    assert views.sentence("say which column it is") == "Say which column it is."
    assert views.sentence("no: try again") == "no: try again."
    assert views.sentence("rows.csv: has no rows") == "rows.csv: has no rows."
    assert views.sentence("'a b' is no name; which one?") == "'a b' is no name; which one?"


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.2:7860", "[::1]:7860"])
def test_every_name_of_this_machine_will_do(visit, host):
    assert visit().get("/datasets", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/datasets/{}", "/jobs/{}", "/review/{}", "/evaluators/a/{}"])
def test_a_number_beyond_all_numbers_is_no_fault(visit, path):
    assert visit().get(path.format(10**30)).status_code == 404


def test_two_desks_on_one_machine_leave_each_other_alone(visit, workspace, tmp_path):
    """A browser sends the cookies of a host to all its ports."""
    browser = visit()
    browser.post("/name", data=hidden(browser.get("/datasets").text) | {"name": "Ann"})
    second = Workspace(tmp_path / "second")
    other = TestClient(build(second, DeskSettings()), base_url=LOCAL, cookies=browser.cookies)
    assert "Ann" not in other.get("/datasets").text
    browser.cookies.update(other.cookies)
    assert "Ann" in browser.get("/datasets").text
    second.close()


def test_who_is_not_let_in_stores_no_file(visit, monkeypatch):
    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", None)
    browser = visit("http://desk.example", host="0.0.0.0", token="t")
    answer = browser.post("/uploads", files={"file": ("a.csv", b"x" * 2**21)})
    assert (answer.status_code, "Sign in" in answer.text) == (401, True)
    assert "/jobs" not in answer.text


def test_a_form_without_a_file_is_no_way_to_fill_the_memory(visit):
    answer = visit().post("/criteria/new", data={"prompt": "x" * 9 * 2**20})
    assert (answer.status_code, "text is too long" in answer.text) == (413, True)


def test_a_name_can_be_changed_and_a_desk_left(visit):
    browser = visit("http://desk.example", host="0.0.0.0", token="t")
    browser.post("/sign-in", data={"token": "t", "to": "/jobs", "name": "Amn"})
    page = browser.get("/name?back=/jobs")
    assert 'value="Amn"' in page.text
    changed = browser.post("/name", data=hidden(page.text) | {"name": "Ann"})
    assert (changed.url.path, "Ann" in changed.text) == ("/jobs", True)
    browser.post("/sign-out", data=hidden(browser.get("/name").text))
    assert browser.get("/jobs").status_code == 401
