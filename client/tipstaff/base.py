"""The common part of the blocking and the asyncio client: settings, calls, requests."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import get_args

import grpc

from tipstaff.calls import Batch, Call
from tipstaff.channel import LONGEST_TIMEOUT, checked_target
from tipstaff.convert import to_request
from tipstaff.errors import InvalidRequestError
from tipstaff.types import Interaction, OnFailure
from tipstaff.v1 import scoring_pb2 as pb

CLOSED = "this client has been closed: make a new one"


class BaseClient:
    """Holds a client's settings, and makes its calls and requests."""

    def __init__(
        self,
        target: str,
        *,
        evaluator: str = "",
        timeout: float = 1.0,
        on_failure: OnFailure = "raise",
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self._target = checked_target(target)
        self._evaluator = evaluator
        self._timeout = _checked_timeout(timeout)
        self._on_failure = _checked_on_failure(on_failure)
        self._credentials = credentials
        self._closed = False

    @property
    def target(self) -> str:
        """The server's address, as given."""
        return self._target

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._target!r}, evaluator={self._evaluator!r})"

    def _call(self, timeout: float | None, on_failure: OnFailure | None = None) -> Call:
        return Call(
            target=self._target,
            timeout=self._timeout if timeout is None else _checked_timeout(timeout),
            on_failure=(
                self._on_failure if on_failure is None else _checked_on_failure(on_failure)
            ),
        )

    def _request(
        self,
        interaction: Interaction,
        *,
        evaluator: str | None,
        version: int,
        explain: bool,
        request_id: str = "",
    ) -> pb.ScoreRequest:
        return to_request(
            interaction,
            evaluator=self._evaluator if evaluator is None else evaluator,
            version=version,
            # Made here, not by the server, so that a request that never got there has one too.
            request_id=request_id or uuid.uuid4().hex,
            explain=explain,
        )

    def _batch(
        self,
        interactions: Iterable[Interaction],
        *,
        evaluator: str | None,
        version: int,
        explain: bool,
    ) -> Batch:
        requests: list[pb.ScoreRequest | InvalidRequestError] = []
        for interaction in interactions:
            try:
                request = self._request(
                    interaction, evaluator=evaluator, version=version, explain=explain
                )
            except InvalidRequestError as error:
                requests.append(error.with_traceback(None))
            else:
                requests.append(request)
        return Batch(requests)


def _checked_timeout(timeout: float) -> float:
    if not 0 < timeout <= LONGEST_TIMEOUT:
        raise ValueError(
            f"timeout must be a positive number of seconds, a day at most, not {timeout!r}"
        )
    return timeout


def _checked_on_failure(on_failure: OnFailure) -> OnFailure:
    if on_failure not in get_args(OnFailure):
        raise ValueError(f"on_failure must be 'raise', 'open' or 'closed', not {on_failure!r}")
    return on_failure
