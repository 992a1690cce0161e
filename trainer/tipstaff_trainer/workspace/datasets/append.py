"""Adds a file's rows to a data set: new rows after its own, labels of the others to their logs.

A row is the data set's already if their ids are equal; or if their texts are, where the file has no
ids, or where people's labels have lost theirs in a spreadsheet. What a label says is never dropped:
it joins the row's log, as a reviewer's does, and the notes say where it contradicts.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from tipstaff.types import FIELDS, Interaction
from tipstaff_trainer.data import LABEL_SOURCES, Data, Row
from tipstaff_trainer.data.groups import folded_texts
from tipstaff_trainer.data.rows import content_id
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.judge.prompt import NOTE_COLUMN
from tipstaff_trainer.workspace.datasets.ingest import fields_with_text, insert_parts, storable
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import (
    MOST_EXTRA,
    Dataset,
    DatasetRow,
    Label,
    LabelSet,
    RowLabel,
)
from tipstaff_trainer.workspace.db.rows import select_rows, to_interaction
from tipstaff_trainer.workspace.labels.log import NewLabel, given_by, record

_ROWS_AT_ONCE = 2000
_LABELS_AT_ONCE = 200
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a file's rows in a data set.

    Attributes:
        rows: Rows that the data set lacked, and has now.
        notes: What else a user should know: rows that were there already, what became of their
            labels, and how the file was read.
    """

    rows: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """A row that the data set has, without its texts."""

    row_id: int
    position: int
    texts: tuple[int, ...]
    label: float | None
    label_source: str

    def says(self, row: Row) -> bool:
        """Whether it has a row's label already, from that source or one that outranks it."""
        if self.label is None or not math.isclose(self.label, row.label, abs_tol=1e-9):
            return False
        ranks = [*LABEL_SOURCES, ""]
        return ranks.index(self.label_source) <= ranks.index(row.label_source)

    @property
    def shown(self) -> str:
        """Its place and its label, for messages."""
        label = "no label" if self.label is None else f"{self.label:g} ({self.label_source})"
        return f"row {self.position + 1} had {label}"


def append(database: Database, labels: LabelSet, data: Data, *, file: str, who: str) -> Appended:
    """Adds rows after a data set's own, and labels of rows that it has.

    They appear a part at a time. A full disk may leave some of them: adding the file again adds
    the others. Rows of a group that is held out for testing are held out too.

    Raises:
        DataError: An id is that of a row with other texts.
        WorkspaceError: The disk is full.
    """
    known = dict(_known(database, labels))
    same, new, by_text = _matched(data, known)
    _check_texts(data, same)
    notes = []
    if same:
        notes.append(f"{file}: {len(same)} rows were there already")
    if by_text:
        notes.append(
            f"{file}: {by_text} labels by people were matched to their rows by text, since no row "
            "has their ids (spreadsheets alter ids)"
        )
    notes += _contradictions(new, known, file)
    _insert_new(database, labels, data, new, file=file, who=who)
    notes += _record_labels(database, labels, same, file=file, who=who)
    appended = Appended(len(new), (*notes, *data.warnings))
    with database.writing() as session:
        stored = session.get_one(Dataset, labels.dataset_id)
        stored.notes = [*stored.notes, f"{file}: added {len(new)} rows", *appended.notes]
    return appended


def _known(database: Database, labels: LabelSet) -> Iterator[tuple[str, _Known]]:
    """The data set's rows by their ids."""
    after: int | None = -1
    while after is not None:
        query = (
            select_rows(labels)
            .where(DatasetRow.position > after)
            .order_by(DatasetRow.position)
            .limit(_ROWS_AT_ONCE)
        )
        rows = database.rows(query)
        after = rows[-1][0].position if rows else None
        for row, label in rows:
            yield (
                row.key,
                _Known(
                    row.id,
                    row.position,
                    _hashes(to_interaction(row)),
                    None if label is None else label.label,
                    "" if label is None else label.label_source,
                ),
            )


def _hashes(interaction: Interaction) -> tuple[int, ...]:
    """A number for each text without case and white space; 0 for an absent one."""
    return tuple(hash(text) if text else 0 for text in folded_texts(interaction))


def _matched(
    data: Data, known: dict[str, _Known]
) -> tuple[list[tuple[Row, _Known]], list[Row], int]:
    """Rows that the data set has, rows that it lacks, and how many were matched by text only."""
    by_texts: dict[tuple[int, ...], list[_Known]] = defaultdict(list)
    for each in known.values():
        by_texts[each.texts].append(each)

    def of_same_texts(row: Row) -> _Known | None:
        found = by_texts[_hashes(row.interaction)]
        return found[0] if len(found) == 1 else None

    unknown = [row for row in data.whole if storable(row.id) not in known]
    people = [row for row in unknown if row.labelled and row.label_source == "human"]
    altered = {row.id for row in people if of_same_texts(row) is not None}
    # Some interactions with equal texts are no sign of altered ids.
    if 2 * len(altered) < len(people):
        altered = set()
    same, new = [], []
    for row, whole in zip(data.rows, data.whole, strict=True):
        # The data set may have no ids, or the file.
        by_content = content_id(whole.interaction)
        match = known.get(storable(row.id)) or known.get(by_content)
        if match is None and (row.id in altered or row.id == by_content):
            match = of_same_texts(whole)
        if match is None:
            new.append(row)
        else:
            same.append((whole, match))
    return same, new, len(altered)


