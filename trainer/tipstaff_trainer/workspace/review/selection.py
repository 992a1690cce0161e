"""Choosing a data set's rows for review.

`label_quality.review_queue` ranks rows; this module reads the tables for it and makes the random
draw, which is over all rows of the data set and never draws a row twice. Everything is by one
criterion: draws and labels by other criteria don't count.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Literal, get_args

from sqlalchemy import and_, func, literal, select, update
from sqlalchemy.orm import Session

from tipstaff.errors import UsageError
from tipstaff.types import Interaction
from tipstaff_trainer.data import Row, Selection
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.label_quality.review_queue import (
    RANKINGS,
    RankBy,
    interleave,
    rank_for_review,
)
from tipstaff_trainer.workspace.db.models import (
    DatasetRow,
    Label,
    LabelSet,
    ReviewItem,
    RowLabel,
    RowScore,
)
from tipstaff_trainer.workspace.db.rows import select_rows
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS, ScoredBy, scores_by

# random: drawn from all rows; disputed: people labelled them differently; ranked: ordered by
# `label_quality.review_queue`, which marks each as disputed or uncertain; pilot: any rows that no
# person has labelled.
Kind = Literal["random", "disputed", "ranked", "pilot"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_NO_TEXT = Interaction()


@dataclass(frozen=True, slots=True)
class SelectedRow:
    """A row for review; `db.models.ReviewItem` explains the fields."""

    row_id: int
    selection: Selection
    why: str = ""


def choose(
    session: Session,
    labels: LabelSet,
    counts: Mapping[Kind, int],
    generator: random.Random,
    *,
    rank_by: RankBy = "error",
    scored_by: ScoredBy | None = None,
) -> list[SelectedRow]:
    """Chooses rows, in the order for review.

    Args:
        session: A transaction that may write, since drawn rows are marked.
        labels: The rows' labels by the criterion to judge by.
        counts: The most rows of each kind.
        generator: The source of randomness.
        rank_by: The order of ranked rows.
        scored_by: The scorer to compare with the judge's labels.

    Raises:
        WorkspaceError: A kind or a ranking is unknown.
        UsageError: A count is not a whole number.
    """
    if unknown := ", ".join(sorted(counts.keys() - set(KINDS))):
        raise WorkspaceError(
            f"there is no kind {unknown} of rows to queue, only {', '.join(KINDS)}"
        )
    for kind, number in counts.items():
        if not isinstance(number, Integral):
            raise UsageError(
                "is not a whole number", field=kind, value=repr(number)[:80], remedy="give a count"
            )
    if rank_by not in RANKINGS:
        raise WorkspaceError(f"rows can't be ranked by {rank_by!r}, only by {', '.join(RANKINGS)}")
    count = {kind: max(0, counts.get(kind, 0)) for kind in KINDS}
    drawn = _draw(session, labels, count["random"], generator) if count["random"] else []
    excluded = _open_rows(session, labels) | {each.row_id for each in drawn}
    others: list[SelectedRow] = []
    if count["disputed"]:
        others += _disputed(session, labels, count["disputed"], excluded)
    if count["ranked"]:
        excluded |= {each.row_id for each in others}
        seed = generator.randrange(2**32)
        others += _ranked(session, labels, count["ranked"], rank_by, scored_by, excluded, seed)
    if count["pilot"]:
        excluded |= {each.row_id for each in others}
        others += _unreviewed(session, labels, count["pilot"], excluded, generator)
    both = [*drawn, *others]
    return [both[place] for place in interleave(range(len(drawn)), range(len(drawn), len(both)))]


def drawn_rows(session: Session, labels: LabelSet) -> set[int]:
    """The rows that random draws for people have picked so far, reviewed or not.

    A judge's label with the selection `random` doesn't count: it tells that the file's rows were a
    random sample.
    """
    drawn = select(RowLabel.row_id).where(
        labels.of(RowLabel), RowLabel.selection == "random", RowLabel.label_source == "human"
    )
    random_items = labels.of(ReviewItem), ReviewItem.selection == "random"
    queued = select(ReviewItem.row_id).where(*random_items)
    return {*session.scalars(drawn), *session.scalars(queued)}


def _draw(
    session: Session, labels: LabelSet, count: int, generator: random.Random
) -> list[SelectedRow]:
    """Draws uniformly among rows not drawn before; returns those to add to the queue.

    The draw is over all rows, so that its labels represent the data set. A drawn row that a person
    has labelled already is marked as drawn and not queued again.
    """
    before = drawn_rows(session, labels)
    query = select_rows(labels).with_only_columns(DatasetRow.id, RowLabel.label_source)
    free = [(row, source) for row, source in session.execute(query) if row not in before]
    sample = generator.sample(free, min(count, len(free)))
    reviewed = [row for row, source in sample if source == "human"]
    labelled = update(RowLabel).where(labels.of(RowLabel), RowLabel.row_id.in_(reviewed))
    session.execute(labelled.values(selection="random"))
    waiting = _open_rows(session, labels)
    drawn = [row for row, source in sample if source != "human"]
    queued = (
        update(ReviewItem)
        .where(labels.of(ReviewItem), ReviewItem.state != "done")
        .where(ReviewItem.row_id.in_(waiting.intersection(drawn)))
    )
    session.execute(queued.values(selection="random"))
    return [SelectedRow(row, "random") for row in drawn if row not in waiting]


def _disputed(
    session: Session, labels: LabelSet, count: int, excluded: Collection[int]
) -> list[SelectedRow]:
    """Rows that people labelled differently."""
    disputed = session.scalars(
        select(RowLabel.row_id)
        .where(labels.of(RowLabel), RowLabel.disputed.is_(True))
        .where(RowLabel.label_source == "human")
        .order_by(RowLabel.position)
    )
    rows = [row for row in disputed if row not in excluded][:count]
    return [SelectedRow(row, "disputed", "people labelled it differently") for row in rows]


def _ranked(
    session: Session,
    labels: LabelSet,
    count: int,
    rank_by: RankBy,
    scored_by: ScoredBy | None,
    excluded: Collection[int],
    seed: int,
) -> list[SelectedRow]:
    """The first rows for review, in the order of `label_quality.review_queue`."""
    columns = RowLabel.row_id, func.coalesce(RowLabel.judge_label, RowLabel.label)
    query = select(*columns, RowScore.score if scored_by else literal(None)).where(
        labels.of(RowLabel), RowLabel.label_source.in_(("judge", "other"))
    )
    if scored_by:
        joined = and_(scores_by(labels, scored_by), RowScore.row_id == RowLabel.row_id)
        query = query.outerjoin(RowScore, joined)
    candidates = [each for each in session.execute(query) if each[0] not in excluded]
    rows = [
        Row(_NO_TEXT, label, str(row_id), label_source="judge") for row_id, label, _ in candidates
    ]
    scores = [float("nan") if each is None else each for *_, each in candidates]
    by_evaluator = scored_by is not None and scored_by != OTHER_ROWS
    queue = rank_for_review(
        rows,
        count=count,
        random_share=0,
        rank_by=rank_by,
        judges=_other_judges(session, labels),
        scores=scores if by_evaluator else None,
        out_of_fold=scores if scored_by == OTHER_ROWS else None,
        seed=seed,
    )
    return [SelectedRow(int(each.row.id), each.selection, each.why) for each in queue]


def _unreviewed(
    session: Session,
    labels: LabelSet,
    count: int,
    excluded: Collection[int],
    generator: random.Random,
) -> list[SelectedRow]:
    """Any rows that no person has labelled."""
    by_people = select(RowLabel.row_id).where(labels.of(RowLabel), RowLabel.label_source == "human")
    excluded = {*excluded, *session.scalars(by_people)}
    rows = session.scalars(select(DatasetRow.id).where(DatasetRow.dataset_id == labels.dataset_id))
    free = [row for row in rows if row not in excluded]
    return [SelectedRow(row, "pilot") for row in generator.sample(free, min(count, len(free)))]


def _other_judges(session: Session, labels: LabelSet) -> Sequence[Mapping[str, float]]:
    """Each judge's labels of rows that another judge labelled later, by row id."""
    judges = labels.of(Label), Label.source == "judge"
    if len(session.scalars(select(Label.who).where(*judges).distinct()).all()) < 2:
        return []
    latest: dict[int, dict[str, float | None]] = defaultdict(dict)
    query = select(Label.row_id, Label.who, Label.value).where(*judges).order_by(Label.id)
    for row_id, who, value in session.execute(query):
        latest[row_id].pop(who, None)
        latest[row_id][who] = value
    others: dict[str, dict[str, float]] = defaultdict(dict)
    for row_id, by_judge in latest.items():
        for who, value in list(by_judge.items())[:-1]:
            if value is not None:
                others[who][str(row_id)] = value
    return list(others.values())


def _open_rows(session: Session, labels: LabelSet) -> set[int]:
    """The rows that wait for review, were skipped, or were removed for good."""
    query = select(ReviewItem.row_id).where(labels.of(ReviewItem), ReviewItem.state != "done")
    return set(session.scalars(query))
