"""Joins rows that are parts of one interaction, such as the events of a log."""

from __future__ import annotations

from typing import Any

from tipstaff_trainer.data.exports.forms import ExportForm
from tipstaff_trainer.data.paths import parse_path
from tipstaff_trainer.data.table import Record, Table


def joined(table: Table, form: ExportForm) -> list[Record]:
    """Rows that are parts of one interaction as one, the objects in them joined."""
    path = parse_path(form.join, table.columns)
    grows = parse_path(form.grows, table.columns) if form.grows else None
    by_key: dict[str, dict[str, Any]] = {}
    places: dict[str, str] = {}
    for record in table.records:
        key = None if path is None else path.read(record.values)
        if key is None:
            continue
        whole = by_key.setdefault(str(key), {})
        places.setdefault(str(key), record.place)
        later_turn = grows is not None and _goes_on(grows.read(whole), grows.read(record.values))
        for name, value in record.values.items():
            if isinstance(value, dict) and isinstance(whole.get(name), dict):
                # A model that grades comes after the one that answers; but a conversation's last
                # turn counts.
                whole[name] = {**whole[name], **value} if later_turn else {**value, **whole[name]}
            elif value is not None:
                whole[name] = value
    return [Record(values, places[key]) for key, values in by_key.items()]


def _goes_on(earlier: object, later: object) -> bool:
    """Whether a conversation is a later one's beginning."""
    if not (isinstance(earlier, list) and isinstance(later, list)):
        return False
    return len(later) > len(earlier) and later[: len(earlier)] == earlier
