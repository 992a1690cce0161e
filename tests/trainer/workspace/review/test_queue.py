"""The review queue: who gets which row, in which order, and that no label is ever lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from reviewer import review_all

from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.labels.log import NewLabel, record
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS
from tipstaff_trainer.workspace.review import queue as reviews_module


@pytest.fixture
def queued(workspace, labels):
    workspace.stores.reviews.queue(labels, {"pilot": 10}, seed=0)
    return labels


def test_everybody_gets_another_row_and_keeps_it(workspace, queued):
    ann, ben = (workspace.stores.reviews.claim(queued, who) for who in ("ann", "ben"))
    assert ann.row_id != ben.row_id
    assert workspace.stores.reviews.claim(queued, "ann").id == ann.id


def test_a_row_that_somebody_left_goes_to_another(workspace, queued, monkeypatch):
    monkeypatch.setattr(reviews_module, "_HOLD_TIME", -reviews_module._HOLD_TIME)
    left = workspace.stores.reviews.claim(queued, "ann")
    assert workspace.stores.reviews.claim(queued, "ben").id == left.id


def test_a_late_label_is_kept_and_said_so(workspace, queued, monkeypatch):
    monkeypatch.setattr(reviews_module, "_HOLD_TIME", -reviews_module._HOLD_TIME)
    item = workspace.stores.reviews.claim(queued, "ann")
    assert workspace.stores.reviews.claim(queued, "ben").id == item.id
    seen = workspace.stores.datasets.row(item.row_id, queued).last_label_id
    assert (
        workspace.stores.reviews.submit(item.id, 1.0, who="ben", based_on_label_id=seen).concurrent
        is None
    )
    late = workspace.stores.reviews.submit(item.id, 0.0, who="ann", based_on_label_id=seen)
    assert late.concurrent.who == "ben"
    row = workspace.stores.datasets.row(item.row_id, queued)
    assert row.disputed
    assert [each.who for each in workspace.stores.datasets.labels(row.id, queued)] == ["ben", "ann"]
    assert workspace.stores.reviews.progress(queued).done == 1


def test_many_people_at_once_lose_nothing(workspace, dataset, labels):
    workspace.stores.reviews.queue(labels, {"pilot": 48}, seed=0)

    def work(who):
        return review_all(workspace, labels, who)

    with ThreadPoolExecutor(4) as people:
        seen = [row for rows in people.map(work, ["ann", "ben", "cem", "dua"]) for row in rows]
    assert len(seen) == len(set(seen)) == 48
    after = workspace.label_set(dataset)
    assert (after.human, after.good, after.disputed) == (48, 48, 0)


def test_undo_back_and_skip(workspace, queued):
    reviews = workspace.stores.reviews
    first = reviews.claim(queued, "ann")
    reviews.submit(first.id, 0.0, who="ann", based_on_label_id=0)
    second = reviews.claim(queued, "ann")
    assert reviews.before(second, who="ann").id == first.id
    assert reviews.before(reviews.item(first.id), who="ann") is None
    reviews.skip(second.id, who="ann")
    assert reviews.progress(queued).skipped == 1
    assert reviews.undo(queued, who="ben") is None
    assert reviews.undo(queued, who="ann").id == second.id
    assert reviews.undo(queued, who="ann").id == first.id
    assert workspace.stores.datasets.row(first.row_id, queued).label is None
    assert [each.value for each in workspace.stores.datasets.labels(first.row_id, queued)] == [
        0.0,
        None,
    ]
    progress = reviews.progress(queued)
    assert (progress.waiting, progress.done, progress.skipped) == (10, 0, 0)


def test_what_is_taken_back_waits_once_if_it_was_put_into_the_queue_again(workspace, queued):
    first = workspace.stores.reviews.claim(queued, "ann")
    workspace.stores.reviews.submit(first.id, 1.0, who="ann", based_on_label_id=0)
    with workspace.stores.database.writing() as session:
        record(session, first.row_id, "", NewLabel(0.0, "human", "ben"))
    assert workspace.stores.reviews.queue(queued, {"disputed": 5}) == [first.row_id]
    again = workspace.stores.reviews.undo(queued, who="ann")
    assert (again.row_id, again.id != first.id, again.holder) == (first.row_id, True, "ann")
    assert [row.id for _, row in workspace.stores.reviews.waiting(queued)].count(first.row_id) == 1
    assert workspace.stores.datasets.row(first.row_id, queued).label == 0.0
    # There is nothing more to undo.
    assert workspace.stores.reviews.undo(queued, who="ann") is None


def test_what_was_skipped_comes_back(workspace, queued):
    for _ in range(10):
        workspace.stores.reviews.skip(workspace.stores.reviews.claim(queued, "ann").id, who="ann")
    assert workspace.stores.reviews.claim(queued, "ann") is None
    assert workspace.stores.reviews.requeue_skipped(queued) == 10
    assert workspace.stores.reviews.claim(queued, "ben") is not None


@pytest.fixture
def judged(workspace, labels):
    """Rows that the judge calls good, the earlier the less sure."""
    rows = workspace.stores.datasets.page(labels).rows[:20]
    with workspace.stores.database.writing() as session:
        for index, row in enumerate(rows):
            record(session, row.id, "", NewLabel(0.5 + index / 50, "judge", "gpt"))
    return rows


@pytest.mark.parametrize("rank_by", ["error", "uncertainty"])
def test_the_most_doubtful_come_first_and_none_twice(workspace, labels, judged, rank_by):
    def queue(count):
        return workspace.stores.reviews.queue(labels, {"ranked": count}, rank_by=rank_by)

    assert queue(3) == [row.id for row in judged[:3]]
    assert queue(3) == [row.id for row in judged[3:6]]
    assert {item.selection for item, _ in workspace.stores.reviews.waiting(labels)} == {"uncertain"}


def test_rows_are_ranked_by_what_an_evaluator_says_against_the_judge(
    workspace, dataset, labels, judged
):
    """The judge was surest of the last two rows, and the evaluator disagrees."""
    scores = {row.id: 0.9 for row in judged} | {judged[-1].id: 0.1, judged[-2].id: 0.2}
    workspace.stores.scores.add(labels, ("tiny", 2), scores)
    found = workspace.review_queue(
        dataset, {"ranked": 2}, rank_by="disagreement", scored_by=("tiny", 2)
    )
    assert [row.id for _, row in found] == [judged[-1].id, judged[-2].id]
    assert {item.selection for item, _ in found} == {"disputed"}
    assert found[0][0].why == "judge good (0.88), evaluator bad (0.10)"
    workspace.stores.scores.add(labels, OTHER_ROWS, {judged[3].id: 0.0})
    (*_, (item, row)) = workspace.review_queue(dataset, {"ranked": 1}, scored_by=OTHER_ROWS)
    assert (row.id, item.why) == (judged[3].id, "judge good (0.56), other rows bad (0.00)")
    with pytest.raises(WorkspaceError, match="not scored by tiny"):
        workspace.review_queue(dataset, {"ranked": 2}, scored_by=("tiny", 1))


def test_a_second_judge_is_a_voice_of_its_own(workspace, labels, judged):
    with workspace.stores.database.writing() as session:
        record(session, judged[-1].id, "", NewLabel(0.0, "judge", "mistral"))
        record(session, judged[-2].id, "", NewLabel(0.9, "judge", "mistral"))
    workspace.stores.reviews.queue(labels, {"ranked": 1}, rank_by="disagreement")
    ((item, row),) = workspace.stores.reviews.waiting(labels)
    assert (row.id, item.why) == (judged[-1].id, "judge bad (0.00), judge 2 good (0.88)")


def test_rows_that_people_disagree_on_are_asked_for_by_themselves(workspace, labels, judged):
    with workspace.stores.database.writing() as session:
        for who, value in (("ann", 1.0), ("ben", 0.0)):
            record(session, judged[5].id, "", NewLabel(value, "human", who))
    assert workspace.stores.reviews.queue(labels, {"disputed": 5}) == [judged[5].id]
    assert judged[5].id not in workspace.stores.reviews.queue(labels, {"ranked": 60})


def test_random_rows_are_spread_among_the_ranked(workspace, labels, judged):
    """Wherever a reviewer stops, they have seen the same share of random rows."""
    workspace.stores.reviews.queue(labels, {"ranked": 10, "random": 5}, seed=3)
    kinds = [item.selection for item, _ in workspace.stores.reviews.waiting(labels)]
    assert [kinds[start : start + 3].count("random") for start in range(0, 15, 3)] == [1] * 5


def test_a_random_draw_is_over_all_rows_and_asks_nobody_twice(workspace, labels):
    rows = workspace.stores.datasets.page(labels, size=60).rows
    with workspace.stores.database.writing() as session:
        for row in rows[:30]:
            record(session, row.id, "", NewLabel(1.0, "human", "ann", "uncertain"))
    waiting = workspace.stores.reviews.queue(labels, {"random": 40}, seed=1)
    drawn = list(workspace.stores.datasets.rows(labels))
    already = [row for row in drawn if row.selection == "random"]
    assert len(waiting) + len(already) == 40
    assert already
    assert all(row.label_source == "human" for row in already)
    assert not workspace.stores.reviews.queue(labels, {"random": 100}, seed=2)[20:]


def test_rows_that_a_judge_labelled_as_a_sample_of_something_are_drawn_for_people(
    workspace, labels
):
    rows = workspace.stores.datasets.page(labels, size=60).rows
    with workspace.stores.database.writing() as session:
        for row in rows:
            record(session, row.id, "", NewLabel(1.0, "judge", "gpt", "random"))
    assert len(workspace.stores.reviews.queue(labels, {"random": 10}, seed=1)) == 10


def test_an_unknown_reason_is_refused(workspace, labels):
    with pytest.raises(WorkspaceError, match="funny"):
        workspace.stores.reviews.queue(labels, {"funny": 1})
    with pytest.raises(WorkspaceError, match="by 'beauty', only by error"):
        workspace.stores.reviews.queue(labels, {"ranked": 1}, rank_by="beauty")


def test_a_row_that_waits_and_is_drawn_waits_once_as_drawn(workspace, labels):
    """Otherwise someone would label it twice, and the label of the draw would be lost."""
    waiting = workspace.stores.reviews.queue(labels, {"pilot": 30}, seed=0)
    new = workspace.stores.reviews.queue(labels, {"random": 60}, seed=1)
    assert not set(waiting) & set(new)
    queue = workspace.stores.reviews.waiting(labels)
    assert len(queue) == len({row.id for _, row in queue}) == 60
    assert {item.selection for item, _ in queue} == {"random"}


def test_a_pilot_that_came_to_nothing_is_not_asked_twice_over(workspace, labels):
    first = workspace.stores.reviews.pilot(labels)
    assert set(workspace.stores.reviews.pilot(labels)) == set(first)
    with workspace.stores.database.writing() as session:
        for row in first[:10]:
            record(session, row, "", NewLabel(1.0, "judge", "gpt"))
    again = workspace.stores.reviews.pilot(labels)
    assert len(again) == 16
    assert set(again) & set(first) == set(first[10:])
