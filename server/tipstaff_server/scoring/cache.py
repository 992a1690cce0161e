"""A cache of scores, for interactions that come again.

It is exact: on a CPU, a version gives the same interaction the same score, bit for bit. It is off
unless an operator sets its size.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import replace

from tipstaff.types import FIELDS, Interaction, Score
from tipstaff_server.repository.registry import Served

# Bytes of a digest. A collision would answer one interaction with the score of another, but none of
# this size has ever been found.
_DIGEST = 32

Key = tuple[str, int, bool, bytes]


class ScoreCache:
    """The latest scores, by evaluator, version and text. Belongs to one thread.

    Texts are stored as digests, so that an entry's size doesn't depend on them. Entries of versions
    that no longer serve are never looked up, and leave as new ones come in.

    Args:
        capacity: Number of scores to remember; 0 turns the cache off.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._scores: OrderedDict[Key, Score] = OrderedDict()

    def __len__(self) -> int:
        return len(self._scores)

    def key(self, served: Served, interaction: Interaction, explained: bool = False) -> Key | None:
        """The key of a score; None if the cache is off.

        Args:
            served: The evaluator that gives the score.
            interaction: The interaction that is scored.
            explained: Whether the score has highlights: a request for these needs such a score.
        """
        if not self._capacity:
            return None
        digest = hashlib.blake2b(digest_size=_DIGEST)
        for name in FIELDS:
            text = interaction.get(name)
            # Each text's length comes before it: no two interactions may hash the same bytes.
            data = (text or "").encode()
            digest.update(b"-" if text is None else b"%d:" % len(data))
            digest.update(data)
        return served.name, served.version, explained, digest.digest()

    def get(self, key: Key | None) -> Score | None:
        """The remembered score, marked as cached, or None."""
        if key is None or key not in self._scores:
            return None
        self._scores.move_to_end(key)
        return self._scores[key]

    def put(self, key: Key | None, score: Score) -> None:
        """Remembers a score, in place of the least recently used one if the cache is full."""
        if key is None:
            return
        self._scores[key] = replace(score, cached=True, timing=None)
        self._scores.move_to_end(key)
        if len(self._scores) > self._capacity:
            self._scores.popitem(last=False)
