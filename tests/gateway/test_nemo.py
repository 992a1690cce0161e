"""The forms in which NeMo Guardrails asks; `integrations/test_nemo.py` has the real one."""

from __future__ import annotations

import pytest
from opening_hours import BAD, FACTS, GOOD, UNSURE, WORDS

FORMS = {
    "vllm": ("/classify", "input"),
    "kserve": (f"/v1/models/{WORDS}:predict", "instances"),
    "fms": ("/api/v1/text/contents", "contents"),
}
EACH = pytest.mark.parametrize("form", FORMS)


def ask(gateway, form, text, model=WORDS, **options):
    path, name = FORMS[form]
    value = text if form == "vllm" else [text]
    body = {name: value, "model": model, "detector_params": {"evaluator": model}}
    return gateway.post(path.replace(WORDS, model), body, **options)


def label(form, response):
    """The label that NeMo takes, and its score."""
    assert response.status_code == 200, response.text
    found = response.json()
    if form == "vllm":
        return found["data"][0]["label"], max(found["data"][0]["probs"])
    if form == "kserve":
        return max(found["predictions"][0].items(), key=lambda each: each[1])
    return [(each["detection_type"], each["score"]) for each in found[0]] or ("PASS", 1.0)


@EACH
def test_labels_are_verdicts(gateway, form):
    assert label(form, ask(gateway, form, GOOD)) == ("PASS", 1.0)
    blocked = label(form, ask(gateway, form, BAD))
    assert blocked in (("BLOCK", 1.0), [("BLOCK", 1.0)])


@EACH
def test_missing_facts_are_blocked_and_a_header_may_bring_them(gateway, form):
    assert "BLOCK" in str(label(form, ask(gateway, form, GOOD, "hours")))
    header = {"tipstaff-ground-truth": FACTS}
    found = ask(gateway, form, GOOD, "hours", headers=header).text
    assert "['input']" in str(found).replace('"', "'")


def test_review_is_blocked_unless_the_mapping_allows_it(gateway, server, start_gateway, tmp_path):
    file = tmp_path / "mapping.toml"
    file.write_text('[nemo]\nreview = "allow"\ninput = "text"\nground_truth = "text"\n')
    lenient = start_gateway("--target", server.address, "--mapping", file, "--timeout", 10)
    assert label("vllm", ask(gateway, "vllm", GOOD, UNSURE))[0] == "BLOCK"
    assert label("vllm", ask(lenient, "vllm", GOOD, UNSURE))[0] == "REVIEW"


@EACH
@pytest.mark.parametrize("wrong", [None, 7, [], [7], {"a": 1}])
def test_what_is_wrong_with_a_request_is_said(gateway, form, wrong):
    path, name = FORMS[form]
    response = gateway.post(path, {name: wrong})
    assert response.status_code == 400
    assert response.json()["detail"].startswith(f"{name}: ")


@EACH
def test_errors_have_statuses_that_nemo_takes_for_errors(gateway, form):
    path, name = FORMS[form]
    assert gateway.post(path, b'{"input": "clo').status_code == 400
    assert gateway.post(path, {name: ["a" * 30_000]}).status_code == 413
    assert ask(gateway, form, GOOD, "nobody").status_code == 404


def test_several_texts_are_answered_in_their_order(gateway):
    found = gateway.post("/api/v1/text/contents", {
        "contents": [GOOD, BAD], "detector_params": {"evaluator": WORDS}}).json()  # fmt: skip
    assert [len(each) for each in found] == [0, 1]
    assert found[1][0] | {"metadata": None} == {
        "start": 0, "end": len(BAD), "text": BAD, "detection": WORDS, "detection_type": "BLOCK",
        "score": 1.0, "metadata": None,
    }  # fmt: skip
