"""The Live pages: numbers, spikes and the way to the review queue."""

from __future__ import annotations

import random
import re
import time

import pytest
from desk_forms import hidden
from traffic_rows import DAY, Said, write_segment

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
