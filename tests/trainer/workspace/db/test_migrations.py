"""A workspace that an older Tipstaff made is opened, and nothing of it is lost."""

from __future__ import annotations

import pytest
from older_workspace import DATASETS, LABELS, REVIEW_ITEMS, ROWS, SCORES, make_older
from sqlalchemy import create_engine, inspect, text

from tipstaff_trainer.workspace import Workspace
from tipstaff_trainer.workspace.db import migrations
from tipstaff_trainer.workspace.db.engine import _with_driver, sqlite_url
from tipstaff_trainer.workspace.db.models import Table
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS


def by_judge(number, row, value, criterion):
    details = {"criterion": criterion, "criterion_version": 0}
    return {"id": number, "dataset_id": 1, "row_id": row, "value": value, "source": "judge"} | {
        "who": "gpt",
        "details": details,
    }


def by_person(number, row, value, **more):
    label = {"id": number, "dataset_id": 1, "row_id": row, "value": value, "source": "human"}
    return label | {"who": "ann", "selection": "random", "reason": "so it is"} | more


@pytest.fixture(params=["sqlite", "postgres"])
def databases(request, tmp_path):
    """Two empty databases of a kind."""
    if request.param == "sqlite":
        yield tuple(sqlite_url(tmp_path / f"{name}.sqlite") for name in ("older", "made"))
        return
    server = request.getfixturevalue("postgres")
    names = [f"{each}_{tmp_path.name}".replace("-", "_") for each in ("older", "made")]
    engine = create_engine(_with_driver(server), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for name in names:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    yield tuple(_with_driver(server).replace("/postgres", f"/{name}") for name in names)


@pytest.fixture
def older(databases):
    """One data set judged by faithfulness, by which a judge of toxicity was asked before too."""
    counts = {"rows": 4, "labelled": 3, "human": 1, "judge": 2, "good": 2, "test": 1}
    stands = {
        1: (1.0, "human", "random", 0.0, 3),
        2: (0.2, "judge", "unknown", 0.2, 4),
        3: (0.9, "judge", "unknown", 0.9, 5),
        4: (None, "", "unknown", None, 0),
    }
    names = ("label", "label_source", "selection", "judge_label", "last_label")
    make_older(
        databases[0],
        {
            DATASETS: [
                {"id": 1, "name": "may", "criterion": "faithfulness", **counts},
                {"id": 2, "name": "file", "criterion": "", "rows": 1, "labelled": 1, "good": 1},
            ],
            ROWS: [
                {"dataset_id": 1, "position": row - 1, "key": f"k{row}", "output": f"red {row}"}
                | dict(zip(names, stood, strict=True))
                | {"id": row, "part": "test" if row == 4 else "train"}
                for row, stood in stands.items()
            ]
            + [
                {"id": 5, "dataset_id": 2, "position": 0, "key": "k", "output": "blue"}
                | {"label": 1.0, "label_source": "other", "last_label": 6}
            ],
            LABELS: [
                by_judge(1, 1, 0.0, "faithfulness"),
                by_judge(2, 2, 1.0, "toxicity"),
                by_person(3, 1, 1.0),
                by_judge(4, 2, 0.2, "faithfulness"),
                by_judge(5, 3, 0.9, "toxicity"),
                {"id": 6, "dataset_id": 2, "row_id": 5, "value": 1.0, "source": "other"}
                | {"who": "file.csv"},
            ],
            REVIEW_ITEMS: [
                {"dataset_id": 1, "row_id": row, "rank": row, "state": state}
                for row, state in ((1, "done"), (2, "waiting"), (3, "skipped"))
            ]
            # Two people had put it there at once, one of them for a random draw.
            + [{"dataset_id": 1, "row_id": 2, "rank": 4, "selection": "random"}],
            SCORES: [
                {"dataset_id": 1, "evaluator": name, "version": version, "row_id": 1, "score": 0.5}
                for name, version in (("tiny", 2), OTHER_ROWS)
            ],
        },
    )
    return databases[0]


def test_labels_are_moved_to_their_criterion_and_none_is_lost(older, tmp_path):
    workspace = Workspace(tmp_path / "w", database=older)
    may = workspace.datasets.get("may")
    assert [each.criterion for each in may.label_sets] == ["faithfulness", "toxicity"]
    faithful, toxic = may.label_sets
    assert (faithful.labelled, faithful.human, faithful.judge, faithful.good) == (2, 1, 1, 1)
    assert (toxic.labelled, toxic.human, toxic.judge, toxic.good) == (2, 0, 2, 2)
    rows = {row.id: row for row in workspace.datasets.rows(faithful)}
    assert [(row.label, row.label_source) for row in rows.values()] == [
        *((1.0, "human"), (0.2, "judge"), (None, ""), (None, "")),
    ]
    assert (rows[1].selection, rows[1].judge_label, rows[1].last_label) == ("random", 0.0, 3)
    assert [row.label for row in workspace.datasets.rows(toxic)] == [None, 1.0, 0.9, None]
    given = [
        (each.id, each.who, each.reason)
        for labels in (faithful, toxic)
        for row in rows
        for each in workspace.datasets.labels(row, labels)
    ]
    assert sorted(given) == [
        *((1, "gpt", ""), (2, "gpt", ""), (3, "ann", "so it is"), (4, "gpt", ""), (5, "gpt", "")),
    ]
    progress = workspace.reviews.progress(faithful)
    assert (progress.waiting, progress.done, progress.skipped) == (1, 1, 1)
    assert [item.selection for item, _ in workspace.reviews.waiting(faithful)] == ["random"]
    assert workspace.reviews.progress(toxic).total == 0
    assert workspace.scores.given(faithful) == {("tiny", 2): 1, OTHER_ROWS: 1}
    assert workspace.scores.given(toxic) == {("tiny", 2): 1}
    assert len(workspace.datasets.page(faithful, words="red").rows) == 4
    assert workspace.label_set("file").criterion == ""
    assert workspace.label_set("file").good == 1
    workspace.close()


def test_it_is_worked_on_as_one_that_was_made_now(older, databases, tmp_path):
    workspace = Workspace(tmp_path / "w", database=older)
    faithful = workspace.label_set("may", "faithfulness")
    item = workspace.reviews.claim(faithful, "ben")
    workspace.reviews.submit(item.id, 1.0, who="ben", over=4)
    assert workspace.label_set("may", "faithfulness").human == 2
    assert workspace.set_criterion("file", "toxicity").labelled == 1
    file = workspace.download_dataset("file", tmp_path / "rows.jsonl")
    assert workspace.upload_dataset(file, name="again").rows == 1
    workspace.close()
    again = Workspace(tmp_path / "w", database=older)
    assert again.label_set("may", "faithfulness").human == 2
    # But for columns that may be empty now as then, it has what one made now has.
    made = Workspace(tmp_path / "made", database=databases[1])
    for table in Table.metadata.tables:
        both = [inspect(each.database._engine) for each in (again, made)]
        for kind in ("get_columns", "get_indexes"):
            names = [{each["name"] for each in getattr(one, kind)(table)} for one in both]
            assert names[0] == names[1], table
    again.close()
    made.close()


def test_what_stops_half_way_leaves_it_as_it_was(older, tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(migrations, "_add_indexes", fail)
    with pytest.raises(KeyboardInterrupt):
        Workspace(tmp_path / "w", database=older)
    monkeypatch.undo()
    workspace = Workspace(tmp_path / "w", database=older)
    assert workspace.label_set("may", "faithfulness").human == 1
    with workspace.database.reading() as session:
        assert session.scalar(text("SELECT count(*) FROM labels")) == 6
    workspace.close()