def _check_texts(data: Data, same: Sequence[tuple[Row, _Known]]) -> None:
    """Checks that rows of one id have the same texts, in the fields that both have."""
    others = [
        (row, known, name)
        for row, known in same
        for name, new, old in zip(FIELDS, _hashes(row.interaction), known.texts, strict=True)
        if new and old and new != old
    ]
    if others:
        row, known, name = others[0]
        count = len({each.id for each, _, _ in others})
        more = f"; so are the ids of {count - 1} further rows" if count > 1 else ""
        raise DataError(
            f'{row.place}: id "{row.id}" is also that of row {known.position + 1} of the data set, '
            f"with another {name}{more}. Nothing was added",
            remedy="give each interaction its own id; if the id names what several interactions "
            "share, map that column to group instead; if it only counts a file's rows, set "
            "{mapping} id=, so that rows go by their texts",
        )


def _contradictions(new: Sequence[Row], known: dict[str, _Known], file: str) -> list[str]:
    """A note on new rows whose texts the data set has under another id, with another verdict."""
    labelled = {each.texts: each for each in known.values() if each.label is not None}
    opposite = [
        (row, other)
        for row in new
        if row.labelled and (other := labelled.get(_hashes(row.interaction)))
        if row.good != (other.label is not None and other.label >= 0.5)
    ]
    if not opposite:
        return []
    examples = "; ".join(f"{row.place} ({row.label:g}), {o.shown}" for row, o in opposite[:_SHOWN])
    return [
        f"{file}: {len(opposite)} of the new rows have the texts of rows that were there under "
        f"other ids, and contradict their labels: {examples}"
    ]


def _insert_new(
    database: Database, labels: LabelSet, data: Data, new: Sequence[Row], *, file: str, who: str
) -> None:
    dataset = labels.dataset_id
    last = database.scalar(
        select(func.max(DatasetRow.position)).where(DatasetRow.dataset_id == dataset)
    )
    in_test = (DatasetRow.dataset_id == dataset, DatasetRow.part == "test")
    held_out = frozenset(database.scalars(select(DatasetRow.group).where(*in_test))) - {""}
    counts = insert_parts(
        database,
        dataset,
        labels.criterion,
        new,
        file=file,
        who=who,
        first=0 if last is None else last + 1,
        held_out=held_out,
    )
    with database.writing() as session:
        stored = session.get_one(Dataset, dataset)
        stored.rows += len(new)
        stored.test += sum(storable(row.group) in held_out for row in new)
        names = {*stored.fields, *fields_with_text(data)}
        stored.fields = [name for name in FIELDS if name in names]
        extra = (name for row in new for name in row.extra)
        stored.extra = list(dict.fromkeys([*stored.extra, *extra]))[:MOST_EXTRA]
        of = (LabelSet.dataset_id == dataset, LabelSet.criterion == labels.criterion)
        values = {name: getattr(LabelSet, name) + count for name, count in counts.items()}
        if values:
            session.execute(update(LabelSet).where(*of).values(values))


def _record_labels(
    database: Database,
    labels: LabelSet,
    same: Sequence[tuple[Row, _Known]],
    *,
    file: str,
    who: str,
) -> list[str]:
    """Adds labels to the logs of rows that the data set has; returns notes on what they changed."""
    giver = given_by(file, who)
    todo = [(row, known) for row, known in same if row.labelled and not known.says(row)]
    first_labels = 0
    differing: list[str] = []
    for start in range(0, len(todo), _LABELS_AT_ONCE):
        if start:
            database.let_others_write()
        with database.writing() as session:
            for row, known in todo[start : start + _LABELS_AT_ONCE]:
                if not _record_one(session, labels.criterion, row, known, giver):
                    continue
                if known.label is None:
                    first_labels += 1
                elif not math.isclose(known.label, row.label, abs_tol=1e-9):
                    now = session.get_one(RowLabel, (known.row_id, labels.criterion))
                    differing.append(
                        f"{known.shown}, {row.place} says {row.label:g} ({row.label_source}), "
                        f"which makes it {now.label:g} ({now.label_source})"
                    )
    notes = []
    if first_labels:
        notes.append(f"{file}: {first_labels} of these rows had no label and have one now")
    if differing:
        verb = "label differs" if len(differing) == 1 else "labels differ"
        notes.append(
            f"{file}: {len(differing)} {verb} from the data set's and joined the rows' logs, where "
            "people outrank judges, labels of one source are averaged, and a file's latest counts: "
            f"{'; '.join(differing[:_SHOWN])}. Look at these rows, and label them yourself where "
            "the result is wrong"
        )
    return notes


def _record_one(
    session: Session, criterion: str, row: Row, known: _Known, giver: dict[str, Any]
) -> bool:
    """Records a label unless the same file has given the row the same; returns whether it did."""
    given = (Label.row_id == known.row_id, Label.criterion == criterion)
    by = (Label.source == row.label_source, Label.who == giver["who"])
    latest = select(Label.value).where(*given, *by).order_by(Label.id.desc()).limit(1)
    value = session.scalar(latest)
    if value is not None and math.isclose(value, row.label, abs_tol=1e-9):
        return False
    reason = row.extra.get(NOTE_COLUMN, "") if row.label_source == "human" else ""
    record(
        session,
        known.row_id,
        criterion,
        NewLabel(
            row.label,
            row.label_source,
            selection=row.selection,
            reason=reason,
            **giver,
        ),
    )
    return True
