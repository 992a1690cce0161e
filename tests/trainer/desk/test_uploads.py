"""Uploads: good files, broken files, and names that point out of the folder."""

from __future__ import annotations

import json
import re
import tempfile

import pytest
from desk_forms import hidden

ROWS = b"asked,reply\nq1,a1\nq2,<script>alert(1)</script>\n"


@pytest.fixture
def browser(visit):
    return visit(max_upload_bytes=100_000)


@pytest.fixture
def upload(browser):
    def upload(name, content):
        form = hidden(browser.get("/datasets").text)
        return browser.post("/uploads", data=form, files={"file": (name, content)})

    return upload


def store(browser, page, **fields):
    return browser.post(str(page.url), data=hidden(page.text) | fields)


def test_a_file_becomes_a_data_set(browser, upload, workspace):
    page = upload("../../etc/traces of May.csv", ROWS)
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


def test_a_wrong_mapping_is_refused_and_can_be_corrected(browser, upload, workspace):
    page = upload("traces.csv", ROWS)
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
        ("rows.xlsx", b"PK", "can&#39;t be read as a spreadsheet"),
        ("rows.xls", b"PK", "convert it to one of them"),
        ("rows", b"a", "convert it to one of them"),
        ("rows.csv", b"", "has no rows"),
        ("rows.csv", b'a,b\n"1,2\n', "quotes"),
        ("rows.csv", b"\xff\xfea\x00a", "UTF-16"),
        ("rows.jsonl", b"{", "not a JSON object on one line"),
        ("rows.parquet", b"PAR1", "Parquet"),
        ("rows.json", json.dumps({"a": []}).encode(), "input, output or ground_truth"),
    ],
)
def test_a_broken_file_is_refused_with_the_reason(
    browser, upload, workspace, name, content, message
):
    page = upload(name, content)
    refused = page if page.status_code == 400 else store(browser, page, name="x")
    assert refused.status_code == 400
    assert message in refused.text
    assert str(workspace.folder) not in refused.text
    assert not workspace.stores.datasets.all()


def test_a_file_that_is_too_large_is_refused_before_it_is_read(browser, upload, workspace):
    refused = upload("rows.csv", b"input\n" + b"x" * 3_000_000)
    assert refused.status_code == 413
    assert "max_upload_bytes" in refused.text
    assert not (workspace.folder / "uploads").exists()


def test_no_file(browser):
    form = hidden(browser.get("/datasets").text)
    assert "No file was chosen." in browser.post("/uploads", data=form).text


@pytest.mark.parametrize("key", ["%2e%2e", "%2e%2e%2fworkspace", "0" * 32, "a.name"])
def test_an_upload_s_key_reaches_no_other_file(browser, key):
    assert browser.get(f"/uploads/{key}").status_code == 404


def test_notes_on_how_a_file_was_read_are_on_the_data_set_s_page(browser, upload):
    page = upload("rows.csv", b"output,answer\nyes,no\n")
    stored = store(browser, page, name="rows")
    assert (stored.status_code, "is not read as output" in stored.text) == (200, True)
    # Open until rows are labelled.
    assert '<details class="card" open><summary>Notes on the file' in stored.text


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "json"])
def test_downloads(browser, upload, ending):
    page = upload("traces.csv", ROWS)
    store(browser, page, name='M, "ä"'.replace('"', ""), **{"map-output": "reply"})
    answer = browser.get(f"/datasets/1/download/{ending}")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''M%2C")
    assert b"alert(1)" in answer.content
    assert browser.get("/datasets/1/download/exe").status_code == 404


def test_columns_are_offered_with_their_first_text(upload):
    page = upload("traces.csv", ROWS)
    assert '<option value="reply">reply: a1</option>' in page.text


def test_a_mapping_with_only_a_ground_truth_is_refused(browser, upload, workspace):
    """Rows with the same ground truth would count as repetitions."""
    rows = b'{"reply": "a", "reference": "x"}\n{"reply": "b", "reference": "x"}\n'
    page = upload("rows.jsonl", rows)
    refused = store(browser, page, name="few")
    assert (refused.status_code, "which column is the output" in refused.text) == (400, True)
    assert not workspace.stores.datasets.all()
    store(browser, page, name="all", **{"map-output": "reply", "map-ground_truth": "reference"})
    assert workspace.stores.datasets.get("all").rows == 2


def test_a_full_disk_is_reported_whichever_folder_is_full(visit, workspace, tmp_path, monkeypatch):
    """Uploads and downloads go through the folder of temporary files."""
    browser = visit()
    form = hidden(browser.get("/datasets").text)
    rows = b"output\n" + b"\n".join(b"%d %s" % (n, b"x" * 1000) for n in range(6000))
    uploaded = browser.post("/uploads", data=form, files={"file": ("large.csv", rows)})
    store(browser, uploaded, name="large")
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
    refused = browser.post("/uploads", data=form, files={"file": ("large.csv", rows)})
    assert (refused.status_code, "Make room there and upload the file again" in refused.text) == (
        400,
        True,
    )
    assert len(browser.get("/datasets/1/download/csv").content) > len(rows)


