"""Asking one question at a time over HTTP, with all that can go wrong on the way.

httpx rather than the openai SDK: the SDK retries each call on its own, while here one pace, one
breaker and one budget hold for all calls of a job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any

import httpx

from tipstaff_trainer.errors import JudgeError
from tipstaff_trainer.judge.pace import Pace, backoff
from tipstaff_trainer.judge.question import Question
from tipstaff_trainer.judge.replies import Reply
from tipstaff_trainer.judge.settings import JudgeSettings
from tipstaff_trainer.judge.wire import (
    CHAT_PATH,
    Dialect,
    FaultyReplyError,
    error_of,
    parse_completion,
    request_body,
)

_TIMES_A_CALL_IS_TRIED = 6
# Refused calls in a row, with none answered, after which it isn't the rows.
_REFUSALS_TO_STOP = 10
_UNPAID = ("insufficient_quota", "billing_hard_limit_reached")


class RefusedError(Exception):
    """The endpoint won't reply to this question, whatever it does with others."""


class LiveJudge:
    """An OpenAI-compatible endpoint; a context manager.

    Attributes:
        dialect: What the endpoint turned out not to take.
    """

    def __init__(self, settings: JudgeSettings) -> None:
        self.dialect = Dialect()
        self._settings = settings
        self._pace = Pace(settings.requests_per_minute, settings.patience)
        self._answered = False
        self._refused = 0
        key = settings.api_key
        self.http = httpx.AsyncClient(
            base_url=settings.base_url.rstrip("/"),
            headers={"Authorization": f"Bearer {key.get_secret_value()}"} if key else {},
            timeout=settings.timeout,
            limits=httpx.Limits(
                max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency
            ),
        )

    async def __aenter__(self) -> LiveJudge:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.http.aclose()

    async def ask(self, question: Question, replies: int = 1) -> list[Reply]:
        """Gets replies to a question: at least one, and `replies` where one call can bring several.

        Raises:
            RefusedError: The endpoint won't reply to this question, or failed at it time and again.
            JudgeError: It won't reply to any, or is down.
        """
        attempt = 0
        while True:
            probing = await self._pace.turn()
            body = request_body(question, self._settings, self.dialect, replies)
            try:
                # httpx counts from byte to byte; a reply that trickles is late, too.
                async with asyncio.timeout(self._settings.timeout):
                    response = await self.http.post(CHAT_PATH, json=body)
                found = self._read(response, question, body)
            except asyncio.CancelledError:
                self._pace.left(probing)
                raise
            except (httpx.TransportError, TimeoutError, FaultyReplyError) as error:
                # While the endpoint is down it is not the row that fails.
                attempt += not self._pace.tripped
                why = str(error) or f"{type(error).__name__} after {self._settings.timeout:g} s"
                self._pace.failed(question.key, probing, why)
                if attempt >= _TIMES_A_CALL_IS_TRIED:
                    raise RefusedError(f"failed {attempt} times: {why}") from None
                await asyncio.sleep(backoff(attempt))
                continue
            except _WaitError as wait:
                self._pace.left(probing)
                self._pace.pause(wait.seconds, wait.why)
                continue
            except BaseException:
                self._pace.answered(probing)
                raise
            self._pace.answered(probing)
            if found is not None:
                return found

    def _read(
        self, response: httpx.Response, question: Question, sent: Container[str]
    ) -> list[Reply] | None:
        """The replies of a call; None where it was refused and is to be put otherwise."""
        status = response.status_code
        values = _json(response)
        if status == 200:
            found = parse_completion(values, question)
            if not found:
                raise FaultyReplyError("a chat completion without choices")
            self._answered = True
            return found
        message, param, code = error_of(values)
        said = f"HTTP {status}: {message[:300]}"
        if status in (401, 402, 403, 404, 405) or code in _UNPAID:
            raise JudgeError(f"{response.request.url}: {said}{_advice(status)}")
        if status == 429 or (status == 503 and "retry-after" in response.headers):
            raise _WaitError(_retry_after(response), said)
        if status in (408, 409, 425) or status >= 500 or 300 <= status < 400:
            raise FaultyReplyError(said)
        if self.dialect.learn(sent, message, param):
            return None
        self._refused += 1
        if self._refused >= _REFUSALS_TO_STOP and not self._answered:
            raise JudgeError(
                f"the endpoint refused all of the first {self._refused} calls, the last with {said}"
            )
        raise RefusedError(said)


class _WaitError(Exception):
    def __init__(self, seconds: float, why: str) -> None:
        self.seconds = seconds
        self.why = why


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        if response.status_code == 200:
            raise FaultyReplyError("the reply is not JSON") from None
        return " ".join(response.text.split())[:300]


def _retry_after(response: httpx.Response) -> float:
    """Seconds, from what the endpoint says (RFC 9110, 10.2.3; a date or seconds), else a guess."""
    text = response.headers.get("retry-after", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 1 + backoff(1)


def _advice(status: int) -> str:
    if status in (401, 403):
        return "; give the endpoint's key in the environment (see --api-key-env)"
    if status in (404, 405):
        return "; check --base-url, which usually ends with /v1, and --judge-model"
    return ""
