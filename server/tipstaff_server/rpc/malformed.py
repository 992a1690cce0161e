"""Counts messages that can't be parsed, and logs them without flooding the log."""

from __future__ import annotations

import asyncio
import logging

from tipstaff_server.metrics import Metrics

log = logging.getLogger(__name__)

_REASON = "malformed"


class MalformedMessages:
    """Logs the first message at once, and later ones as a count. Belongs to one event loop."""

    def __init__(self, metrics: Metrics, *, pause: float = 60.0) -> None:
        """Sets the seconds between two log lines."""
        self._metrics = metrics
        self._pause = pause
        self._waiting = False
        self._unlogged = 0
        self._last = ""

    def add(self, method: str, peer: str) -> None:
        """Counts one message.

        Args:
            method: The method's path, as in `/tipstaff.v1.ScoringService/Score`.
            peer: The sender's address.
        """
        self._metrics.refused(_REASON)
        self._last = f"to {method} from {peer}"
        self._unlogged += 1
        if not self._waiting:
            self._log()

    def _log(self) -> None:
        self._waiting = self._unlogged > 0
        if self._waiting:
            log.warning("malformed messages: %d, the last %s", self._unlogged, self._last)
            self._unlogged = 0
            asyncio.get_running_loop().call_later(self._pause, self._log)
