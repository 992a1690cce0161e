"""The list of data sets and a data set's page: searching, choosing rows, the archive."""

from __future__ import annotations

import json
from html import escape

import pytest
from desk_forms import hidden
from tiny_bundle import make_bundle
from tiny_training import tiny_rows

from tipstaff_server import repository
from tipstaff_server.evaluator.manifest import CARD_FILE
from tipstaff_trainer.workspace.db.models import Job


@pytest.fixture
def dataset(workspace, tmp_path):
    """Rows that a judge has labelled."""
    file = tmp_path / "rows.jsonl"
    file.write_text(
        "\n".join(
            json.dumps(
                {
                    "id": row.id,
                    "output": row.interaction.output,
                    "ground_truth": row.interaction.ground_truth,
                    "label": row.label,
                    "label_source": "judge",
                }
            )
            for row in tiny_rows(30)
        )
    )
    return workspace.upload_dataset(file)


@pytest.fixture
def labels(workspace, dataset):
    return workspace.label_set(dataset)


def test_rows_are_scored_before_they_are_compared_with_scores(
    visit, workspace, dataset, labels, tmp_path
):
    repository.publish(make_bundle(tmp_path / "tiny"), workspace.repository, promote=True)
    browser = visit()
    here = f"/datasets/{dataset.id}"
    page = browser.get(here).text
    assert "tiny version 1 (Online): scores the rows first" in page
    form = hidden(page) | {"ranked": "4", "rank_by": "disagreement", "scored_by": "tiny/1"}
    job = browser.post(f"{here}/queue", data=form)
    assert "The rows are scored first" in job.text
    number = int(job.url.path.rpartition("/")[2])
    workspace.wait_for(number, timeout=60)
    assert (
        f'href="{here}?criterion=&amp;scored_by=tiny/1#queue"'
        in browser.get(f"/jobs/{number}").text
    )
    assert '<option value="tiny/1" selected>tiny version 1 (Online)</option>' in (
        browser.get(f"{here}?scored_by=tiny/1").text
    )
    assert "4 rows are in the review queue" in browser.post(f"{here}/queue", data=form).text
    waiting = workspace.stores.reviews.waiting(labels)
    assert all("evaluator" in item.why for item, _ in waiting)
    for wrong in ("tiny", "tiny/9", "funny/1"):
        refused = browser.post(f"{here}/queue", data=form | {"scored_by": wrong})
        assert 'class="notice bad"' in refused.text


def test_fewer_rows_than_were_asked_for_are_told(visit, dataset):
    browser = visit()
    here = f"/datasets/{dataset.id}"
    form = hidden(browser.get(here).text) | {"ranked": "0", "random": "40"}
    chosen = browser.post(f"{here}/queue", data=form)
    assert "Only 30 of 40 rows were added" in chosen.text
    assert "No row was added" in browser.post(f"{here}/queue", data=form).text


def test_rows_and_data_sets_are_found_by_words(visit, workspace, dataset, tmp_path):
    file = tmp_path / "May.csv"
    file.write_text("output\nGrün & <b>Élan</b>\nrot\n")
    may = workspace.upload_dataset(file)
    browser = visit()
    found = browser.get(f"/datasets/{may.id}?words=elan+GRÜ").text
    assert "&lt;b&gt;Élan" in found
    assert "rot" not in found
    assert "only=human&amp;words=elan+GR%C3%9C#rows" in found
    nothing = browser.get(f"/datasets/{may.id}?words=%22OR+blue")
    assert (nothing.status_code, "contains “&#34;OR blue”" in nothing.text) == (200, True)
    listed = browser.get("/datasets?words=ma").text
    assert ">May<" in listed
    assert ">rows<" not in listed
    assert "No such data set" in browser.get("/datasets?words=%25").text


