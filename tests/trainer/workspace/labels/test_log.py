"""Which of a row's labels takes effect, and that none is ever lost."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import Label, LabelSet, RowLabel
from tipstaff_trainer.workspace.labels.effective_label import effective_label
from tipstaff_trainer.workspace.labels.log import NewLabel, record


def label(value, source="human", who="ann", selection="random"):
    return Label(value=value, source=source, who=who, selection=selection)


@pytest.mark.parametrize(
    ("labels", "value", "source", "disputed"),
    [
        ([], None, "", False),
        ([label(0.7, "judge", "gpt")], 0.7, "judge", False),
        ([label(0.9, "judge", "gpt"), label(0.1, "judge", "gpt")], 0.1, "judge", False),
        ([label(0.9, "judge", "gpt"), label(0.1, "judge", "mistral")], 0.5, "judge", True),
        ([label(0.0), label(0.9, "judge", "gpt")], 0.0, "human", False),
        ([label(1.0, "other", "file"), label(0.2, "judge", "gpt")], 0.2, "judge", False),
        ([label(1.0), label(0.0, who="ben")], 0.5, "human", True),
        ([label(1.0), label(0.0, who="ben"), label(1.0, who="ben")], 1.0, "human", False),
        ([label(1.0), label(None)], None, "", False),
        ([label(0.3, "judge", "gpt"), label(1.0), label(None)], 0.3, "judge", False),
    ],
)
def test_what_stands(labels, value, source, disputed):
    found = effective_label(labels)
    assert (found.label, found.source, found.disputed) == (value, source, disputed)


def test_labels_given_for_different_reasons_are_no_random_draw():
    assert (
        effective_label([label(1.0), label(1.0, who="ben", selection="pilot")]).selection
        == "unknown"
    )
    assert effective_label([label(1.0), label(1.0, who="ben")]).selection == "random"


def test_counts_follow_every_label(workspace, dataset, labels):
    rows = workspace.stores.datasets.page(labels).rows
    with workspace.stores.database.writing() as session:
        record(session, rows[0].id, "", NewLabel(0.8, "judge", "gpt"))
        record(session, rows[1].id, "", NewLabel(0.2, "judge", "gpt"))
        record(session, rows[0].id, "", NewLabel(0.0, "human", "ann"))
        record(session, rows[0].id, "", NewLabel(1.0, "human", "ben"))
        record(session, rows[2].id, "", NewLabel(1.0, "human", "ben"))
        record(session, rows[2].id, "", NewLabel(None, "human", "ben"))
    now = workspace.label_set(dataset)
    assert (now.labelled, now.human, now.judge, now.disputed) == (2, 1, 1, 1)
    with workspace.stores.database.reading() as session:
        counted = session.execute(
            select(
                func.count(RowLabel.label),
                func.count().filter(RowLabel.label_source == "human"),
                func.count().filter(RowLabel.label >= 0.5),
            ).where(RowLabel.dataset_id == dataset.id)
        ).one()
        assert tuple(counted) == (now.labelled, now.human, now.good)
        assert session.scalar(select(func.count(Label.id))) == 6


def test_a_label_that_did_not_see_another_persons_is_kept_and_marked(workspace, labels):
    row = workspace.stores.datasets.page(labels).rows[0]
    with workspace.stores.database.writing() as session:
        first = record(session, row.id, "", NewLabel(1.0, "human", "ann", based_on_label_id=0))
        second = record(session, row.id, "", NewLabel(0.0, "human", "ben", based_on_label_id=0))
        third = record(
            session, row.id, "", NewLabel(0.0, "human", "ann", based_on_label_id=second.id)
        )
    assert [each.concurrent for each in (first, second, third)] == [False, True, False]
    assert [each.value for each in workspace.stores.datasets.labels(row.id, labels)] == [
        1.0,
        0.0,
        0.0,
    ]


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_what_is_no_label_changes_nothing(workspace, labels, value):
    row = workspace.stores.datasets.page(labels).rows[0]
    with (
        pytest.raises(WorkspaceError, match="is not a label"),
        workspace.stores.database.writing() as session,
    ):
        record(session, row.id, "", NewLabel(value, "human", "ann"))
    assert not workspace.stores.datasets.labels(row.id, labels)


def test_all_or_nothing_is_stored(workspace, dataset, labels):
    row = workspace.stores.datasets.page(labels).rows[0]
    session = workspace.stores.database.writing()
    with pytest.raises(WorkspaceError, match="there is no row 0"), session as opened:
        [record(opened, number, "", NewLabel(1.0, "human", "ann")) for number in (row.id, 0)]
    assert workspace.label_set(dataset).labelled == 0
    with workspace.stores.database.reading() as session:
        assert session.scalar(select(func.count(Label.id))) == 0
        assert session.scalar(select(LabelSet.labelled)) == 0
