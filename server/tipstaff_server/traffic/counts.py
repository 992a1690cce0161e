"""Counts of all answers by stratum and minute, for what is not kept as a row.

Counting is on the path of every answer, so that it does little: one look-up, and a few sums. All
else is done by the writer, when it takes the counts.
"""

from __future__ import annotations

import threading

from tipstaff_server.traffic.segments import Record

# What one process counts apart; more is counted together, under these names.
_MOST_CALLERS = 64
OTHER_CALLERS = "(others)"
_MOST_CELLS = 8192

CELL = ("minute", "evaluator", "version", "caller", "verdict", "band")
# These, and the reasons: answers have few sets of them, and so none has to be counted by itself.
Cell = tuple[int, str, int, str, str, int, tuple[str, ...]]
_Place = tuple[int, str, int, str, str, int]
_VALUES = ("n", "drawn", "dropped", "sum_bad", "sum_bad_squared", "seconds")


class Counts:
    """Counts by cell. Safe to use from several threads.

    Attributes:
        overflow: Answers whose caller was counted among the others.
    """

    def __init__(self) -> None:
        self.overflow = 0
        self._lock = threading.Lock()
        self._cells: dict[Cell, list[float]] = {}
        # What was taken and could not be written.
        self._unwritten: dict[_Place, Record] = {}
        self._callers: set[str] = set()

    def cell(
        self,
        at: float,
        evaluator: str,
        version: int,
        caller: str,
        verdict: str,
        band: int,
        reasons: tuple[str, ...] = (),
    ) -> Cell:
        """The cell of an answer; callers beyond a bound are counted together."""
        if caller not in self._callers:
            if len(self._callers) >= _MOST_CALLERS:
                self.overflow += 1
                caller = OTHER_CALLERS
            else:
                self._callers.add(caller)
        cell = (int(at // 60) * 60, evaluator, version, caller, verdict, band, reasons)
        full = len(self._cells) + len(self._unwritten) >= _MOST_CELLS
        if full and cell not in self._cells:
            self.overflow += 1
            # As after hours on a full disk: by the hour, so that there is an end to them.
            hour = int(at // 3600) * 3600
            return hour, evaluator, version, OTHER_CALLERS, verdict, band, reasons
        return cell

    def add(self, cell: Cell, bad: float, seconds: float, *, drawn: bool) -> None:
        """Counts an answer.

        Args:
            cell: Its cell.
            bad: One less the score.
            seconds: From its arrival to its answer.
            drawn: Whether it was drawn to be kept.
        """
        with self._lock:
            values = self._cells.get(cell)
            if values is None:
                values = self._cells[cell] = _zeros()
            values[0] += 1
            values[1] += drawn
            values[3] += bad
            values[4] += bad * bad
            values[5] += seconds

    def drop(self, cell: Cell) -> None:
        """Counts a row that was drawn and could not be kept."""
        with self._lock:
            self._cells.setdefault(cell, _zeros())[2] += 1

    def take(self) -> list[Record]:
        """The counts since the last time, as records."""
        with self._lock:
            cells, self._cells = self._cells, {}
            records, self._unwritten = self._unwritten, {}
        for cell, values in cells.items():
            # A cell of dropped rows alone has no answers.
            counts = dict.fromkeys(map(str, cell[-1]), round(values[0])) if values[0] else {}
            sums = dict(zip(_VALUES, values, strict=True))
            _add(records, {**place_of(cell), **sums, "reasons": counts})
        return list(records.values())

    def put_back(self, record: Record) -> None:
        """Adds counts that could not be written, to be written later."""
        with self._lock:
            _add(self._unwritten, record)


def place_of(cell: Cell) -> Record:
    """A cell as fields of a record, without the reasons."""
    return dict(zip(CELL, cell, strict=False))


def _add(records: dict[_Place, Record], record: Record) -> None:
    """Adds counts to those of the same minute and stratum."""
    minute, evaluator, version, caller, verdict, band = (record[name] for name in CELL)
    place = (minute, evaluator, version, caller, verdict, band)
    if place not in records:
        records[place] = {"kind": "counts", **record}
        return
    there = records[place]
    for name in _VALUES:
        there[name] += record[name]
    for reason, count in record["reasons"].items():
        there["reasons"][reason] = there["reasons"].get(reason, 0) + count


def _zeros() -> list[float]:
    return [0, 0, 0, 0.0, 0.0, 0.0]
