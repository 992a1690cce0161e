"""Keys and clicks in a real browser: nothing decides but what a person meant to decide."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect
from tiny_bundle import make_bundle

from tipstaff_server import repository
from tipstaff_trainer.workspace import Workspace

ROWS = 40
ALT, CTRL, META = 1, 2, 4
# Forms that Enter may send: they sign in, or set a name.
SENT_BY_ENTER = {"/sign-in", "/name"}


@pytest.fixture(scope="module")
def desk(start_desk, tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    file = folder / "rows.jsonl"
    rows = [{"output": f"Paris {n}", "ground_truth": "Paris", "label": n % 2} for n in range(ROWS)]
    file.write_text("\n".join(map(json.dumps, rows)))
    workspace = Workspace(folder / "workspace")
    for name in ("review", "archived"):
        dataset = workspace.upload_dataset(
            file, name=name, criterion="faithfulness", label_source="judge"
        )
    workspace.archive_dataset(dataset)
    workspace.stores.reviews.queue(workspace.label_set("review"), {"random": ROWS}, seed=0)
    repository.publish(make_bundle(folder / "tiny"), workspace.repository)
    workspace.close()
    return start_desk(folder / "workspace")


@pytest.fixture
def page(chromium, desk):
    context = chromium.new_context(base_url=desk.url)
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.goto("/name?back=/review/1")
    page.get_by_label("Your name").fill("Ann")
    page.get_by_role("button", name="Start reviewing").click()
    page.get_by_role("button", name="Good").wait_for()
    yield page
    context.close()


@pytest.fixture
def log(desk):
    """Reads the label log of the row on a page."""
    workspace = Workspace(desk.folder)

    def read(item: str) -> list[tuple[float | None, str]]:
        row = workspace.stores.reviews.item(int(item)).row_id
        log = workspace.stores.datasets.labels(row, workspace.label_set("review"))
        return [(each.value, each.reason) for each in log if each.source == "human"]

    yield read
    workspace.close()


def item_of(page: Page) -> str:
    return page.locator("input[name=item]").input_value()


def next_item(page: Page, before: str) -> str:
    expect(page.locator(f"input[name=item][value='{before}']")).to_have_count(0)
    return item_of(page)


def send_key(page: Page, key: str, code: str, *, modifiers: int = 0, repeat: bool = False):
    """Sends a key as a layout of its own does."""
    session = page.context.new_cdp_session(page)
    event = {"key": key, "code": code, "modifiers": modifiers, "autoRepeat": repeat}
    text = {} if len(key) > 1 or modifiers else {"text": key}
    session.send("Input.dispatchKeyEvent", {"type": "keyDown", **event, **text})
    session.send("Input.dispatchKeyEvent", {"type": "keyUp", **event})
    session.detach()


FIELDS = """() => [...document.querySelectorAll("form")].flatMap((form, at) => {
    if (form.method !== "post") return [];
    form.noValidate = true;
    for (const each of form.querySelectorAll("details")) each.open = true;
    const around = form.closest("details");
    if (around) around.open = true;
    return [...form.elements].map((field, index) => [field, index])
        .filter(([field]) => field.matches("input:not([type=hidden]), select"))
        .map(([field, index]) => [at, index, form.getAttribute("action") || "", field.name]);
})"""


@pytest.mark.parametrize(
    "path",
    [
        *("/review/1", "/datasets", "/datasets/1", "/datasets/2"),
        "/datasets/1/label?criterion=toxicity",
        *("/criteria/new", "/criteria/faithfulness", "/criteria/faithfulness/cases"),
        *("/evaluators", "/evaluators/tiny/1", "/playground", "upload"),
    ],
)
def test_enter_in_a_field_sends_no_form_that_decides(page, path):
    sent = []
    if path == "upload":
        page.goto("/datasets")
        file = {"name": "a.csv", "mimeType": "text/csv", "buffer": b"output\na\n"}
        page.get_by_label("File", exact=True).set_input_files(file)
        page.get_by_role("button", name="Upload").click()
        page.get_by_label("Name of the data set").wait_for()
    else:
        page.goto(path)
    page.on("request", lambda request: sent.append((request.method, request.url)))
    fields = page.evaluate(FIELDS)
    assert fields
    for form, index, action, name in fields:
        if action in SENT_BY_ENTER:
            continue
        kind = page.evaluate(
            "([form, index]) => { const field = document.forms[form].elements[index];"
            " field.focus(); return field.type; }",
            [form, index],
        )
        if kind == "file":
            continue  # opens a window to choose a file
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        assert not [each for each in sent if each[0] == "POST"], (action, name)


@pytest.mark.parametrize(
    ("key", "code", "value"),
    [
        ("g", "KeyG", 1.0),
        ("b", "KeyB", 0.0),
        ("G", "KeyG", 1.0),  # Caps Lock
        ("B", "KeyB", 0.0),
        ("п", "KeyG", 1.0),  # Cyrillic
        ("И", "KeyB", 0.0),
        ("γ", "KeyG", 1.0),  # Greek
        ("g", "KeyU", 1.0),  # Dvorak
        ("&", "Digit1", 1.0),  # French
        ("à", "Digit0", 0.0),
        ("1", "Numpad1", 1.0),
    ],
)
def test_a_key_decides_on_every_layout(page, log, key, code, value):
    item = item_of(page)
    send_key(page, key, code)
    next_item(page, item)
    assert log(item)[-1][0] == value
    page.keyboard.press("u")
    expect(page.get_by_text("Your label is taken back")).to_be_visible()


@pytest.mark.parametrize(
    ("key", "code", "held"),
    [
        *(("g", "KeyG", {"modifiers": each}) for each in (ALT, CTRL, META)),
        ("п", "KeyG", {"modifiers": CTRL}),
        ("g", "KeyG", {"repeat": True}),
        ("Process", "KeyG", {}),  # an input method
        ("Dead", "KeyG", {}),
        ("i", "KeyG", {}),  # Dvorak
        ("Enter", "Enter", {}),
    ],
)
def test_a_key_that_means_something_else_decides_nothing(page, log, key, code, held):
    item = item_of(page)
    send_key(page, key, code, **held)
    page.keyboard.press("Shift+G")
    page.wait_for_timeout(300)
    assert item_of(page) == item
    assert log(item)[-1:] in ([], [(None, "")])


def test_keys_answer_as_soon_as_the_page_is_drawn(page, log):
    held = []
    page.route("**/static/desk.js", lambda route: held.append(route))
    item = item_of(page)
    page.keyboard.press("g")
    following = next_item(page, item)
    page.keyboard.press("g")
    page.keyboard.press("g")  # one label a row, also while the page is loading
    third = next_item(page, following)
    assert len(held) >= 2
    assert [log(each)[-1][0] for each in (item, following)] == [1.0, 1.0]
    assert log(third) == []
    page.unroute("**/static/desk.js")


def test_a_key_that_is_held_decides_one_row(page, log):
    item = item_of(page)
    page.keyboard.down("g")
    following = next_item(page, item)
    for _ in range(5):
        page.keyboard.down("g")
    page.keyboard.up("g")
    page.wait_for_timeout(300)
    assert item_of(page) == following
    assert log(following) == []
    page.keyboard.press("u")
    expect(page.get_by_text("Your label is taken back")).to_be_visible()


def test_a_double_click_decides_one_row(page, log):
    item = item_of(page)
    box = page.get_by_role("button", name="Good").bounding_box()
    x, y = box["x"] + 10, box["y"] + 10
    page.mouse.click(x, y)
    # As if the next page had come between the two clicks.
    following = next_item(page, item)
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    page.wait_for_timeout(300)
    assert item_of(page) == following
    assert log(following) == []
    page.mouse.dblclick(x, y)
    third = next_item(page, following)
    page.wait_for_timeout(300)
    assert item_of(page) == third
    assert log(third) == []


def test_enter_ends_a_note_and_the_next_key_decides(page, log):
    item = item_of(page)
    page.keyboard.press("n")
    page.keyboard.type("good, 1 0 b g s u")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Note")).not_to_be_focused()
    assert item_of(page) == item
    page.keyboard.press("b")
    next_item(page, item)
    assert log(item)[-1] == (0.0, "good, 1 0 b g s u")


def test_an_input_method_s_enter_and_escape_stay_in_the_note(page):
    note = page.get_by_label("Note")
    note.focus()
    session = page.context.new_cdp_session(page)
    composed = {"text": "にほん", "selectionStart": 3, "selectionEnd": 3}
    session.send("Input.imeSetComposition", composed)
    for key in ("Enter", "Escape"):
        page.evaluate(
            """key => document.getElementById("note").dispatchEvent(new KeyboardEvent("keydown",
                {key, code: key, isComposing: true, bubbles: true}))""",
            key,
        )
        expect(note).to_be_focused()
    session.send("Input.insertText", {"text": "日本"})
    expect(note).to_have_value("日本")


def test_a_note_survives_undo_skip_and_back(page, log):
    item = item_of(page)
    page.get_by_label("Note").fill("rounded <up>")
    page.get_by_role("button", name="Good").click()
    following = next_item(page, item)
    page.get_by_label("Note").fill("not sure")
    page.get_by_role("button", name="Undo").click()
    assert next_item(page, following) == item
    expect(page.get_by_label("Note")).to_have_value("rounded <up>")
    # In another browser too: the note is in the log.
    assert log(item)[-2:] == [(1.0, "rounded <up>"), (None, "rounded <up>")]
    page.evaluate("sessionStorage.clear()")
    page.reload()
    expect(page.get_by_label("Note")).to_have_value("rounded <up>")
    page.get_by_role("button", name="Bad").click()
    next_item(page, item)
    assert log(item)[-1] == (0.0, "rounded <up>")

    skipped = item_of(page)
    page.get_by_label("Note").fill("which price?")
    page.get_by_role("button", name="Skip").click()
    next_item(page, skipped)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Note")).to_have_value("which price?")
    page.get_by_role("button", name="Back").click()
    assert next_item(page, skipped) == item
    expect(page.get_by_label("Note")).to_have_value("rounded <up>")


@pytest.mark.parametrize(
    ("path", "button"),
    [
        ("/datasets/1", "Split"),
        ("/datasets/1", "Add to the queue"),
        ("/datasets/1", "Archive this data set"),
        ("/datasets/1/label?criterion=toxicity", "Start"),
        ("/criteria/faithfulness", "Save"),
        ("/criteria/faithfulness/cases", "Add"),
        ("/evaluators", "Start training"),
        ("/evaluators", "Promote"),
        ("/evaluators/tiny/1", "Promote"),
        ("/evaluators/tiny/1", "Measure"),
        ("/evaluators/tiny/1", "Archive version 1"),
    ],
)
def test_a_double_click_sends_a_form_once(page, path, button):
    sent = []

    def count(route):
        if route.request.method != "POST":
            return route.continue_()
        sent.append(route.request.url)
        return route.fulfill(status=204)  # the page stays

    page.goto(path)
    page.route("**", count)
    page.evaluate("for (const form of document.forms) form.noValidate = true")
    with page.expect_request(lambda request: request.method == "POST"):
        page.get_by_role("button", name=button).first.dblclick()
    page.wait_for_timeout(300)
    assert len(sent) == 1
