"""Which rows of a data set are put before people, and why.

Ranking is `judge.review_queue`'s; what is here feeds it from the tables, and keeps the random draw,
which is over all rows of the data set and never draws one twice. All of it goes by one criterion: a
row that was drawn or labelled by another is as good as new.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from sqlalchemy import and_, func, literal, select, update
from sqlalchemy.orm import Session

from tipstaff.types import Interaction
from tipstaff_trainer.data import Row, Selection
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.label_quality.review_queue import RANKINGS, RankBy, review_queue, spread
from tipstaff_trainer.workspace.db.models import (
    DatasetRow,
    Label,
    LabelSet,
    ReviewItem,
    RowLabel,
    RowScore,
)
from tipstaff_trainer.workspace.db.rows import labelled_by
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS, ScoredBy, given_by

# random: drawn from all rows; disputed: people disagree on them; ranked: by `judge.review_queue`,
# which says of each whether somebody takes the other side (disputed) or is unsure (uncertain);
# pilot: any that no person has labelled.
Kind = Literal["random", "disputed", "ranked", "pilot"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_NO_TEXT = Interaction()


@dataclass(frozen=True, slots=True)
class Chosen:
    """A row to be put before people; `tables.ReviewItem` explains the rest."""

    row_id: int
    selection: Selection
    why: str = ""


def choose(
    session: Session,
    labels: LabelSet,
    wanted: Mapping[Kind, int],
    *,
    rank_by: RankBy = "error",
    scored_by: ScoredBy | None = None,
    generator: random.Random,
) -> list[Chosen]:
    """Rows in the order in which people should see them.

    Args:
        session: A transaction that may write: rows are marked as drawn.
        labels: Of the rows, by the criterion that people are to judge them by.
        wanted: How many of each kind, at most.
        rank_by: The order of the ranked ones.
        scored_by: Whose scores are compared with the judge's labels.
        generator: Of the draws.

    Raises:
        WorkspaceError: A kind or a ranking is none.
    """
    if unknown := set(wanted) - set(KINDS):
        raise WorkspaceError(f"rows can't be queued for being {', '.join(sorted(unknown))}")
    if rank_by not in RANKINGS:
        raise WorkspaceError(f"rows can't be ranked by {rank_by!r}, only by {', '.join(RANKINGS)}")
    count = {kind: max(0, wanted.get(kind, 0)) for kind in KINDS}
    drawn = _drawn(session, labels, count["random"], generator) if count["random"] else []
    taken = _in_queue(session, labels) | {each.row_id for each in drawn}
    others: list[Chosen] = []
    if count["disputed"]:
        others += _disputed(session, labels, count["disputed"], taken)
    if count["ranked"]:
        seen = taken | {each.row_id for each in others}
        seed = generator.randrange(2**32)
        others += _ranked(session, labels, count["ranked"], rank_by, scored_by, seen, seed)
    if count["pilot"]:
        seen = taken | {each.row_id for each in others}
        others += _unseen(session, labels, count["pilot"], seen, generator)
    both = [*drawn, *others]
    return [both[place] for place in spread(range(len(drawn)), range(len(drawn), len(both)))]


def drawn_before(session: Session, labels: LabelSet) -> set[int]:
    """The rows that were drawn for people at random so far, whether one has seen them or not.

    A judge's labels say `random`, too, where a file's rows are a sample of something larger.
    """
    drawn = select(RowLabel.row_id).where(
        labels.of(RowLabel), RowLabel.selection == "random", RowLabel.label_source == "human"
    )
    asked = select(ReviewItem.row_id).where(labels.of(ReviewItem), ReviewItem.selection == "random")
    return {*session.scalars(drawn), *session.scalars(asked)}


def _drawn(
    session: Session, labels: LabelSet, count: int, generator: random.Random
) -> list[Chosen]:
    """A uniform draw of rows that no draw has taken yet; gives those a person still has to see.

    It is over all rows, so that its labels speak for the data set: a row in it that a person has
    labelled before isn't asked again, but counts as drawn.
    """
    before = drawn_before(session, labels)
    found = session.execute(
        select(DatasetRow.id, RowLabel.label_source)
        .outerjoin(RowLabel, labelled_by(labels.criterion))
        .where(DatasetRow.dataset_id == labels.dataset_id)
    ).all()
    free = [(row, source) for row, source in found if row not in before]
    sample = generator.sample(free, min(count, len(free)))
    seen = [row for row, source in sample if source == "human"]
    if seen:
        session.execute(
            update(RowLabel)
            .where(labels.of(RowLabel), RowLabel.row_id.in_(seen))
            .values(selection="random")
        )
    rest = [row for row, source in sample if source != "human"]
    waiting = _in_queue(session, labels)
    if both := [row for row in rest if row in waiting]:
        session.execute(
            update(ReviewItem)
            .where(labels.of(ReviewItem), ReviewItem.row_id.in_(both))
            .where(ReviewItem.state != "done")
            .values(selection="random")
        )
    return [Chosen(row, "random") for row in rest if row not in waiting]


def _disputed(
    session: Session, labels: LabelSet, count: int, taken: Collection[int]
) -> list[Chosen]:
    """Rows that people labelled differently."""
    found = session.scalars(
        select(RowLabel.row_id)
        .where(labels.of(RowLabel), RowLabel.disputed.is_(True))
        .where(RowLabel.label_source == "human")
        .order_by(RowLabel.position)
    )
    rows = [row for row in found if row not in taken][:count]
    return [Chosen(row, "disputed", "people labelled it differently") for row in rows]


def _ranked(
    session: Session,
    labels: LabelSet,
    count: int,
    rank_by: RankBy,
    scored_by: ScoredBy | None,
    taken: Collection[int],
    seed: int,
) -> list[Chosen]:
    """The rows whose labels a person should see first, as `judge.review_queue` has it."""
    score = RowScore.score if scored_by else literal(None)
    query = select(
        RowLabel.row_id, func.coalesce(RowLabel.judge_label, RowLabel.label), score
    ).where(labels.of(RowLabel), RowLabel.label_source.in_(("judge", "other")))
    if scored_by:
        theirs = and_(given_by(labels, scored_by), RowScore.row_id == RowLabel.row_id)
        query = query.outerjoin(RowScore, theirs)
    found = [each for each in session.execute(query) if each[0] not in taken]
    rows = [Row(_NO_TEXT, label, str(row_id), label_source="judge") for row_id, label, _ in found]
    scores = [float("nan") if each is None else each for *_, each in found]
    by_evaluator = scored_by is not None and scored_by != OTHER_ROWS
    queue = review_queue(
        rows,
        count=count,
        random_share=0,
        rank_by=rank_by,
        judges=_other_judges(session, labels),
        scores=scores if by_evaluator else None,
        out_of_fold=scores if scored_by == OTHER_ROWS else None,
        seed=seed,
    )
    return [Chosen(int(each.row.id), each.selection, each.why) for each in queue]


def _unseen(
    session: Session,
    labels: LabelSet,
    count: int,
    taken: Collection[int],
    generator: random.Random,
) -> list[Chosen]:
    """Any rows that no person has labelled."""
    by_people = select(RowLabel.row_id).where(labels.of(RowLabel), RowLabel.label_source == "human")
    seen = {*taken, *session.scalars(by_people)}
    found = session.scalars(select(DatasetRow.id).where(DatasetRow.dataset_id == labels.dataset_id))
    free = [row for row in found if row not in seen]
    return [Chosen(row, "pilot") for row in generator.sample(free, min(count, len(free)))]


def _other_judges(session: Session, labels: LabelSet) -> list[Mapping[str, float]]:
    """What each judge said of the rows that another one labelled after it, by row."""
    judges = (labels.of(Label), Label.source == "judge")
    if len(session.scalars(select(Label.who).where(*judges).distinct()).all()) < 2:
        return []
    latest: dict[int, dict[str, float | None]] = defaultdict(dict)
    query = select(Label.row_id, Label.who, Label.value).where(*judges).order_by(Label.id)
    for row_id, who, value in session.execute(query):
        latest[row_id].pop(who, None)
        latest[row_id][who] = value
    others: dict[str, dict[str, float]] = defaultdict(dict)
    for row_id, said in latest.items():
        for who, value in list(said.items())[:-1]:
            if value is not None:
                others[who][str(row_id)] = value
    return cast(list[Mapping[str, float]], list(others.values()))


def _in_queue(session: Session, labels: LabelSet) -> set[int]:
    """The rows that wait, or were laid aside."""
    return set(
        session.scalars(
            select(ReviewItem.row_id).where(labels.of(ReviewItem), ReviewItem.state != "done")
        )
    )
