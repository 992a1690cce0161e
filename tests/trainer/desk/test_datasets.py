"""A data set's page: which rows people should see."""

from __future__ import annotations

import json

import pytest
from desk_forms import hidden
from tiny_bundle import make_bundle
from tiny_training import tiny_rows

from tipstaff_server import repository


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


def test_rows_are_scored_before_they_are_compared_with_scores(visit, workspace, dataset, tmp_path):
    repository.publish(make_bundle(tmp_path / "tiny"), workspace.repository, promote=True)
    browser = visit()
    here = f"/datasets/{dataset.id}"
    page = browser.get(here).text
    assert "tiny version 1 (Online): rows are scored first" in page
    form = hidden(page) | {"ranked": "4", "rank_by": "disagreement", "scored_by": "tiny/1"}
    job = browser.post(f"{here}/queue", data=form)
    assert "The rows are scored first" in job.text
    number = int(job.url.path.rpartition("/")[2])
    workspace.wait_for(number, timeout=60)
    assert f'href="{here}?scored_by=tiny/1#queue"' in browser.get(f"/jobs/{number}").text
    assert '<option value="tiny/1" selected>tiny version 1 (Online)</option>' in (
        browser.get(f"{here}?scored_by=tiny/1").text
    )
    assert "4 rows wait for review" in browser.post(f"{here}/queue", data=form).text
    waiting = workspace.reviews.waiting(dataset.id)
    assert all("evaluator" in item.why for item, _ in waiting)
    for wrong in ("tiny", "tiny/9", "funny/1"):
        refused = browser.post(f"{here}/queue", data=form | {"scored_by": wrong})
        assert 'class="notice bad"' in refused.text