def test_rows_are_judged_by_two_criteria_that_know_nothing_of_each_other(visit, workspace, dataset):
    browser = visit()
    here = f"/datasets/{dataset.id}"
    page = browser.get(here).text
    assert "The criterion of these labels is not set" in page
    refused = browser.post(f"{here}/criteria", data=hidden(page) | {"by": "toxicity"})
    assert "set it first" in refused.text
    said = hidden(page) | {"by": "faithfulness", "action": "name"}
    assert (
        "The criterion of its labels is faithfulness."
        in browser.post(f"{here}/criteria", data=said).text
    )
    # A page opened before the labels had a criterion still shows the same labels.
    assert "30 labelled" in browser.get(f"{here}?criterion=").text
    added = browser.post(f"{here}/criteria", data=hidden(page) | {"by": "toxicity"})
    assert "toxicity is added to rows" in added.text
    assert "No labels yet" in added.text
    assert 'aria-current="page">toxicity' in added.text

    form = hidden(added.text) | {"random": "3", "ranked": "0"}
    review = browser.post(f"{here}/queue?criterion=toxicity", data=form)
    browser.post("/name", data=hidden(review.text) | {"name": "Ann"})
    for criterion, waiting in (("faithfulness", 0), ("toxicity", 3)):
        labels = workspace.label_set(dataset, criterion)
        assert workspace.stores.reviews.progress(labels).waiting == waiting
    shown = browser.get(f"/review/{dataset.id}?criterion=toxicity")
    assert "The judge’s label" not in shown.text
    browser.post(str(shown.url), data=hidden(shown.text) | {"action": "bad"})
    counted = {
        each.criterion: (each.labelled, each.human, each.judge)
        for each in workspace.stores.datasets.get(dataset.id).label_sets
    }
    assert counted == {"faithfulness": (30, 0, 30), "toxicity": (1, 1, 0)}
    listed = browser.get("/datasets").text
    assert f'href="{here}?criterion=toxicity"' in listed
    assert f'href="{here}?criterion=faithfulness"' in listed
    # A request that doesn't name the criterion changes neither.
    del form["criterion"]
    unsaid = browser.post(f"{here}/queue", data=form)
    assert "choose one of" in unsaid.text
    item = hidden(shown.text)["item"]
    # Sending a form again and changing the name lead back to the same criterion.
    signed_out = visit("http://desk.example", host="0.0.0.0", token="t")
    stale = signed_out.post(shown.url.raw_path.decode(), data={"action": "good", "item": item})
    assert f'value="/review/{dataset.id}?criterion=toxicity"' in stale.text
    assert f"/name?back=/review/{dataset.id}%3Fcriterion%3Dtoxicity" in shown.text
    elsewhere = f"/review/{dataset.id}?criterion=faithfulness"
    sent = browser.post(elsewhere, data=hidden(shown.text) | {"action": "good", "item": item})
    assert "There is no row" in sent.text
    download = f"{here}/download/csv?criterion=toxicity"
    assert browser.get(download).text.count(",human,random,") == 1
    assert "judge" not in browser.get(download).text.partition("\n")[2]
    # Both criteria in one file, with every label of the judge.
    offered = f"{here}/download/csv?criterion=toxicity&together=yes"
    assert f'href="{escape(offered)}"' in browser.get(f"{here}?criterion=toxicity").text
    header, *rows = browser.get(offered).text.splitlines()
    assert {"faithfulness.label_source", "toxicity.label_source"} <= set(header.split(","))
    assert (sum(",judge," in row for row in rows), sum(",human," in row for row in rows)) == (30, 1)
    assert browser.get(offered.replace("csv", "json")).status_code == 404


def test_a_data_set_is_laid_aside_brought_back_and_deleted(visit, workspace, dataset):
    browser = visit()
    here = f"/datasets/{dataset.id}"
    form = hidden(browser.get(here).text)
    assert "rows is archived" in browser.post(f"{here}/archive", data=form).text
    assert ">rows<" not in browser.get("/datasets").text
    assert ">rows<" in browser.get("/datasets?archived=yes").text
    laid_aside = browser.get(here).text
    assert "This data set is archived" in laid_aside
    assert "Label with an LLM" not in laid_aside
    assert "Add to the queue" not in laid_aside
    assert (
        "rows is restored"
        in browser.post(f"{here}/archive", data=form | {"action": "restore"}).text
    )
    refused = browser.post(f"{here}/delete", data=form | {"name": "rows"})
    assert "archive the data set before deleting it" in refused.text
    browser.post(f"{here}/archive", data=form)
    assert (
        "the name that you entered is different"
        in browser.post(f"{here}/delete", data=form | {"name": "row"}).text
    )
    with workspace.stores.database.writing() as session:
        job = Job(kind="score", title="x", parameters={}, state="done", dataset_id=dataset.id)
        job.result = {"name": "", "version": 0}
        session.add(job)
    assert "rows is deleted" in browser.post(f"{here}/delete", data=form | {"name": "rows"}).text
    assert browser.get(here).status_code == 404
    left = browser.get(f"/jobs/{job.id}")
    assert (left.status_code, "/datasets/None" in left.text) == (200, False)


