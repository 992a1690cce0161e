"""The gate before a version serves, through the repository and the commands."""

from __future__ import annotations

import pytest
from tiny_bundle import make_bundle

from tipstaff.cli import main
from tipstaff_server import repository
from tipstaff_server.errors import PromotionRefused
from tipstaff_server.evaluator.cases import Case

TEXTS = {"input": "capital of france", "output": "paris", "ground_truth": "paris"}
MUST_PASS = Case(name="paris passes", expect="pass", **TEXTS)
MUST_NOT = Case(name="nothing passes", expect="not-pass", **TEXTS)
# With these every interaction passes, or none does.
YES, NO = 50, -50


@pytest.fixture
def repo(tmp_path):
    return tmp_path / "repo"


@pytest.fixture
def published(repo, tmp_path):
    """Publishes a version that says yes or no to everything, with cases."""

    def publish(bias, *cases):
        folder = make_bundle(
            tmp_path / f"b{len(list(tmp_path.iterdir()))}",
            bias=bias,
            cases=None if cases == (None,) else cases,
        )
        return repository.publish(folder, repo)

    return publish


def serving(repo):
    return repository.serving_version(repo, "tiny")


def test_a_version_that_fails_a_case_does_not_serve(repo, published):
    version = published(NO, MUST_PASS, MUST_NOT)
    with pytest.raises(PromotionRefused, match=r"1 of its 2 named cases fails: \"paris passes\""):
        repository.promote(repo, "tiny", version)
    assert serving(repo) is None
    repository.promote(repo, "tiny", version, force=True)
    assert serving(repo) == version


def test_a_version_that_meets_its_cases_serves(repo, published):
    repository.promote(repo, "tiny", published(YES, MUST_PASS))
    assert serving(repo) == 1


def test_a_version_without_cases_answers_for_those_of_the_one_that_serves(repo, published):
    repository.promote(repo, "tiny", published(YES, MUST_PASS))
    with pytest.raises(PromotionRefused, match="paris passes"):
        repository.promote(repo, "tiny", published(NO, None))
    repository.promote(repo, "tiny", published(YES, None))
    assert serving(repo) == 3


def test_cases_can_be_given_up_and_that_is_told(repo, published, caplog):
    repository.promote(repo, "tiny", published(YES, MUST_PASS))
    repository.promote(repo, "tiny", published(NO, MUST_NOT))
    assert 'no longer among the named cases: "paris passes"' in caplog.text
    assert serving(repo) == 2


def test_what_fails_already_does_not_stop_the_next_and_is_told(repo, published, caplog):
    repository.promote(repo, "tiny", published(NO, MUST_PASS), force=True)
    repository.promote(repo, "tiny", published(NO, MUST_PASS))
    assert "fails 1 of 1 named cases, as does the version that serves now" in caplog.text
    assert serving(repo) == 2


def test_a_damaged_version_can_be_replaced(repo, published, caplog):
    repository.promote(repo, "tiny", published(YES, MUST_PASS))
    (repo / "tiny" / "1" / "cases.json").write_text("[]")
    with pytest.raises(PromotionRefused):
        repository.promote(repo, "tiny", published(NO, MUST_PASS))
    repository.promote(repo, "tiny", published(YES, MUST_PASS))
    assert "can't be read" in caplog.text
    assert serving(repo) == 3


def test_the_version_that_serves_may_always_serve(repo, published):
    repository.promote(repo, "tiny", published(NO, MUST_PASS), force=True)
    assert repository.promote(repo, "tiny", 1) == 1


def test_publishing_and_promoting_at_once_goes_through_the_gate_too(repo, tmp_path, capsys):
    bundle = make_bundle(tmp_path / "b", bias=NO, cases=(MUST_PASS,))
    with pytest.raises(PromotionRefused):
        repository.publish(bundle, repo, promote=True)
    assert main(["publish", str(bundle), str(repo), "--promote"]) == 1
    shown = capsys.readouterr()
    assert "published tiny version 2" in shown.out
    assert "serves now" not in shown.out
    assert "tiny version 2 does not serve" in shown.err
    assert "--force" in shown.err
    assert serving(repo) is None
    assert main(["promote", str(repo), "tiny", "2", "--force"]) == 0
    assert serving(repo) == 2


def test_a_case_that_cannot_be_run_is_named(repo, tmp_path):
    unread = Case(name="no text it reads", expect="pass", input="capital of france")
    folder = make_bundle(tmp_path / "blind", cases=(unread,), order=("output", "ground_truth"))
    version = repository.publish(folder, repo)
    with pytest.raises(PromotionRefused, match=r'output: absent.*"no text it reads".*--force'):
        repository.promote(repo, "tiny", version)
    assert serving(repo) is None
