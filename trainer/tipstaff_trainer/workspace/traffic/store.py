"""The traffic of a workspace: collecting, looking, triage, erasing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Integer, and_, cast, func, select

from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import DatasetRow, RowScore, TrafficRow, TrafficSource
from tipstaff_trainer.workspace.db.models.traffic import DAY
from tipstaff_trainer.workspace.traffic.collect import Collected, collect
from tipstaff_trainer.workspace.traffic.erase import ErasedRows, erase_rows
from tipstaff_trainer.workspace.traffic.kept import read_kept
from tipstaff_trainer.workspace.traffic.live import Live, read_live
from tipstaff_trainer.workspace.traffic.totals import read_choices
from tipstaff_trainer.workspace.traffic.triage import Triage, queue_rows
from tipstaff_trainer.workspace.traffic.window import BANDS, Window


@dataclass(frozen=True, slots=True)
class Choices:
    """What an evaluator's traffic in a time can be narrowed to.

    Attributes:
        versions: Versions that answered.
        callers: Who asked.
        attributes: Names and values of attributes, the most frequent.
    """

    versions: Sequence[int]
    callers: Sequence[str]
    attributes: Sequence[tuple[str, str]]


class Traffic:
    """The traffic of all evaluators.

    Args:
        database: The workspace's database.
        criterion_of: The criterion that an evaluator judges by, as its last training says; may be
            empty.
    """

    def __init__(self, database: Database, criterion_of: Callable[[str], str]) -> None:
        self._database = database
        self._criterion_of = criterion_of

    def collect(self, folders: Sequence[Path], evaluators: Sequence[str] = ()) -> Collected:
        """Collects what is new in servers' folders, exactly once.

        Args:
            folders: The folders that servers keep traffic in.
            evaluators: Evaluators of the workspace's repository, whose criterion may be known.

        Raises:
            WorkspaceError: A folder can't be read, or the database can't be written.
        """
        criteria = {name: self._criterion_of(name) for name in evaluators}
        return collect(self._database, folders, criteria)

    def sources(self) -> Mapping[str, int]:
        """The data set of each evaluator that has traffic, by its name."""
        query = select(TrafficSource).order_by(TrafficSource.evaluator)
        return {each.evaluator: each.dataset_id for each in self._database.scalars(query)}

    def dataset_id(self, evaluator: str) -> int:
        """The data set of an evaluator's traffic.

        Raises:
            WorkspaceError: None was collected.
        """
        of_evaluator = TrafficSource.evaluator == evaluator
        found = self._database.scalar(select(TrafficSource.dataset_id).where(of_evaluator))
        if found is None:
            names = ", ".join(self.sources()) or "no evaluator"
            raise WorkspaceError(
                f"no traffic of {evaluator!r} is collected, only of {names}",
                remedy="collect a server's folder first (tipstaff collect)",
            )
        return found

    def live(self, evaluator: str, window: Window | None = None) -> Live:
        """What an evaluator's traffic says; see `Live`.

        Raises:
            WorkspaceError: No traffic of it was collected.
        """
        dataset = self.dataset_id(evaluator)
        window = window or Window.last(7 * DAY, now=time.time())
        return read_live(self._database, evaluator, dataset, window)

    def choices(self, live: Live) -> Choices:
        """What a window can be narrowed to, whatever it is narrowed to already."""
        if not live.window.narrowed:
            attributes = [(each.name, each.value) for each in live.attributes]
            return Choices(list(live.versions), sorted(live.callers), attributes)
        window = Window(live.window.since, live.window.until)
        versions, callers = read_choices(self._database, live.evaluator, window)
        _, shares = read_kept(self._database, live.evaluator, window)
        return Choices(versions, callers, [(each.name, each.value) for each in shares])

    def training_bands(self, live: Live) -> Sequence[float]:
        """The shares of scores by tenth that an evaluator gave rows of other data sets.

        Of the version that the window is narrowed to, else of the newest with such scores; empty if
        it has none.
        """
        least = func.min if self._database.is_sqlite else func.least
        band = least(cast(func.floor(RowScore.score * BANDS), Integer), BANDS - 1)
        scored = and_(
            RowScore.evaluator == live.evaluator,
            RowScore.dataset_id != live.dataset_id,
            RowScore.score.is_not(None),
        )
        version = live.window.version
        if version is None:
            version = self._database.scalar(select(func.max(RowScore.version)).where(scored))
        counts = dict.fromkeys(range(BANDS), 0)
        query = select(band, func.count()).where(scored, RowScore.version == version)
        for place, count in self._database.rows(query.group_by(band)):
            counts[place] = count
        if not any(counts.values()):
            return ()
        return [counts[place] / sum(counts.values()) for place in range(BANDS)]

    def find_rows(self, keys: Sequence[str]) -> Mapping[str, DatasetRow]:
        """Kept rows by the ids that servers gave them; without those that were erased since."""
        known = select(TrafficRow.row_id).where(TrafficRow.key.in_(keys))
        rows = self._database.scalars(select(DatasetRow).where(DatasetRow.id.in_(known)))
        return {row.key: row for row in rows}

    def queue(self, evaluator: str, triage: Triage) -> int:
        """Queues rows for review that were never in the queue; returns how many.

        Raises:
            WorkspaceError: No traffic of it was collected.
        """
        return queue_rows(self._database, evaluator, self.dataset_id(evaluator), triage)

    def erase(self, request_ids: Sequence[str]) -> ErasedRows:
        """Erases the rows and feedback of requests, also from what is collected later."""
        return erase_rows(self._database, request_ids, time.time())
