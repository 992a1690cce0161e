"""The client that an LLM application installs to have its answers checked.

The names in `__all__` are the public surface; everything else may change without notice.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from tipstaff.errors import (
    AccessError,
    DeadlineError,
    InvalidRequestError,
    NoAnswerError,
    NotFoundError,
    OverloadedError,
    ScoringError,
    ServerFaultError,
    TipstaffError,
    UnavailableError,
    UsageError,
)
from tipstaff.events import ClientEvent, EventKind
from tipstaff.texts import text_of
from tipstaff.tls import TLS
from tipstaff.types import (
    Certificate,
    Contradiction,
    ContradictionKind,
    Coverage,
    EvaluatorInfo,
    Highlight,
    Interaction,
    OnFailure,
    Passage,
    Reason,
    Score,
    SentenceEvidence,
    Timing,
    Verdict,
)

if TYPE_CHECKING:
    from tipstaff.aio import AsyncClient
    from tipstaff.client import Client
else:
    # The server, the trainer and every command import this package for its types; only a client
    # needs grpc, which takes longer to import than all the rest.
    def __getattr__(name: str) -> object:
        homes = {"Client": "tipstaff.client", "AsyncClient": "tipstaff.aio"}
        if name in homes:
            return getattr(importlib.import_module(homes[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "TLS",
    "AccessError",
    "AsyncClient",
    "Certificate",
    "Client",
    "ClientEvent",
    "Contradiction",
    "ContradictionKind",
    "Coverage",
    "DeadlineError",
    "EvaluatorInfo",
    "EventKind",
    "Highlight",
    "Interaction",
    "InvalidRequestError",
    "NoAnswerError",
    "NotFoundError",
    "OnFailure",
    "OverloadedError",
    "Passage",
    "Reason",
    "Score",
    "ScoringError",
    "SentenceEvidence",
    "ServerFaultError",
    "Timing",
    "TipstaffError",
    "UnavailableError",
    "UsageError",
    "Verdict",
    "text_of",
]