def test_what_labels_mean_is_said_on_the_page(browser, upload, workspace):
    page = upload("stars.csv", b"output;label\nparis;5\nlondon;1\nrome;4\n")
    assert "is not a label" in page.text
    refused = store(browser, page, name="stars", scale="5-1", **{"map-output": "output"})
    assert refused.status_code == 400
    fields = {"map-output": "output", "map-label": "label"}
    stored = store(browser, page, name="stars", scale="1-5", cut="4", **fields)
    assert "stars is created with 3 rows." in stored.text
    labels = workspace.label_set("stars")
    assert (labels.labelled, labels.good) == (3, 2)
    assert "labels read" in stored.text


def test_an_export_is_known_and_one_of_its_labels_is_asked_for(browser, upload, workspace):
    def choice(name, value):
        return {"from_name": name, "type": "choices", "value": {"choices": [value]}}

    tasks = [
        {
            "data": {"input": f"q {n}", "output": f"paris {n}"},
            "annotations": [{"result": [choice("faithful", "no"), choice("polite", "yes")]}],
        }
        for n in range(3)
    ]
    page = upload("project.json", json.dumps(tasks).encode())
    assert "an export of Label Studio" in page.text
    assert "&#34;faithful&#34; and &#34;polite&#34; could each be the label" in page.text
    fields = {"map-input": "input", "map-output": "output"}
    store(browser, page, name="faithful", **fields, **{"map-label": "faithful"})
    labels = workspace.label_set("faithful")
    assert (labels.labelled, labels.human, labels.good) == (3, 3, 0)


def test_a_file_is_added_to_a_data_set(browser, upload, workspace):
    rows = b"id,output,label,label_source\n1,paris,1,judge\n2,london,0,judge\n"
    store(browser, upload("may.csv", rows), name="May")
    page = browser.get("/datasets/1")
    form = hidden(page.text) | {"into": "1/"}
    more = b"id,output,label,label_source\n2,london,1,human\n3,rome,1,human\n"
    mapped = browser.post("/uploads", data=form, files={"file": ("june.csv", more)})
    assert mapped.url.query == b"into=1%2F"
    assert '<option value="1/" selected>May</option>' in mapped.text
    columns = {"map-output": "output", "map-label": "label"}
    added = store(browser, mapped, name="june", into="1/", **columns)
    assert "1 row is added to May." in added.text
    assert "1 rows were there already. See the notes on the file." in added.text
    stored = store(browser, mapped, name="june", into="1/")
    assert "This upload no longer exists" in stored.text
    assert "1 label differs" in browser.get("/datasets/1").text
    labels = workspace.label_set(1)
    found = [(row.key, row.label) for row in workspace.stores.datasets.rows(labels)]
    assert found == [("1", 1.0), ("2", 1.0), ("3", 1.0)]
    assert [each.name for each in workspace.list_datasets()] == ["May"]


def test_a_file_whose_ids_are_those_of_other_rows_adds_nothing(browser, upload, workspace):
    store(browser, upload("may.csv", b"id,output\n1,paris\n"), name="May")
    page = upload("june.csv", b"id,output\n1,rome\n")
    refused = store(browser, page, name="june", into="1/")
    assert refused.status_code == 400
    assert "with another output" in refused.text
    assert workspace.stores.datasets.get(1).rows == 1


def test_what_became_of_rows_is_said_whatever_the_file_is_called(browser, upload, workspace):
    store(browser, upload("may.csv", b"id,output\n1,paris\n"), name="May")
    odd = upload("june: added later.csv", b"id,output\n1,paris\n2,rome\n")
    added = store(browser, odd, name="june", into="1/")
    assert "1 row is added to May." in added.text
    assert "1 rows were there already" in added.text
    plain = store(browser, upload("july.csv", b"id,output\n3,oslo\n"), name="july", into="1/")
    assert "1 row is added to May." in plain.text
    assert "See the notes" not in plain.text


def test_both_forms_for_a_file_take_and_refuse_the_same(browser, upload):
    store(browser, upload("may.csv", b"id,output\n1,paris\n"), name="May")
    pages = (browser.get("/datasets").text, browser.get("/datasets/1").text)
    fields = [re.search(r'<input id="[a-z-]+" (name="file" [^>]+)>', page)[1] for page in pages]
    assert fields[0] == fields[1]
    assert ".parquet" in fields[0]
    assert "Split the file" in fields[0]
