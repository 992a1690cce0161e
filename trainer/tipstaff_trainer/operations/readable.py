"""Whether an encoder can read the rows of a training: reported, and refused where it can't."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tipstaff.types import Field
from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.manifest import Policy, UnreadText
from tipstaff_server.evaluator.policy import is_unreadable
from tipstaff_trainer.encoders.unread import unread_in_words
from tipstaff_trainer.errors import TrainingError
from tipstaff_trainer.operations.train import TrainRequest
from tipstaff_trainer.progress import Reporter

# Share of a field's characters; beyond it the encoder was made for another language.
_MOST_UNREAD = 0.2
_READABLE = "choose a multilingual encoder as {base}, such as intfloat/multilingual-e5-small"


def check_readable(
    unread: Mapping[Field, UnreadText], request: TrainRequest, reporter: Reporter
) -> None:
    """Reports what the encoder can't read.

    Raises:
        TrainingError: It is too much to train on, and the request doesn't allow it.
    """
    if not unread:
        return
    message = f"can't read {unread_in_words(unread)}"
    if max(part.share for part in unread.values()) <= _MOST_UNREAD:
        reporter.note(f"{request.base} {message}")
    elif request.allow_unreadable:
        reporter.warn(f"{request.base} {message}", remedy=_READABLE)
    else:
        raise TrainingError(
            message,
            field="base",
            value=request.base,
            remedy=f"{_READABLE}; or train anyway with {{allow_unreadable}}",
        )


def warn_of_unreadable(encoded: Sequence[Encoded], reporter: Reporter) -> None:
    """Warns of rows that never pass, since more of a field can't be read than the limits allow."""
    if unreadable := sum(is_unreadable(item.coverage, Policy()) for item in encoded):
        reporter.warn(
            f"{unreadable} of {len(encoded)} rows hold more text that the encoder can't read than "
            "may pass",
            remedy=_READABLE,
        )
