"""What the desk says of a version before it is promoted, and figures with their rows."""

from __future__ import annotations

import pytest
from learnt_examples import BEHIND_WORDS
from tiny_bundle import make_bundle

from tipstaff_server import repository
from tipstaff_server.evaluator.bundle import read_manifest, write_manifest
from tipstaff_server.evaluator.quality import Interval, Quality
from tipstaff_trainer.workspace.db.models import Job


def quality(n=400, auroc=(0.9, 0.87, 0.93), passed=0.05):
    bad = n // 2
    return Quality(
        n=n,
        good=n - bad,
        accuracy=Interval(value=0.85, low=0.81, high=0.88, n=n),
        auroc=Interval(value=auroc[0], low=auroc[1], high=auroc[2], n=n),
        bad_passed=Interval(value=passed, low=passed / 2, high=2 * passed, n=bad),
    )


@pytest.fixture
def publish(workspace, tmp_path):
    def publish(measured, *, promote=False):
        bundle = make_bundle(tmp_path / str(len(list(tmp_path.iterdir()))))
        manifest = read_manifest(bundle)
        metrics = {"n": measured.n, "accuracy": 0.85, "roc_auc": measured.auroc.value}
        update = {"metrics": {"test": metrics}, "quality": {"test": measured}}
        write_manifest(bundle, manifest.model_copy(update=update))
        repository.publish(bundle, workspace.repository, promote=promote)

    return publish


@pytest.mark.parametrize(
    ("measured", "sentence"),
    [
        (quality(auroc=(0.52, 0.46, 0.58)), "Version 2 is not shown to be better than chance"),
        (quality(passed=0.2), "Version 2 lets more bad outputs pass than the version that serves"),
        (quality(n=12, auroc=(1.0, 0.74, 1.0)), "Version 2 was measured on only 12 test rows"),
    ],
)
def test_a_doubt_is_a_sentence_before_the_button(visit, publish, measured, sentence):
    publish(quality(), promote=True)
    publish(measured)
    browser = visit()
    page = browser.get("/evaluators/tiny/2").text
    assert page.index(sentence) < page.index(">Promote</button>")
    assert page.count(">Promote</button>") == 1
    assert sentence in browser.get("/evaluators").text
    # Doubts stop nobody.
    assert "is online" in browser.post("/evaluators/tiny/2/promote").text


def test_a_version_without_doubts_has_none(visit, publish):
    publish(quality(), promote=True)
    publish(quality(passed=0.04))
    browser = visit()
    for path in ("/evaluators/tiny/2", "/evaluators/tiny/1", "/evaluators"):
        page = browser.get(path).text
        assert "Before you promote" not in page
        assert 'class="doubts"' not in page


def test_figures_stand_with_their_interval_and_rows(visit, workspace, publish):
    publish(quality())
    browser = visit()
    for path in ("/evaluators", "/evaluators/tiny/1"):
        page = " ".join(browser.get(path).text.split())
        assert '0.900 <span class="soft small">(0.870 to 0.930)</span>' in page
        assert "400" in page
    result = {
        "name": "tiny",
        "version": 1,
        "metrics": {"validation": {"n": 30, "roc_auc": 0.75, "accuracy": 0.5}},
    }
    with workspace.stores.database.writing() as session:
        job = Job(kind="train", title="x", parameters={}, state="done", result=result)
        session.add(job)
    page = browser.get(f"/jobs/{job.id}").text
    assert "Version 1: AUROC 0.750, accuracy 0.500 on 30 validation rows." in page


def test_a_version_that_has_not_learnt_says_so_and_is_promoted_anyway_only(
    visit, workspace, publish, tmp_path
):
    bundle = make_bundle(tmp_path / "unlearnt", learnt=BEHIND_WORDS)
    repository.publish(bundle, workspace.repository)
    browser = visit()
    page = browser.get("/evaluators/tiny/1").text
    sentence = "Version 1 is not clearly better than word overlap (AUROC 0.850 against 0.950"
    assert page.index(sentence) < page.index(">Promote</button>")
    refused = browser.post("/evaluators/tiny/1/promote")
    assert refused.status_code == 409
    assert "tiny version 1 does not serve: it is not clearly better than" in refused.text
    assert "fails <a" not in refused.text
    assert refused.text.count(">Promote anyway</button>") == 1
    assert repository.serving_version(workspace.repository, "tiny") is None
    forced = browser.post("/evaluators/tiny/1/promote", data={"force": "yes"})
    assert "is online" in forced.text
