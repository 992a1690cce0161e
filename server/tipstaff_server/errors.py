"""Errors of the server, and where each arises.

TipstaffError
├── BundleError               evaluator/bundle: a file is damaged, missing or of another form
├── RepositoryError           repository: no such evaluator or version, unreadable serving.json
│   └── PromotionRefused      repository/promotion: not learnt, or a case newly fails
├── ListenError               rpc, metrics_server: an address can't be listened on; says why
├── UsageError
│   ├── AccessFileError       access: a file of callers or of TLS is off; names file and setting
│   └── SettingsError         settings: a value is off; has the field, or names variable or file
└── RequestError              one request can't be answered; rpc/ turns it into a status
    ├── InvalidRequest        evaluator/encoding, rpc: names the field        INVALID_ARGUMENT
    ├── EvaluatorNotFound     repository/registry: nothing by that name       NOT_FOUND
    ├── Unauthenticated       rpc/doors: no token, or an unknown one          UNAUTHENTICATED
    ├── Forbidden             rpc: not for this caller                        PERMISSION_DENIED
    ├── NotReady              repository/registry: it is still loading        UNAVAILABLE
    ├── Overloaded            scheduling, access: the queue or a limit is full RESOURCE_EXHAUSTED
    ├── DeadlineUnreachable   scoring, scheduling/admission: even when idle   FAILED_PRECONDITION
    ├── DeadlineExpired       scoring, scheduling: expired while waiting      DEADLINE_EXCEEDED
    ├── ShuttingDown          scoring, scheduling: draining                   UNAVAILABLE
    ├── TrafficNotKept        rpc: feedback, and the server keeps no traffic  FAILED_PRECONDITION
    ├── FeedbackNotStored     traffic: its queue is full, or its disk         UNAVAILABLE
    └── InferenceFailed       scheduling/workers: the graph raised            INTERNAL
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tipstaff.errors import TipstaffError, UsageError


class BundleError(TipstaffError):
    """A bundle can't be used.

    Attributes:
        path: The file at fault.
    """

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


class RepositoryError(TipstaffError):
    """A repository has no such evaluator or version, or can't be read."""


class PromotionRefused(RepositoryError):  # noqa: N818  a check that did its work
    """A version may not serve: it has not learnt, or a named case fails that should not.

    Attributes:
        lost: The names of the cases that fail; empty where another check refused the version.
    """

    def __init__(self, message: str, lost: Sequence[str] = (), *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.lost = tuple(lost)


class ListenError(TipstaffError):
    """An address can't be listened on."""


class SettingsError(UsageError):
    """A setting's value is off."""


class RequestError(TipstaffError):
    """One request can't be answered."""


class InvalidRequest(RequestError):  # noqa: N818  named for the status it becomes
    """The request can't be scored as it stands.

    Attributes:
        field: The field at fault.
        why: What is wrong with it.
    """

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why, field=field)
        self.why = why


class EvaluatorNotFound(RequestError):  # noqa: N818
    """Nothing is served by that name or version."""


class Unauthenticated(RequestError):  # noqa: N818
    """The call has no token, or one that nobody has."""


class Forbidden(RequestError):  # noqa: N818
    """This caller may not make that call, or not ask that evaluator."""


class NotReady(RequestError):  # noqa: N818
    """Nothing serves yet that could answer."""


class Overloaded(RequestError):  # noqa: N818
    """The queue is full, or too long for the deadline.

    Attributes:
        reason: `queue_full`, `deadline`, `caller_rate`, `caller_under_way` or `caller_share`, the
            label of the refusals metric.
        retry_after: Seconds after which to try again.
    """

    def __init__(self, message: str, *, reason: str, retry_after: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after


class DeadlineUnreachable(RequestError):  # noqa: N818
    """Not even an idle server could have met the deadline."""


class DeadlineExpired(RequestError):  # noqa: N818
    """The deadline passed while the request waited; it was not run."""


class ShuttingDown(RequestError):  # noqa: N818
    """The server takes no more requests."""


class InferenceFailed(RequestError):  # noqa: N818
    """The graph raised for this request."""


class TrafficNotKept(RequestError):  # noqa: N818
    """The server keeps no traffic, so that it takes no feedback."""


class FeedbackNotStored(RequestError):  # noqa: N818
    """Feedback can't be written now."""
