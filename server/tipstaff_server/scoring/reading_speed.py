"""How fast texts are read at best: a bound that refuses only what certainly can't be met."""

from __future__ import annotations

# Shorter texts don't tell: their fixed costs outweigh the text's.
_LEAST_BYTES = 1024


class ReadingSpeed:
    """The least time that reading a byte of text takes; only ever gets less.

    Texts differ tenfold in what a byte of them takes, so that the fastest text counts. A text that
    is refused can't show that it is faster: so each refusal halves the bound, and a wrong one
    corrects itself after a few.
    """

    def __init__(self) -> None:
        self._seconds_per_byte = 0.0  # 0 until a text was read

    def least_seconds(self, text_bytes: int) -> float:
        """The least time that reading a text takes; 0 while nothing is known."""
        return text_bytes * self._seconds_per_byte

    def learn(self, text_bytes: int, seconds: float) -> None:
        """Takes note of the processor seconds that reading a text took."""
        if text_bytes >= _LEAST_BYTES:
            speed = seconds / text_bytes
            self._seconds_per_byte = min(speed, self._seconds_per_byte or speed)

    def doubt(self) -> None:
        """Takes note that a text was refused."""
        self._seconds_per_byte /= 2
