"""What forms offer and tick is what the data have."""

from __future__ import annotations

import html
import json
import re

import pytest
from desk_forms import hidden
from playwright.sync_api import expect
from tiny_bundle import make_bundle

from tipstaff_server import repository
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.labels import log
from tipstaff_trainer.workspace.labels.label_sets import further_label_set
from tipstaff_trainer.workspace.operations.suitable import in_words


@pytest.fixture
def upload(workspace, tmp_path):
    """Uploads rows with some columns; each row's text names its number."""

    def upload(name, *columns, labels=(0, 1), rows=20, **settings):
        file = tmp_path / f"{name}.jsonl"
        records = [dict.fromkeys(columns, f"Paris {n}") for n in range(rows)]
        for n, record in enumerate(records if labels else ()):
            record["label"] = labels[n % len(labels)]
        file.write_text("\n".join(map(json.dumps, records)))
        return workspace.upload_dataset(
            file, criterion="faithfulness" if labels else "", **settings
        )

    return upload


@pytest.fixture
def queued(workspace, monkeypatch):
    monkeypatch.setattr(workspace.stores.jobs, "_launch", workspace.stores.jobs.get)


def options(page, name):
    """A select's options by value: the text, and whether it is selected or disabled."""
    select = re.search(rf'<select id="{name}".*?</select>', page, re.DOTALL)[0]
    return {
        html.unescape(value): (html.unescape(" ".join(text.split())), state.strip())
        for value, state, text in re.findall(r'<option value="([^"]*)"(.*?)>(.*?)</option>', select)
    }


def boxes(page):
    found = re.findall(r'name="columns" value="(\w+)"( checked)?', page)
    return {name: bool(ticked) for name, ticked in found}


@pytest.mark.usefixtures("queued")
@pytest.mark.parametrize(
    "columns",
    [("input", "output"), ("output", "ground_truth"), ("output",), ("input", "ground_truth")],
)
def test_the_form_s_defaults_train_whatever_the_data_have(visit, workspace, upload, columns):
    upload("traces", *columns)
    browser = visit()
    page = browser.get("/evaluators").text
    assert boxes(page) == dict.fromkeys(columns, True)
    form = hidden(page) | {"dataset": "1/faithfulness", "name": "a", "columns": list(columns)}
    started = browser.post("/evaluators", data=form)
    assert (started.status_code, started.url.path) == (200, "/jobs/1")
    data = workspace.stores.jobs.get(1).parameters["request"]["data"]
    assert data["columns"] == list(columns)


def test_a_column_without_a_text_is_not_offered(visit, workspace, tmp_path):
    file = tmp_path / "traces.csv"
    file.write_text("input,output,ground_truth,label\n,a,,1\n ,b,,0\n")
    workspace.upload_dataset(file, criterion="faithfulness")
    assert boxes(visit().get("/evaluators").text) == {"output": True}
    assert "with output." in visit().get("/datasets/1").text


def test_labels_that_can_not_be_learnt_from_are_not_chosen(visit, workspace, upload):
    upload("usable", "output")
    upload("good", "output", labels=(1,))
    upload("bad", "output", labels=(0,))
    upload("unlabelled", "output", labels=())
    browser = visit()
    offered = options(browser.get("/evaluators").text, "dataset")
    assert offered == {
        "4/": ("unlabelled: no labels", "disabled"),
        "3/faithfulness": ("bad: only bad labels", "disabled"),
        "2/faithfulness": ("good: only good labels", "disabled"),
        "1/faithfulness": ("usable: 20 labelled, 0 test rows", "selected"),
    }
    for value, reason in (("2/faithfulness", "only good labels"), ("4/", "no row has a label")):
        form = {"dataset": value, "name": "a", "columns": "output"}
        refused = browser.post("/evaluators", data=form)
        assert (refused.status_code, reason in refused.text) == (400, True)
    assert "Train an evaluator</a>" not in browser.get("/datasets/2").text
    assert "here are only good labels" in browser.get("/datasets/2").text
    # Nor do they estimate each other.
    assert list(options(browser.get("/datasets/2").text, "scored-by")) == [""]


@pytest.mark.usefixtures("queued")
def test_only_labels_that_training_uses_are_offered_too(visit, workspace, upload, tmp_path):
    upload("chosen", "output")
    upload("same", "output")
    upload("several", "output")
    workspace.add_criterion("several", "relevance")
    several = workspace.label_set("several", "relevance")
    rows = [row.id for row in workspace.stores.datasets.rows(several)]
    with workspace.stores.database.writing() as session:
        for n, row in enumerate(rows):
            log.record(session, row, "relevance", log.NewLabel(n % 2, "human", who="ann"))
    file = tmp_path / "unnamed.csv"
    file.write_text("output,label\na,1\nb,0\n")
    workspace.upload_dataset(file)

    def offered(chosen):
        page = visit().get("/evaluators", params={"dataset": chosen}).text
        more = re.findall(r'name="more" value="([^"]*)"', page)
        assert list(options(page, "test_dataset")) == ["", *more]
        return set(more)

    assert offered("1/faithfulness") == {"2/faithfulness", "3/faithfulness", "4/"}
    assert offered("3/relevance") == {"4/"}
    # Training on labels without a criterion can't tell which of several to take.
    assert offered("4/") == {"1/faithfulness", "2/faithfulness"}
    with pytest.raises(WorkspaceError, match="several criteria"):
        further_label_set(workspace.stores.datasets.get(3), "")


