from __future__ import annotations

import json

import pytest
from pydantic import ValidationError
from tiny_bundle import make_bundle

from tipstaff import Verdict
from tipstaff_server.errors import BundleError
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle, sha256_of
from tipstaff_server.evaluator.cases import Case, bundle_cases, failures, run_cases


@pytest.mark.parametrize(
    ("expect", "allowed"),
    [
        ("pass", {Verdict.PASS}),
        ("review", {Verdict.REVIEW}),
        ("block", {Verdict.BLOCK}),
        ("not-pass", {Verdict.REVIEW, Verdict.BLOCK}),
        ("not-block", {Verdict.REVIEW, Verdict.PASS}),
    ],
)
def test_what_an_expectation_allows(expect, allowed):
    case = Case(name="a", expect=expect, output="paris")
    assert {verdict for verdict in Verdict if case.allows(verdict)} == allowed


def test_a_case_needs_something_to_judge():
    with pytest.raises(ValidationError, match="give input, output or ground_truth"):
        Case(name="a", expect="pass")


def test_cases_travel_in_the_bundle_and_run_as_served(tmp_path):
    whole = {"input": "capital of france", "output": "paris", "ground_truth": "paris"}
    cases = (
        Case(name="should pass", expect="pass", **whole),
        Case(name="should not", expect="not-pass", **whole),
        # A missing field turns a PASS into a REVIEW.
        Case(name="without an input", expect="review", output="paris", ground_truth="paris"),
    )
    bundle = Bundle.open(make_bundle(tmp_path / "b", bias=50, cases=cases))
    assert bundle_cases(bundle) == cases
    outcomes = run_cases(Evaluator.load(bundle.path), cases)
    assert [outcome.verdict for outcome in outcomes] == ["PASS", "PASS", "REVIEW"]
    (failed,) = failures(outcomes)
    assert str(failed) == '"should not" (not-pass expected, PASS at 1.000)'


def test_no_cases_is_not_an_empty_list_of_them(tmp_path):
    assert bundle_cases(Bundle.open(make_bundle(tmp_path / "a"))) is None
    assert bundle_cases(Bundle.open(make_bundle(tmp_path / "b", cases=()))) == ()


def test_cases_that_make_no_sense_name_the_file(tmp_path):
    bundle = make_bundle(tmp_path / "b", cases=())
    (bundle / "cases.json").write_text('[{"name": "a"}]')
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["checksums"]["cases.json"] = sha256_of(bundle / "cases.json")
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"cases\.json: .*required"):
        bundle_cases(Bundle.open(bundle))
