"""Named cases: stored with a criterion, copied into a training, run before a promotion."""

from __future__ import annotations

import pytest
from tiny_bundle import make_bundle

from tipstaff.errors import UsageError
from tipstaff_server import repository
from tipstaff_server.errors import PromotionRefused
from tipstaff_server.evaluator.cases import Case
from tipstaff_trainer.errors import DataError, WorkspaceError
from tipstaff_trainer.workspace.labels.log import NewLabel, record

LATE = Case(name="late", expect="block", output="yes, 30 days")
RIGHT = Case(
    name="right", expect="pass", input="capital of france", output="paris", ground_truth="paris"
)


def test_cases_are_kept_by_criterion_and_name(workspace):
    cases = workspace.stores.cases
    assert cases.add("faithfulness", [LATE, RIGHT], who="ann") == 0
    cases.add("relevance", [LATE])
    changed = LATE.model_copy(update={"expect": "not-pass"})
    assert cases.add("faithfulness", [changed]) == 1
    assert cases.of("faithfulness") == (changed, RIGHT)
    assert cases.counts() == {"faithfulness": 2, "relevance": 1}
    cases.remove("faithfulness", "late")
    assert cases.of("faithfulness") == (RIGHT,)
    with pytest.raises(WorkspaceError, match="no named case 'late'"):
        cases.remove("faithfulness", "late")


@pytest.fixture
def labelled(workspace, dataset, labels):
    good, bad, *_ = workspace.stores.datasets.page(labels).rows
    with workspace.stores.database.writing() as session:
        for row, label in ((good, 1.0), (bad, 0.0)):
            record(session, row.id, "", NewLabel(label, "human", "a"))
    return workspace.set_criterion(dataset, "faithfulness").dataset


def test_a_training_s_request_has_the_criterion_s_cases(workspace, labelled, tmp_path, monkeypatch):
    # Only the request is tested here; operations/test_training.py tests the training itself.
    monkeypatch.setattr(workspace.stores.jobs, "_launch", workspace.stores.jobs.get)
    workspace.stores.cases.add("faithfulness", [LATE, RIGHT])

    def case_names(**options):
        job = workspace.fine_tune_model(labelled, model_name="a", **options)
        cases = job.parameters["request"]["cases"]
        return cases and [each["name"] for each in cases]

    assert case_names() == ["late", "right"]
    assert case_names(cases=()) is None
    file = tmp_path / "cases.yaml"
    file.write_text("- {name: one, expect: pass, output: no}")
    assert case_names(cases=file) == ["one"]
    with pytest.raises(UsageError, match='"late" has none of input, which'):
        workspace.fine_tune_model(labelled, model_name="a", selected_columns=["input"])
    file.write_text("- {name: one, expect: maybe, output: no}")
    with pytest.raises(DataError, match="case 1"):
        case_names(cases=file)


def test_a_failed_case_stops_a_promotion_unless_forced(workspace, tmp_path):
    for version, bias in enumerate((9.0, -9.0), start=1):
        bundle = make_bundle(tmp_path / str(version), bias=bias, cases=(RIGHT,))
        repository.publish(bundle, workspace.repository)
    assert workspace.promote("tiny", 1) is None
    assert workspace.stores.evaluators.last_outcomes("tiny", 2) is None
    (outcome,) = workspace.stores.evaluators.try_cases("tiny", 2)
    assert (outcome.case, outcome.verdict, outcome.met) == (RIGHT, "BLOCK", False)
    assert workspace.stores.evaluators.last_outcomes("tiny", 2) == [outcome]
    with pytest.raises(PromotionRefused):
        workspace.promote("tiny", 2)
    assert workspace.promote("tiny", 2, force=True) == 1
    with pytest.raises(WorkspaceError, match="no version 3"):
        workspace.stores.evaluators.try_cases("tiny", 3)


def test_the_online_version_s_cases_hold_for_a_version_without_cases(workspace, tmp_path):
    repository.publish(make_bundle(tmp_path / "1", bias=9.0, cases=(RIGHT,)), workspace.repository)
    repository.publish(make_bundle(tmp_path / "2", bias=-9.0), workspace.repository)
    assert workspace.stores.evaluators.try_cases("tiny", 2) == []
    workspace.promote("tiny", 1)
    assert [each.met for each in workspace.stores.evaluators.try_cases("tiny", 2)] == [False]


def test_the_online_version_s_cases_hold_beside_a_version_s_own(workspace, tmp_path):
    repository.publish(make_bundle(tmp_path / "1", bias=9.0, cases=(RIGHT,)), workspace.repository)
    own = RIGHT.model_copy(update={"name": "wrong", "expect": "block"})
    repository.publish(make_bundle(tmp_path / "2", bias=-9.0, cases=(own,)), workspace.repository)
    workspace.promote("tiny", 1)
    outcomes = workspace.stores.evaluators.try_cases("tiny", 2)
    assert [(each.case.name, each.met) for each in outcomes] == [("wrong", True), ("right", False)]
