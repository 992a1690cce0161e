"""Keeps the fields of a prompt until its answer comes, by the call's id.

Bounded in number, size and time; the oldest entries go first. Pure: the clock is passed in.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from tipstaff_gateway.mapping import Mapped

_MOST_CHARACTERS = 64 * 2**20


class JoinMemory:
    """The fields that prompts had, by call id.

    Args:
        most: Entries at a time.
        seconds: How long an entry is kept.
        most_characters: Characters of all entries together.
        clock: The time in seconds.
    """

    def __init__(
        self,
        most: int,
        seconds: float,
        *,
        most_characters: int = _MOST_CHARACTERS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._most_characters = most_characters
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, int, Mapped]] = OrderedDict()
        self._characters = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, call_id: str, mapped: Mapped) -> None:
        """Keeps a prompt's fields; a second prompt of the same call replaces the first."""
        self._remove(call_id)
        size = len(call_id) + sum(
            len(text or "") for text in (mapped.interaction.input, mapped.interaction.ground_truth)
        )
        self._entries[call_id] = (self._clock() + self._seconds, size, mapped)
        self._characters += size
        while self._entries and self._is_over():
            self._remove(next(iter(self._entries)))

    def get(self, call_id: str) -> Mapped | None:
        """The fields of a call's prompt; None if there are none, or no longer.

        It stays, since a stream is checked several times.
        """
        entry = self._entries.get(call_id)
        if entry is None or entry[0] <= self._clock():
            return None
        return entry[2]

    def _is_over(self) -> bool:
        expires, _, _ = next(iter(self._entries.values()))
        return (
            len(self._entries) > self._most
            or self._characters > self._most_characters
            or expires <= self._clock()
        )

    def _remove(self, call_id: str) -> None:
        if entry := self._entries.pop(call_id, None):
            self._characters -= entry[1]
