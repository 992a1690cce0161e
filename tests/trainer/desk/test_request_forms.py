"""The forms that are drawn from requests: labelling and training."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser

import pytest
from desk_forms import hidden
from playwright.sync_api import expect

from tipstaff_server.request_fields import fields_of
from tipstaff_trainer.desk.forms import RequestForm
from tipstaff_trainer.desk.pages import evaluators, labelling
from tipstaff_trainer.operations.label import LabelRequest
from tipstaff_trainer.operations.train import TrainRequest
from tipstaff_trainer.workspace.db.models import Job

FORMS = {
    "/datasets/1/label": (LabelRequest, labelling._form()),
    "/evaluators": (TrainRequest, evaluators._form()),
}
# Enough for a form to be sent.
TYPED = {
    "/datasets/1/label": {
        "action": "start",
        "criterion": "relevance",
        "rows": "all",
        "model": "judge-1",
        "base_url": "http://127.0.0.1:9/v1",
    },
    "/evaluators": {
        "dataset": "1/relevance",
        "name": "colours",
        "columns": "output",
        "freeze_words": "true",
        "evidence": "true",
    },
}
PAGES = pytest.mark.parametrize("path", FORMS)


class Fields(HTMLParser):
    """A page's form fields by name, and the ids that its labels and hints have."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.labels: set[str] = set()
        self.ids: set[str] = set()
        self.fields: dict[str, dict[str, str]] = {}
        self._within: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids.add(values.get("id"))
        if tag == "label":
            self._within.append(tag)
            self.labels.add(values.get("for"))
        elif tag in ("input", "select", "textarea") and values.get("type") != "hidden":
            labelled = bool(self._within) or values.get("id") in self.labels
            self.fields[values["name"]] = values | {"labelled": labelled}

    def handle_endtag(self, tag):
        if tag == "label":
            self._within.pop()


def fields_with_checks():
    """The fields that don't take just any text, with a wrong one for each."""
    for path, (_, form) in FORMS.items():
        for field in form.fields:
            if field.numeric or field.choices or (field.switch and field.default is None):
                yield pytest.param(path, field, "perhaps", id=f"{path} {field.name}")
            elif field.name in ("base_url", "extra_body", "precisions"):
                yield pytest.param(path, field, "no, thing", id=f"{path} {field.name}")


@pytest.fixture(autouse=True)
def dataset(workspace, tmp_path):
    file = tmp_path / "traces.jsonl"
    rows = [{"input": f"{n}?", "output": f"{n} is Paris", "label": n % 2} for n in range(40)]
    file.write_text("\n".join(map(json.dumps, rows)))
    return workspace.upload_dataset(file, criterion="relevance")


@pytest.fixture
def send(visit):
    browser = visit()

    def send(path, **fields):
        return browser.post(path, data=hidden(browser.get(path).text) | TYPED[path] | fields)

    return send


def notice(page):
    return html.unescape(re.search('<div class="notice bad" role="alert">(.*?)</div>', page)[1])


@PAGES
def test_every_field_has_a_label_and_a_hint(visit, path):
    page = Fields(visit().get(path).text)
    assert [name for name, each in page.fields.items() if not each["labelled"]] == []
    hints = {
        each["aria-describedby"] for each in page.fields.values() if "aria-describedby" in each
    }
    assert hints <= page.ids
    assert {f"hint-{each.name}" for each in FORMS[path][1].fields} <= hints


@PAGES
def test_all_fields_are_there_but_those_for_someone_at_the_machine(visit, path):
    shown = Fields(visit().get(path).text).fields
    model, form = FORMS[path]
    local = {each.name for each in fields_of(model) if each.local}
    assert {"out", "ledger", "restart", "teacher"} & local
    assert not local & set(shown)
    assert {each.name for each in form.fields} <= set(shown)


@pytest.mark.parametrize(("path", "field", "wrong"), list(fields_with_checks()))
def test_a_wrong_value_is_named_by_its_label_and_kept(send, workspace, path, field, wrong):
    page = send(path, **{field.name: wrong})
    assert page.status_code == 400
    message = notice(page.text)
    assert message.startswith(f"{field.title} {wrong.partition(',')[0]}"), message
    names = [name for name in FORMS[path][0].model_fields if "_" in name]
    assert not [name for name in names if name in message]
    at_fault = [name for name, each in Fields(page.text).fields.items() if "aria-invalid" in each]
    assert at_fault == [field.name]
    if not (field.switch or field.choices) or field.numeric:
        assert f'name="{field.name}"' in page.text
        assert f'value="{wrong}"' in page.text
    # A field among the further settings is shown.
    assert ("<details open>" in page.text) is not field.common
    assert not workspace.stores.jobs.recent()