def test_without_labels_to_learn_from_nothing_can_be_started(visit, upload):
    upload("unlabelled", "output", labels=())
    page = visit().get("/evaluators").text
    assert "No data set has both good and bad labels yet" in page
    assert '<button class="main" disabled>Start training' in page


def test_choosing_a_data_set_offers_its_fields_and_keeps_the_rest(
    chromium, start_desk, workspace, upload
):
    upload("outputs", "output")
    upload("both", "output", "ground_truth")
    workspace.close()
    desk = start_desk(workspace.folder)
    page = chromium.new_context(base_url=desk.url).new_page()
    page.set_default_timeout(60_000)
    page.goto("/evaluators")
    page.get_by_label("Name of the evaluator").fill("mine")
    expect(page.get_by_role("checkbox", name="ground truth")).to_be_checked()
    with page.expect_navigation():
        page.get_by_label("Data set").select_option("1/faithfulness")
    expect(page.get_by_label("Name of the evaluator")).to_have_value("mine")
    expect(page.get_by_role("checkbox", name="ground truth")).to_have_count(0)
    expect(page.get_by_role("checkbox", name="output")).to_be_checked()
    page.context.close()


def test_unticked_fields_stay_unticked_after_an_error(visit, upload):
    upload("both", "output", "ground_truth")
    form = {"dataset": "1/faithfulness", "name": "?", "columns": "output"}
    refused = visit().post("/evaluators", data=form)
    assert boxes(refused.text) == {"output": True, "ground_truth": False}


def test_rows_to_measure_on_say_what_they_lack(visit, workspace, upload, tmp_path, queued):
    bundle = make_bundle(tmp_path / "tiny", order=("output", "ground_truth"))
    repository.publish(bundle, workspace.repository)
    upload("outputs", "output")
    upload("inputs", "input")
    upload("unlabelled", "output", "ground_truth", labels=())
    upload("whole", "output", "ground_truth")
    browser = visit()
    here = "/evaluators/tiny/1"
    page = browser.get(here).text
    assert options(page, "dataset") == {
        "4/faithfulness": ("whole: 20 labelled", "selected"),
        "3/": ("unlabelled: no labels", "disabled"),
        "2/faithfulness": ("inputs: no output and ground truth", "disabled"),
        "1/faithfulness": ("outputs: 20 labelled, no ground truth", ""),
    }
    # Without test rows all rows are offered, and people have labelled none.
    assert options(page, "part") == {
        "test": ("test rows (0 labelled)", "disabled"),
        "": ("all rows (20 labelled)", ""),
    }
    assert 'name="human" value="yes" disabled' in page
    chosen = browser.post(
        f"{here}/measure", data={"dataset": "1/faithfulness", "action": "choose"}
    ).text
    assert options(chosen, "dataset")["1/faithfulness"][1] == "selected"
    assert "The rows have no ground truth, which tiny reads" in chosen
    back = {"back": here}
    for fields, message in (
        ({"dataset": "4/faithfulness", "part": "test"}, "no test row has a label"),
        ({"dataset": "4/faithfulness", "human": "yes"}, "no row has a label from a person"),
        ({"dataset": "2/faithfulness", "part": ""}, "no row of inputs has a text there"),
    ):
        refused = browser.post(f"{here}/measure", data=back | fields)
        assert message in refused.text, message
    assert not workspace.stores.jobs.recent()
    started = browser.post(f"{here}/measure", data={"dataset": "4/faithfulness", "part": ""})
    assert started.url.path == "/jobs/1"


def test_scorers_say_what_the_rows_lack(visit, workspace, upload, tmp_path, queued):
    for name, order in (("both", ("output", "ground_truth")), ("asked", ("input",))):
        bundle = make_bundle(tmp_path / name, name=name, order=order)
        repository.publish(bundle, workspace.repository)
    upload("outputs", "output")
    page = visit().get("/datasets/1").text
    assert options(page, "scored-by") == {
        "": ("nothing", ""),
        "both/1": ("both version 1: scores the rows first, without ground truth", ""),
        "/0": ("estimate from the other rows: scores the rows first", ""),
    }
    with pytest.raises(WorkspaceError, match="asked version 1 reads input, and no row of outputs"):
        workspace.score_dataset(1, "asked")


def test_ranked_rows_are_offered_where_there_are_some(visit, upload):
    upload("outputs", "output", label_source="judge")
    upload("unlabelled", "output", labels=())
    browser = visit()
    for dataset, ranked in ((1, 20), (2, 0)):
        page = browser.get(f"/datasets/{dataset}").text
        assert f'name="ranked" type="number" min="0" max="5000" value="{ranked}"' in page


def test_fields_in_words():
    assert in_words(()) == ""
    assert in_words(["input"]) == "input"
    assert in_words(["input", "output", "ground_truth"]) == "input, output and ground truth"