def test_a_version_is_laid_aside_unless_it_is_online(visit, workspace, tmp_path):
    bundle = make_bundle(tmp_path / "tiny")
    for promote in (True, False):
        repository.publish(bundle, workspace.repository, promote=promote)
    browser = visit()
    page = browser.get("/evaluators/tiny/2").text
    assert "Archive version 2" in page
    assert "Archive version" not in browser.get("/evaluators/tiny/1").text
    refused = browser.post("/evaluators/tiny/1/archive", data=hidden(page))
    assert "promote another version" in refused.text
    aside = browser.post("/evaluators/tiny/2/archive", data=hidden(page))
    assert "repository/tiny/archived-2" in aside.text
    assert repository.versions(workspace.repository, "tiny") == (1,)


def test_rows_are_seen_beside_a_damaged_repository(visit, workspace, dataset, tmp_path):
    repository.publish(make_bundle(tmp_path / "1"), workspace.repository, promote=True)
    (workspace.repository / "tiny" / repository.SERVING_FILE).write_text("{")
    browser = visit()
    page = browser.get(f"/datasets/{dataset.id}")
    assert (page.status_code, "estimate from the other rows" in page.text) == (200, True)
    assert "tiny version 1" in page.text


def test_it_is_said_where_it_can_t_be_told_which_version_is_online_and_mended_by_promoting(
    visit, workspace, tmp_path, monkeypatch
):
    monkeypatch.setattr(workspace.stores.server, "start", lambda **_: None)
    bundle = make_bundle(tmp_path / "tiny")
    for _ in range(2):
        repository.publish(bundle, workspace.repository, promote=True)
    other = make_bundle(tmp_path / "other", name="other")
    repository.publish(other, workspace.repository, promote=True)
    damaged = workspace.repository / "tiny" / repository.SERVING_FILE
    damaged.write_text('{"version": 2')
    browser = visit()
    for address in ("/evaluators", "/evaluators/tiny/2"):
        page = browser.get(address)
        assert (page.status_code, "can’t tell which version is Online" in page.text) == (
            200,
            True,
        )
        assert "promote a version again to repair it" in page.text
    assert "can’t tell which" not in browser.get("/evaluators/other/1").text
    for address in ("/playground", "/datasets", "/jobs"):
        assert browser.get(address).status_code == 200
    refused = browser.post("/evaluators/tiny/1/archive", data=hidden(page.text))
    assert "promote a version again" in refused.text
    mended = browser.post("/evaluators/tiny/1/promote", data=hidden(page.text))
    assert "tiny version 1 is online" in mended.text
    assert "can’t tell which" not in mended.text
    assert repository.versions(workspace.repository, "tiny") == (1, 2)


def test_a_damaged_version_is_seen_and_laid_aside(visit, workspace, tmp_path):
    browser = visit()
    repository.publish(make_bundle(tmp_path / "1"), workspace.repository)
    path = repository.bundle_path(workspace.repository, "tiny", 1)
    for file in path.iterdir():
        file.write_text("{")
    (path / CARD_FILE).unlink(missing_ok=True)
    page = browser.get("/evaluators/tiny/1")
    assert (page.status_code, "Model card" in page.text) == (200, False)
    aside = browser.post("/evaluators/tiny/1/archive", data=hidden(page.text))
    assert "repository/tiny/archived-1" in aside.text


def test_too_few_reviewed_rows_to_relabel_by_are_told_on_the_form(visit, workspace, dataset):
    browser = visit()
    form = hidden(browser.get("/evaluators").text) | {"name": "a", "columns": "output"}
    asked = form | {"dataset": f"{dataset.id}/", "relabel": "yes"}
    refused = browser.post("/evaluators", data=asked)
    assert (refused.status_code, "people reviewed 0" in refused.text) == (400, True)
    assert 'name="relabel" value="true" checked' in refused.text
    assert not workspace.stores.jobs.recent()
