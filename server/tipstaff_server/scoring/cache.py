"""Scores given before, for interactions that come again.

Exact: on a CPU the same version scores the same interaction bit for bit the same, so a remembered
score is the score. Off unless an operator names a size.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import replace

from tipstaff.types import FIELDS, Interaction, Score
from tipstaff_server.repository.registry import Served

# Bytes of a digest. Collisions would answer one interaction with the score of another; at this size
# nobody has ever made one.
_DIGEST = 32

Key = tuple[str, int, bool, bytes]


class ScoreCache:
    """The scores given last, by evaluator, version and text. Belongs to one thread.

    Texts are kept as digests, so that an entry's size doesn't depend on what was sent. A version
    that was swapped out gets no more look-ups; its entries leave as others come.

    Args:
        capacity: Scores to remember; 0 for none.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._scores: OrderedDict[Key, Score] = OrderedDict()

    def __len__(self) -> int:
        return len(self._scores)

    def key(self, served: Served, interaction: Interaction, explained: bool = False) -> Key | None:
        """What a score is remembered under; None where none is.

        Args:
            served: What gives the score.
            interaction: Of what.
            explained: Whether it has highlights; one without doesn't answer who asked for them.
        """
        if not self._capacity:
            return None
        digest = hashlib.blake2b(digest_size=_DIGEST)
        for name in FIELDS:
            text = interaction.get(name)
            # Its length before each text, so that no two interactions run together to the same
            # bytes.
            data = (text or "").encode()
            digest.update(b"-" if text is None else b"%d:" % len(data))
            digest.update(data)
        return served.name, served.version, explained, digest.digest()

    def get(self, key: Key | None) -> Score | None:
        """The score given before, marked as cached; None when there was none."""
        if key is None or key not in self._scores:
            return None
        self._scores.move_to_end(key)
        return self._scores[key]

    def put(self, key: Key | None, score: Score) -> None:
        """Remembers a score, in place of the one that was asked for longest ago if need be."""
        if key is None:
            return
        self._scores[key] = replace(score, cached=True, timing=None)
        self._scores.move_to_end(key)
        if len(self._scores) > self._capacity:
            self._scores.popitem(last=False)
