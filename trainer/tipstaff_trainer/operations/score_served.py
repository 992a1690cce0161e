"""Scores interactions on a running server."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from tipstaff import TLS, Client
from tipstaff.errors import (
    DeadlineError,
    InvalidRequestError,
    NoAnswerError,
    OverloadedError,
    ScoringError,
)
from tipstaff.types import FIELDS, Interaction, Score
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.operations.score_shard import ScoredRow

# Of one call: a batch has one deadline.
_ROWS_A_CALL = 50
_SECONDS_A_CALL = 60.0


def score_served(
    target: str,
    evaluator: str | None,
    stack: ExitStack,
    *,
    token: Path | None = None,
    tls: bool = False,
    tls_ca: Path | None = None,
) -> Callable[[Sequence[Interaction]], list[ScoredRow]]:
    """A function that scores interactions on a server, a few at a call.

    It raises DataError where the server doesn't answer: only what a row itself is refused for is
    that row's reason.

    Args:
        target: The server's address.
        evaluator: The evaluator, where the server has several.
        stack: Closes the connection.
        token: A file with the token that the server wants; that in TIPSTAFF_TOKEN if None.
        tls: Whether to encrypt.
        tls_ca: A file with the authorities to trust; encrypts too.
    """
    client = stack.enter_context(
        Client(
            target,
            timeout=_SECONDS_A_CALL,
            token=token or os.environ.get("TIPSTAFF_TOKEN") or None,
            tls=TLS(ca=tls_ca) if tls_ca else tls,
        )
    )

    def score(interactions: Sequence[Interaction]) -> list[ScoredRow]:
        scored: list[ScoredRow] = []
        for start in range(0, len(interactions), _ROWS_A_CALL):
            some = interactions[start : start + _ROWS_A_CALL]
            try:
                scored += _scored(client, some, evaluator)
            except ScoringError as error:
                kept = "what was scored is kept: run it again once the server answers"
                raise DataError(
                    error.message,
                    field="target",
                    value=target,
                    remedy="; ".join(filter(None, (error.remedy, kept))),
                ) from error
        return scored

    return score


def _scored(
    client: Client, interactions: Sequence[Interaction], evaluator: str | None
) -> list[ScoredRow]:
    rows = [ScoredRow(None, "", "no text")] * len(interactions)
    asked = [
        index
        for index, each in enumerate(interactions)
        if any((each.get(name) or "").strip() for name in FIELDS)
    ]
    if not asked:
        return rows
    texts = [interactions[index] for index in asked]
    answers: list[Score | ScoringError]
    try:
        answers = client.score_batch(texts, evaluator=evaluator)
    except (OverloadedError, DeadlineError) as error:
        answers = [error] * len(texts)
    for index, answer in zip(asked, answers, strict=True):
        if isinstance(answer, NoAnswerError):
            # Not the row's fault, or it had to share the batch's time: a file has more.
            answer = _alone(client, interactions[index], evaluator)
        rows[index] = _row(answer)
    return rows


def _alone(client: Client, each: Interaction, evaluator: str | None) -> Score | ScoringError:
    try:
        return client.score(
            input=each.input,
            output=each.output,
            ground_truth=each.ground_truth,
            evaluator=evaluator,
        )
    except ScoringError as error:
        return error


def _row(answer: Score | ScoringError) -> ScoredRow:
    if isinstance(answer, (DeadlineError, InvalidRequestError)):
        return ScoredRow(None, "", answer.message)
    if isinstance(answer, ScoringError):
        raise answer
    reasons = ", ".join(reason.value for reason in answer.reasons)
    scorer = f"{answer.evaluator} version {answer.version} ({answer.engine})"
    return ScoredRow(answer.score, answer.verdict.value, reasons, scorer)
