"""The gate before a version serves, through the repository and the commands."""

from __future__ import annotations

import pytest
from learnt_examples import BEHIND_WORDS
from tiny_bundle import make_bundle

from tipstaff.cli import main
from tipstaff_server import repository
from tipstaff_server.errors import PromotionRefused
from tipstaff_server.evaluator.cases import Case

TEXTS = {"input": "capital of france", "output": "paris", "ground_truth": "paris"}
MUST_PASS = Case(name="paris passes", expect="pass", **TEXTS)
MUST_NOT = Case(name="nothing passes", expect="not-pass", **TEXTS)
ALLOWED = Case(name="not blocked", expect="not-block", **TEXTS)
# With one of these biases every interaction passes, with the other none.
YES, NO = 50, -50


@pytest.fixture
def repo(tmp_path):
    return tmp_path / "repo"


@pytest.fixture
def published(repo, tmp_path):
    """Publishes a version with cases; its bias passes everything or nothing."""

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
    with pytest.raises(PromotionRefused, match=r"1 of 2 named cases fails: \"paris passes\""):
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


def test_a_version_answers_for_cases_that_it_does_not_bring_until_it_is_forced(repo, published):
    repository.promote(repo, "tiny", published(YES, MUST_PASS))
    version = published(NO, MUST_NOT)
    said = (
        r'1 of 2 named cases fails: "paris passes" \(pass expected, BLOCK at 0.000\), a case of '
        r"the version that serves now which the new one doesn't bring; .*"
        r"with force, which drops those that it does not bring$"
    )
    with pytest.raises(PromotionRefused, match=said) as refused:
        repository.promote(repo, "tiny", version)
    assert refused.value.lost == ("paris passes",)
    assert serving(repo) == 1
    repository.promote(repo, "tiny", version, force=True)
    assert serving(repo) == 2


def test_what_is_forced_is_told_what_it_drops(repo, published, caplog):
    repository.promote(repo, "tiny", published(YES, MUST_PASS))
    repository.promote(repo, "tiny", published(NO, None), force=True)
    assert 'that only the version that serves now brings: "paris passes"\n' in caplog.text


def test_a_case_of_other_fields_than_the_new_one_reads_is_left_out_and_told(
    repo, tmp_path, published, caplog
):
    unread = Case(name="input alone", expect="not-block", input="capital of france")
    repository.promote(repo, "tiny", published(YES, unread))
    reads_less = make_bundle(tmp_path / "less", order=("output", "ground_truth"))
    repository.promote(repo, "tiny", repository.publish(reads_less, repo))
    assert 'which is all that the new one reads: "input alone"\n' in caplog.text
    assert serving(repo) == 2


def test_only_what_is_not_brought_is_said_not_to_be(repo, published):
    repository.promote(repo, "tiny", published(YES, MUST_PASS))
    with pytest.raises(PromotionRefused, match=r"with force$") as refused:
        repository.promote(repo, "tiny", published(NO, MUST_PASS))
    assert "bring" not in str(refused.value)


def test_cases_that_are_met_can_be_given_up_and_that_is_told(repo, published, caplog):
    repository.promote(repo, "tiny", published(YES, MUST_PASS))
    repository.promote(repo, "tiny", published(YES, ALLOWED))
    gone = "named cases that only the version that serves now brings: "
    assert f'{gone}"paris passes"\n' in caplog.text
    assert "is forgotten: pass the cases on" in caplog.text
    repository.promote(repo, "tiny", published(YES, None))
    assert f'{gone}"not blocked"\n' in caplog.text
    assert serving(repo) == 3


def test_a_case_not_brought_that_fails_already_does_not_stop_the_next(repo, published, caplog):
    repository.promote(repo, "tiny", published(NO, MUST_PASS), force=True)
    repository.promote(repo, "tiny", published(NO, MUST_NOT))
    assert "fails 1 of 2 named cases, as does the version that serves now" in caplog.text
    assert serving(repo) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"expect": "block"}, "pass expected, now block"),
        ({"expect": "not-pass", "input": None}, "pass expected, now not-pass; other texts"),
        # Both versions fail this case, so it is reported but doesn't stop the promotion.
        ({"input": None}, "other texts"),
    ],
)
def test_a_case_that_says_something_else_is_run_as_it_is_now_and_told(
    repo, published, caplog, change, said
):
    repository.promote(repo, "tiny", published(YES, MUST_PASS))
    repository.promote(repo, "tiny", published(NO, MUST_PASS.model_copy(update=change)))
    assert f'has otherwise, run as they are now: "paris passes" ({said})\n' in caplog.text
    assert serving(repo) == 2


def test_another_note_is_no_other_case(repo, published, caplog):
    repository.promote(repo, "tiny", published(YES, MUST_PASS))
    noted = MUST_PASS.model_copy(update={"note": "it was wrong once"})
    repository.promote(repo, "tiny", published(YES, noted))
    assert caplog.text == ""


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
    with pytest.raises(PromotionRefused, match=r'output: absent.*"no text it reads".*with force'):
        repository.promote(repo, "tiny", version)
    assert serving(repo) is None


def test_a_version_that_has_not_learnt_serves_by_force_only(repo, tmp_path, capsys):
    folder = make_bundle(tmp_path / "bundle", learnt=BEHIND_WORDS)
    version = repository.publish(folder, repo)
    assert main(["promote", str(repo), "tiny", str(version)]) == 1
    said = capsys.readouterr().err
    assert (
        "tiny version 1 does not serve: it is not clearly better than word overlap (AUROC 0.850 "
        "against 0.950, difference -0.100 (-0.150 to -0.050)), on 200 validation rows"
    ) in said
    assert "or promote it with --force" in said
    assert serving(repo) is None
    assert main(["promote", str(repo), "tiny", str(version), "--force"]) == 0
    assert serving(repo) == version
