"""A server process and its surroundings: signals and log lines."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import time

from tipstaff_server.settings import Settings


def stop_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Events that are set when the server should leave service, and when it should drain.

    SIGTERM sets the first, and again the second. Ctrl-C sets both: a person waits for the end.
    """
    leave, drain = asyncio.Event(), asyncio.Event()

    def terminate() -> None:
        (drain if leave.is_set() else leave).set()

    def interrupt() -> None:
        leave.set()
        drain.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, terminate)
    loop.add_signal_handler(signal.SIGINT, interrupt)
    return leave, drain


class _JsonFormatter(logging.Formatter):
    """Formats each record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure_logging(settings: Settings) -> None:
    """Has log lines written to standard error, in the form and from the level of the settings."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        _JsonFormatter()
        if settings.log_format == "json"
        else logging.Formatter("%(asctime)s %(levelname)-7s %(message)s")
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    # The second follows the server's files.
    for name in ("tipstaff_server", "tipstaff.access_files"):
        logging.getLogger(name).setLevel(settings.log_level.upper())
    # Asked for by its own setting.
    logging.getLogger("tipstaff_server.access_log").setLevel(logging.INFO)
