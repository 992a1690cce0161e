"""Named cases on the desk, and promotions that they stop."""

from __future__ import annotations

import pytest
from desk_forms import hidden
from tiny_bundle import make_bundle

from tipstaff_server import repository
from tipstaff_server.evaluator.bundle import read_manifest, write_manifest
from tipstaff_server.evaluator.cases import Case
from tipstaff_server.evaluator.quality import Interval, ProbeRate, Probes

HERE = "/criteria/faithfulness/cases"
RIGHT = Case(
    name="<b>right</b>",
    expect="pass",
    input="capital of france",
    output="paris",
    ground_truth="paris",
)


@pytest.fixture
def browser(visit):
    return visit()


def test_cases_are_entered_uploaded_and_removed(browser, workspace):
    form = hidden(browser.get(HERE).text)
    typed = {"action": "add", "name": "late", "expect": "block", "output": "yes"}
    assert "1 named case added." in browser.post(HERE, data=form | typed).text
    content = b"- {name: late, expect: not-pass, output: no}\n- {name: b, expect: pass, input: x}"
    upload = form | {"action": "upload"}
    page = browser.post(HERE, data=upload, files={"file": ("c.yaml", content)})
    assert "2 named cases added, 1 replaced." in page.text
    assert [case.expect for case in workspace.stores.cases.of("faithfulness")] == [
        "not-pass",
        "pass",
    ]
    assert "2 named cases" in browser.get("/criteria/faithfulness").text
    browser.post(HERE, data=form | {"action": "remove", "case": "late"})
    assert [case.name for case in workspace.stores.cases.of("faithfulness")] == ["b"]


def test_an_invalid_case_is_refused_with_the_reason(browser, workspace):
    form = hidden(browser.get(HERE).text)
    for fields, files, message in [
        ({"action": "add", "name": "late", "expect": "block"}, None, "The case (late)"),
        ({"action": "add", "expect": "block", "output": "x"}, None, "name"),
        ({"action": "upload"}, None, "No file was chosen."),
        ({"action": "upload"}, {"file": ("c.yaml", b"- {name: x")}, "c.yaml: is not YAML"),
        ({"action": "upload"}, {"file": ("c.yaml", b"\xff")}, "c.yaml: is not YAML"),
        ({"action": "upload"}, {"file": ("c.yaml", b"- {name: x}")}, "c.yaml, case 1 (x)"),
        ({"action": "upload"}, {"file": ("c.yaml", b"- late")}, "c.yaml, case 1: is not a case"),
        ({"action": "upload"}, {"file": ("c.yaml", b"[" * 9999)}, "nested too deeply"),
        ({"action": "upload"}, {"file": ("c.yaml", b"#" * 2**21)}, "larger than 1 MB"),
    ]:
        page = browser.post(HERE, data=form | fields, files=files)
        assert (page.status_code, message in page.text) == (400, True), message
    assert 'value="late"' in browser.post(HERE, data=form | {"name": "late"}).text
    assert not workspace.stores.cases.of("faithfulness")
    assert browser.get("/criteria/funny/cases").status_code == 404


def test_a_version_that_fails_a_case_is_shown_with_it_and_can_be_forced(
    browser, workspace, tmp_path, monkeypatch
):
    monkeypatch.setattr(workspace.stores.server, "start", lambda **_: None)
    for version, bias in enumerate((9.0, -9.0), start=1):
        bundle = make_bundle(tmp_path / str(version), bias=bias, cases=(RIGHT,))
        repository.publish(bundle, workspace.repository)
    page = browser.get("/evaluators/tiny/1").text
    assert "&lt;b&gt;right" in page
    form = hidden(page)
    promoted = browser.post("/evaluators/tiny/1/promote", data=form)
    assert "tiny version 1 is online. 1 of 1 named cases met." in promoted.text
    refused = browser.post("/evaluators/tiny/2/promote", data=form)
    assert (refused.status_code, "version 1, which is Online, meets" in refused.text) == (409, True)
    assert 'BLOCK <span class="chip bad">fails</span>' in refused.text
    assert "<li>&lt;b&gt;right&lt;/b&gt;</li>" in refused.text
    repository.publish(make_bundle(tmp_path / "3", bias=-9.0), workspace.repository)
    dropping = browser.post("/evaluators/tiny/3/promote", data=form)
    assert "<li>&lt;b&gt;right&lt;/b&gt;; version 3 doesn’t include the case, " in dropping.text
    assert "--force" not in refused.text
    assert repository.serving_version(workspace.repository, "tiny") == 1
    forced = browser.post("/evaluators/tiny/2/promote", data=form | {"force": "yes"})
    assert "0 of 1 named cases" in forced.text
    assert repository.serving_version(workspace.repository, "tiny") == 2
    assert 'class="chip bad">fails' in browser.post("/evaluators/tiny/2/cases", data=form).text


def test_a_version_with_another_criterion_warns_before_promotion(browser, workspace, tmp_path):
    for version, criterion in enumerate(("It is right.", "It is right.", "It is <kind>."), start=1):
        bundle = make_bundle(tmp_path / str(version))
        write_manifest(bundle, read_manifest(bundle).model_copy(update={"criterion": criterion}))
        repository.publish(bundle, workspace.repository)
    assert "has another criterion" not in browser.get("/evaluators/tiny/3").text
    workspace.promote("tiny", 1)
    assert "has another criterion" not in browser.get("/evaluators/tiny/2").text
    page = browser.get("/evaluators/tiny/3").text
    assert "has another criterion: “It is right.” Promoting" in page


def test_a_version_that_rewritten_outputs_fool_is_shown_with_the_rate(browser, workspace, tmp_path):
    for version, share in enumerate((0.1, 0.8), start=1):
        bundle = make_bundle(tmp_path / str(version))
        surely = Interval(value=share, low=share - 0.1, high=share + 0.1, n=40)
        rate = ProbeRate(name="echoed-wrong", effect="breaks", n=40, after=surely, harm=surely)
        probes = Probes(rows=40, rates=(rate,))
        write_manifest(bundle, read_manifest(bundle).model_copy(update={"probes": probes}))
        repository.publish(bundle, workspace.repository)
    workspace.promote("tiny", 1)
    page = browser.get("/evaluators/tiny/2").text
    assert "is fooled by rewritten outputs: echoed-wrong (80% of 40 bad outputs pass)" in page
    refused = browser.post("/evaluators/tiny/2/promote", data=hidden(page))
    assert refused.status_code == 409
    assert "version 2 does not serve: of 40 bad outputs by the rewriting" in refused.text
    assert "Promote anyway" in refused.text
    assert repository.serving_version(workspace.repository, "tiny") == 1
