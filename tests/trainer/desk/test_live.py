"""The Live pages: numbers, spikes and the way to the review queue."""

from __future__ import annotations

import random
import re
import time

import pytest
from desk_forms import hidden
from sqlalchemy import select
from traffic_rows import DAY, Said, write_segment

from tipstaff_trainer.workspace.db.models import TrafficRow

HOUR = 3600


@pytest.fixture
def traffic(workspace, tmp_path):
    """Three weeks of answers, of which a day at the end is worse."""
    generator = random.Random(1)
    now = time.time()
    answers = []
    for hour in range(21 * 24):
        at = now - 21 * DAY + hour * HOUR
        worse = hour >= 20 * 24
        for index in range(6):
            score = generator.random() ** (2.5 if worse else 0.3)
            answers.append(Said(at + index, score, attributes={"model": "x"}, caller="shop"))
    write_segment(tmp_path / "kept", answers, feedback=[])
    assert workspace.collect_traffic(tmp_path / "kept").answers == len(answers)
    return workspace


def test_without_traffic_the_page_says_what_to_do(visit):
    assert "tipstaff collect" in visit().get("/live").text


def test_a_spike_leads_to_the_rows_behind_it_and_these_to_the_queue(visit, traffic):
    browser = visit()
    assert "found</a>" in browser.get("/live").text
    page = browser.get("/live/judge?span=month").text
    assert "Share of PASS" in page
    assert "People agree" in page
    assert "withheld" in page
    assert "shop" in page
    link = re.search(r'href="(/live/judge/rows\?[^"]+)"[^>]*>Look', page)[1].replace("&amp;", "&")
    rows = browser.get(link)
    assert "most telling" in rows.text
    browser.post("/name", data={"name": "Ann", "back": "/"})
    queued = browser.post("/live/judge", data=hidden(rows.text))
    assert "wait for review" in queued.text
    assert "uncertain" not in queued.text
    waiting = traffic.review_queue("traffic of judge")
    assert 0 < len(waiting) <= 40
    assert all(item.selection == "uncertain" for item, _ in waiting)
    # What was queued once never comes again.
    again = browser.post("/live/judge", data=hidden(rows.text))
    assert traffic.stores.reviews.progress(traffic.label_set("traffic of judge")).waiting <= 80
    ids = [item.row_id for item, _ in traffic.review_queue("traffic of judge")]
    assert len(ids) == len(set(ids))
    assert again.status_code == 200


def test_drawn_reviews_become_rates(visit, traffic):
    browser = visit()
    browser.post(
        "/live/judge", data={"span": "day", "drawn": "60", "disputed": "0", "flagged": "0"}
    )
    labels = traffic.label_set("traffic of judge")
    while item := traffic.stores.reviews.claim(labels, "ann"):
        row = traffic.stores.datasets.row(item.row_id, labels)
        good = float(row.position % 3 > 0)
        traffic.stores.reviews.submit(item.id, good, who="ann", based_on_label_id=0)
    page = browser.get("/live/judge?span=week").text
    assert "drawn rows that people reviewed" in page
    live = traffic.live("judge")
    # One in three is bad; the draw differs from run to run, and its intervals are tested elsewhere.
    assert abs(live.rates.bad.value - 1 / 3) < 0.25
    assert live.rates.bad.low < live.rates.bad.value < live.rates.bad.high
    assert live.rates.bad.reviews == 60


@pytest.fixture
def two_parts(workspace, tmp_path):
    """Two versions, two callers and two values of an attribute, all in the last hours."""
    now = time.time() - HOUR
    answers = [
        Said(
            *(now + index, 0.05 + index % 10 / 10, 1 + index % 2),
            caller=f"app {index % 2}",
            attributes={"model": f"m{index % 2}"},
        )
        for index in range(40)
    ]
    write_segment(tmp_path / "kept", answers)
    workspace.collect_traffic(tmp_path / "kept")
    return workspace


@pytest.mark.parametrize("part", [{"version": "1"}, {"caller": "app 0"}, {"attribute": "model=m0"}])
@pytest.mark.parametrize("path", ["/live/judge", "/live/judge/rows"])
def test_a_form_keeps_what_the_page_is_narrowed_to(visit, two_parts, path, part):
    browser = visit()
    page = browser.get(path, params={"span": "day", **part})
    form = hidden(page.text)
    assert form.items() >= part.items()
    assert form["span"] == "day"
    form |= {"drawn": "0", "disputed": "0", "flagged": "0", "passed": "0"}
    again = browser.post("/live/judge", data=form)
    assert again.url.path == path
    assert dict(again.url.params) == {"span": "day", **part}
    # Every second row has another version, caller and attribute.
    browser.post("/live/judge", data=form | {"flagged": "40", "passed": "40"})
    stored = two_parts.stores.database.scalars(select(TrafficRow))
    versions = {each.row_id: each.version for each in stored}
    waiting = two_parts.review_queue("traffic of judge")
    assert {versions[item.row_id] for item, _ in waiting} == {1}


def test_a_page_of_an_attribute_is_of_its_own_name_whatever_signs_it_has(
    visit, workspace, tmp_path
):
    """Once, `a=b` with the value `c` was `a` with the value `b=c`."""
    now, counts = time.time() - HOUR, {("a=b", "c"): 1, ("a", "b=c"): 2, ("a%3Db", "c"): 3}
    answers = [
        Said(now + index, 0.9, attributes={name: value})
        for (name, value), count in counts.items()
        for index in range(count)
    ]
    write_segment(tmp_path / "kept", answers)
    workspace.collect_traffic(tmp_path / "kept")
    browser = visit()
    page = browser.get("/live/judge?span=day").text
    choices = re.findall(r'<option value="([^"]+)">(a[^:<]*: [^<]+)</option>', page)
    assert sorted(words for _, words in choices) == ["a%3Db: c", "a: b=c", "a=b: c"]
    for address, words in choices:
        shown = browser.get("/live/judge", params={"span": "day", "attribute": address}).text
        count = counts[tuple(words.split(": "))]
        assert f"estimated from {count} of them" in shown
        assert hidden(shown)["attribute"] == address
        rows = browser.get("/live/judge/rows", params={"span": "day", "attribute": address}).text
        assert rows.count('<td class="words">') == count


def test_a_page_of_an_attribute_claims_no_number_of_all_answers(visit, two_parts):
    page = visit().get("/live/judge?span=day&attribute=model%3Dm0").text
    assert "estimated from 20 of them" in page
    assert "withheld" in page
    assert "Needs a person" not in page
    assert "None found" not in page
    assert "Spikes of all answers" in page
    assert "Of all traffic, 0 wait" in page
    assert 'id="loop"' not in page
    assert "Feedback on kept rows" in page


def test_rows_of_a_part_say_so(visit, two_parts):
    page = visit().get("/live/judge/rows?span=day&version=2&caller=app+1").text
    assert "UTC, version 2, caller app 1; the latest of the kept rows first" in page
    assert 'href="/live/judge?version=2&amp;caller=app+1"' in page