@pytest.mark.parametrize(
    ("path", "typed", "message"),
    [
        (
            "/datasets/1/label",
            {"max_cost": "5"},
            "Budget 5: needs the prices of tokens; set Price of input and Price of output.",
        ),
        ("/datasets/1/label", {"model": ""}, "Model: is needed."),
        (
            "/datasets/1/label",
            {"key_variable": "HOME"},
            "Key variable HOME: is not read as a key; name an environment variable that ends in "
            "_API_KEY, or none.",
        ),
        ("/evaluators", {"name": "?"}, "Name of the evaluator '?': "),
        ("/evaluators", {"columns": "channel"}, "Fields to read"),
        ("/evaluators", {"columns": ""}, "Fields to read"),
        ("/evaluators", {"dataset": ""}, "Choose a data set."),
    ],
)
def test_an_error_calls_fields_what_the_page_calls_them(send, path, typed, message):
    page = send(path, **typed)
    assert page.status_code == 400
    assert notice(page.text).startswith(message)


def test_a_box_that_was_unticked_stays_so(send):
    box = 'name="freeze_words" value="true"'
    assert f"{box} checked" in send("/evaluators", epochs="900").text
    assert f"{box} checked" not in send("/evaluators", epochs="900", freeze_words="").text


def test_texts_become_what_the_request_takes():
    texts = {"precisions": [" int8, fp32 "], "size": ["3"], "bf16": ["false"], "epochs": [" "]}
    entered = evaluators._form().entered(lambda name: texts.get(name, []))
    request = TrainRequest.parse({"name": "a", **entered})
    assert (request.precisions, request.size, request.bf16) == (("int8", "fp32"), 3, False)
    assert (request.epochs, request.freeze_words) == (None, False)
    texts = {"extra_body": ['{"a": 1, "b": [2, 3]}'], "batch": ["true"]}
    entered = labelling._form().entered(lambda name: texts.get(name, []))
    assert entered == {"extra_body": '{"a": 1, "b": [2, 3]}', "batch": True}


def test_the_latest_settings_are_offered_again_where_they_differ_from_the_defaults():
    form = RequestForm(LabelRequest, own={})
    values = form.stored(
        {"soft": "auto", "timeout": 60.0, "samples": 7, "extra_body": {"a": 1}, "batch": True}
    )
    assert values == {"samples": 7, "extra_body": {"a": 1}, "batch": True}
    changed = [each.name for each in form.fields if form.changed(each, values)]
    assert changed == ["samples", "extra_body", "batch"]


def test_an_emptied_key_variable_sends_no_key_and_stays_empty(send, visit, workspace, monkeypatch):
    started = {}

    def start(_, **settings):
        started.update(settings)
        return Job(id=1)

    page = visit().get("/datasets/1/label").text
    assert 'name="key_variable" type="text" value="OPENAI_API_KEY"' in page
    monkeypatch.setattr(workspace, "label_dataset", start)
    send("/datasets/1/label", key_variable="")
    assert started["key_variable"] == ""
    request = {"model": "judge-1", "key_variable": ""}
    with workspace.stores.database.writing() as session:
        session.add(Job(kind="label", title="x", parameters={"request": request}, state="done"))
    assert 'name="key_variable" type="text" value=""' in visit().get("/datasets/1/label").text


def test_the_form_is_filled_by_keyboard_and_shows_a_wrong_setting(chromium, start_desk, workspace):
    workspace.close()
    desk = start_desk(workspace.folder)
    page = chromium.new_context(base_url=desk.url).new_page()
    page.goto("/datasets/1/label")
    page.get_by_label("Model").focus()
    page.keyboard.type("judge-1")
    more = page.get_by_text("More settings")
    more.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Temperature")).to_be_focused()
    page.keyboard.type("9")
    more.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Temperature")).to_be_hidden()
    page.get_by_role("button", name="Start").focus()
    page.keyboard.press("Enter")
    # The browser refuses the value, and the setting that it is about is shown.
    expect(page.get_by_label("Temperature")).to_be_focused()
    assert page.url.endswith("/label")
    page.context.close()
