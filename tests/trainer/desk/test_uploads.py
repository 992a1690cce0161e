"""Uploaded files: good ones, broken ones, and names that try to leave the folder."""

from __future__ import annotations

import json
import tempfile

import pytest
from desk_forms import hidden

ROWS = b"asked,reply\nq1,a1\nq2,<script>alert(1)</script>\n"


@pytest.fixture
def browser(visit):
    return visit(max_upload_bytes=100_000)


@pytest.fixture
def bring(browser):
    def bring(name, content):
        form = hidden(browser.get("/datasets").text)
        return browser.post("/uploads", data=form, files={"file": (name, content)})

    return bring


def store(browser, page, **fields):
    return browser.post(str(page.url), data=hidden(page.text) | fields)


def test_a_file_becomes_a_data_set(browser, bring, workspace):
    page = bring("../../etc/traces of May.csv", ROWS)
    assert page.url.path.startswith("/uploads/")
    assert "traces of May.csv" in page.text
    assert "<script>alert" not in page.text
    stored = store(browser, page, **{"map-input": "asked", "map-output": "reply", "name": "May"})
    assert "May is created with 2 rows." in stored.text
    assert "<script>alert" not in stored.text
    assert next(workspace.stores.datasets.rows(workspace.label_set(1))).output == "a1"
    assert list((workspace.folder / "uploads").iterdir()) == []
    assert not (workspace.folder.parent / "etc").exists()
    assert "This upload no longer exists" in browser.get(str(page.url)).text


def test_a_wrong_mapping_is_told_and_can_be_mended(browser, bring, workspace):
    page = bring("traces.csv", ROWS)
    for fields, message in [
        ({"name": "May"}, "no column for input, output or ground_truth"),
        ({"name": "May", "map-output": "reply", "map-label": "asked"}, "is not a label"),
        ({"name": "", "map-output": "reply"}, "can&#39;t be a data set&#39;s name"),
    ]:
        refused = store(browser, page, **fields)
        assert refused.status_code == 400
        assert message in refused.text
        assert "--map" not in refused.text
    assert not workspace.stores.datasets.all()
    assert (
        "May is created with 2 rows."
        in store(browser, page, name="May", **{"map-output": "reply"}).text
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.xlsx", b"PK", "convert it to one of them"),
        ("rows", b"a", "convert it to one of them"),
        ("rows.csv", b"", "has no rows"),
        ("rows.csv", b'a,b\n"1,2\n', "quotes"),
        ("rows.csv", b"\xff\xfea\x00", "UTF-16"),
        ("rows.jsonl", b"{", "not a JSON object on one line"),
        ("rows.parquet", b"PAR1", "Parquet"),
        ("rows.json", json.dumps({"a": []}).encode(), "input, output or ground_truth"),
    ],
)
def test_a_broken_file_is_told(browser, bring, workspace, name, content, message):
    page = bring(name, content)
    refused = page if page.status_code == 400 else store(browser, page, name="x")
    assert refused.status_code == 400
    assert message in refused.text
    assert str(workspace.folder) not in refused.text
    assert not workspace.stores.datasets.all()


def test_a_file_that_is_too_large_is_refused_before_it_is_read(browser, bring, workspace):
    refused = bring("rows.csv", b"input\n" + b"x" * 3_000_000)
    assert refused.status_code == 413
    assert "max_upload_bytes" in refused.text
    assert not (workspace.folder / "uploads").exists()


def test_no_file(browser):
    form = hidden(browser.get("/datasets").text)
    assert "No file was chosen." in browser.post("/uploads", data=form).text


@pytest.mark.parametrize("key", ["%2e%2e", "%2e%2e%2fworkspace", "0" * 32, "a.name"])
def test_no_other_file_is_reached(browser, key):
    assert browser.get(f"/uploads/{key}").status_code == 404


def test_what_is_to_know_of_how_a_file_was_read_is_on_its_data_set_s_page(browser, bring):
    page = bring("rows.csv", b"output,answer\nyes,no\n")
    stored = store(browser, page, name="rows")
    assert (stored.status_code, "is not read as output" in stored.text) == (200, True)
    # The notes are open until something else happens to the data set.
    assert '<details class="card" open><summary>Notes on the file' in stored.text


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "json"])
def test_downloads(browser, bring, ending):
    page = bring("traces.csv", ROWS)
    store(browser, page, name='M, "ä"'.replace('"', ""), **{"map-output": "reply"})
    answer = browser.get(f"/datasets/1/download/{ending}")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''M%2C")
    assert b"alert(1)" in answer.content
    assert browser.get("/datasets/1/download/exe").status_code == 404


def test_what_columns_hold_is_seen_where_they_are_chosen(bring):
    page = bring("traces.csv", ROWS)
    assert '<option value="reply">reply: a1</option>' in page.text


def test_rows_of_nothing_but_references_are_asked_about(browser, bring, workspace):
    """Rows with the same text count as one, so few would remain."""
    rows = b'{"reply": "a", "reference": "x"}\n{"reply": "b", "reference": "x"}\n'
    page = bring("rows.jsonl", rows)
    refused = store(browser, page, name="few")
    assert (refused.status_code, "which column is the output" in refused.text) == (400, True)
    assert not workspace.stores.datasets.all()
    store(browser, page, name="all", **{"map-output": "reply", "map-ground_truth": "reference"})
    assert workspace.stores.datasets.get("all").rows == 2


def test_a_full_disk_is_told_whatever_is_full(visit, workspace, tmp_path, monkeypatch):
    """Uploads and downloads are spooled in the folder for temporary files."""
    browser = visit()
    form = hidden(browser.get("/datasets").text)
    rows = b"output\n" + b"\n".join(b"%d %s" % (n, b"x" * 1000) for n in range(6000))
    brought = browser.post("/uploads", data=form, files={"file": ("large.csv", rows)})
    store(browser, brought, name="large")
    room = tmp_path / "no such folder"
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    refused = browser.post("/uploads", data=form, files={"file": ("large.csv", rows)})
    assert (refused.status_code, "Make room there and upload the file again" in refused.text) == (
        507,
        True,
    )
    answer = browser.get("/datasets/1/download/csv")
    assert (answer.status_code, "Make room there and try again" in answer.text) == (404, True)
    monkeypatch.undo()
    uploads = workspace.folder / "uploads"
    assert list(uploads.iterdir()) == []
    uploads.rmdir()
    uploads.touch()
    told = browser.post("/uploads", data=form, files={"file": ("large.csv", rows)})
    assert (told.status_code, "Make room there and upload the file again" in told.text) == (
        400,
        True,
    )
    assert len(browser.get("/datasets/1/download/csv").content) > len(rows)
