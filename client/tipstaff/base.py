"""What the blocking and the asyncio client share: settings, messages, addresses; see `course`."""

from __future__ import annotations

import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import get_args

import grpc

from tipstaff.addresses import Addresses, readable
from tipstaff.attempts import RetryBudget
from tipstaff.calls import (
    BatchCall,
    CallOptions,
    EvaluatorsCall,
    FeedbackCall,
    ScoreCall,
)
from tipstaff.channel import (
    HTTP_PROXY,
    LONGEST_TIMEOUT,
    SHORTEST_KEEPALIVE,
    ChannelOptions,
    channel_options,
    checked_target,
)
from tipstaff.connection import Connection
from tipstaff.convert import to_feedback, to_request
from tipstaff.errors import InvalidRequestError
from tipstaff.events import ClientEvent, EventKind, OnEvent
from tipstaff.observer import Observer
from tipstaff.pool import Pool
from tipstaff.security import CallMetadata, ChannelCredentials, Metadata, Token, server_name
from tipstaff.tls import TLS
from tipstaff.types import Interaction, OnFailure
from tipstaff.v1 import scoring_pb2 as pb

CLOSED = "this client has been closed: make a new one"


class BaseClient(ABC):
    """Holds a client's settings and addresses, and makes what its calls send."""

    def __init__(
        self,
        target: str,
        *,
        evaluator: str = "",
        timeout: float = 1.0,
        on_failure: OnFailure = "raise",
        tls: TLS | bool | None = None,
        token: Token | None = None,
        metadata: Metadata | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        keepalive: float = 30.0,
        options: ChannelOptions | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        self._target = checked_target(target)
        self._evaluator = evaluator
        self._timeout = _checked_timeout(timeout)
        self._on_failure = _checked_on_failure(on_failure)
        self._credentials = ChannelCredentials(tls, credentials)
        self._metadata = CallMetadata(token, metadata)
        self._observer = Observer(on_event)
        own_options = {**server_name(tls), **dict(options or {})}
        self._addresses = Addresses(target, by_grpc=bool(own_options.get(HTTP_PROXY)))
        self._channel_options = channel_options(
            own_options,
            keepalive=_checked_keepalive(keepalive),
            authority=self._addresses.authority,
            spreads=self._target.startswith("dns:") and not self._addresses.authority,
        )
        self._pool = Pool(
            clock=time.monotonic,
            on_change=self._address_changed,
            close=self._close_connection,
            position=uuid.uuid4().int,
        )
        self._budget = RetryBudget()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def target(self) -> str:
        """The server's address, as given."""
        return self._target

    @property
    def failures(self) -> dict[str, int]:
        """Calls, and items of batches, without an answer so far, by gRPC status code."""
        return self._observer.failures

    @property
    def tls_stale(self) -> bool:
        """Whether the files of `tls` have changed to ones that can't be used.

        Then those from before stay in force, and the log says why. The files are looked at with the
        calls, at most once a second.
        """
        return self._credentials.stale

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._target!r}, evaluator={self._evaluator!r})"

    @abstractmethod
    def _close_connection(self, connection: Connection) -> None:
        """Closes the connection of an address that the target no longer has."""

    def _score_call(
        self,
        interaction: Interaction,
        *,
        evaluator: str | None,
        version: int,
        request_id: str,
        explain: bool,
        attributes: Mapping[str, str] | None,
        timeout: float | None,
        on_failure: OnFailure | None,
    ) -> ScoreCall:
        options = self._options(timeout, on_failure)
        request = self._request(
            interaction,
            evaluator=evaluator,
            version=version,
            explain=explain,
            attributes=attributes,
            request_id=request_id,
        )
        return ScoreCall(options, request)

    def _batch_call(
        self,
        interactions: Iterable[Interaction],
        *,
        evaluator: str | None,
        version: int,
        explain: bool,
        attributes: Mapping[str, str] | None,
        timeout: float | None,
        on_failure: OnFailure | None,
    ) -> BatchCall:
        options = self._options(timeout, on_failure)
        requests: list[pb.ScoreRequest | InvalidRequestError] = []
        for interaction in interactions:
            try:
                request = self._request(
                    interaction,
                    evaluator=evaluator,
                    version=version,
                    explain=explain,
                    attributes=attributes,
                )
            except InvalidRequestError as error:
                requests.append(error.with_traceback(None))
            else:
                requests.append(request)
        return BatchCall(options, requests)

    def _feedback_call(
        self,
        request_id: str,
        *,
        good: bool,
        source: str,
        note: str,
        evaluator: str | None,
        timeout: float | None,
    ) -> FeedbackCall:
        request = to_feedback(
            request_id,
            evaluator=self._evaluator if evaluator is None else evaluator,
            good=good,
            source=source,
            note=note,
        )
        return FeedbackCall(self._options(timeout, "raise"), request)

    def _evaluators_call(self, timeout: float | None) -> EvaluatorsCall:
        return EvaluatorsCall(self._options(timeout, "raise"))

    def _options(self, timeout: float | None, on_failure: OnFailure | None) -> CallOptions:
        return CallOptions(
            target=self._target,
            timeout=self._timeout if timeout is None else _checked_timeout(timeout),
            on_failure=(
                self._on_failure if on_failure is None else _checked_on_failure(on_failure)
            ),
            observer=self._observer,
            secure=self._credentials.current is not None,
        )

    def _request(
        self,
        interaction: Interaction,
        *,
        evaluator: str | None,
        version: int,
        explain: bool,
        attributes: Mapping[str, str] | None,
        request_id: str = "",
    ) -> pb.ScoreRequest:
        return to_request(
            interaction,
            evaluator=self._evaluator if evaluator is None else evaluator,
            version=version,
            # Made here, not by the server, so that a request that never got there has one too.
            request_id=request_id or uuid.uuid4().hex,
            explain=explain,
            attributes=attributes,
        )

    def _address_changed(self, address: str, restored: bool) -> None:
        if not restored:
            self._addresses.refresh(failing=True)
        kind = EventKind.RESTORED if restored else EventKind.EJECTED
        self._observer.emit(ClientEvent(kind, address=readable(address)))


def _checked_timeout(timeout: float) -> float:
    if not 0 < timeout <= LONGEST_TIMEOUT:
        raise ValueError(
            f"timeout must be a positive number of seconds, a day at most, not {timeout!r}"
        )
    return timeout


def _checked_keepalive(keepalive: float) -> float:
    if not SHORTEST_KEEPALIVE <= keepalive <= LONGEST_TIMEOUT:
        raise ValueError(
            f"keepalive must be from {SHORTEST_KEEPALIVE:g} seconds, which servers allow, "
            f"to a day, not {keepalive!r}"
        )
    return keepalive


def _checked_on_failure(on_failure: OnFailure) -> OnFailure:
    if on_failure not in get_args(OnFailure):
        raise ValueError(f"on_failure must be 'raise', 'open' or 'closed', not {on_failure!r}")
    return on_failure
