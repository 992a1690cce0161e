"""An OpenAI-compatible endpoint over HTTP, with all that can go wrong on the way.

aiohttp rather than the openai SDK: the SDK retries each call on its own, while here one pace, one
breaker and one budget hold for all calls of a job. And rather than httpx, whose pool took eighteen
times the processor time a call at 32 connections.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from types import TracebackType
from typing import Any, TypeVar

import aiohttp

from tipstaff_trainer.errors import JudgeError
from tipstaff_trainer.judge.pace import Pace, backoff
from tipstaff_trainer.judge.settings import CHAT_PATH, JudgeSettings
from tipstaff_trainer.judge.wire import Dialect, FaultyReplyError, error_of

Found = TypeVar("Found")
Request = AbstractAsyncContextManager[aiohttp.ClientResponse]

_TIMES_A_CALL_IS_TRIED = 6
# Refused calls in a row, with none answered, after which it isn't the rows.
_REFUSALS_TO_STOP = 10
_UNPAID = ("insufficient_quota", "billing_hard_limit_reached")


class RefusedError(Exception):
    """The endpoint won't do this, whatever it does with other calls.

    Attributes:
        param: The parameter that it names as the reason, if it does.
        advice: What to do if it is not for what was asked; empty where nothing is known.
    """

    def __init__(self, message: str, param: str | None = None, advice: str = "") -> None:
        super().__init__(message)
        self.param = param
        self.advice = advice


class UnsureError(Exception):
    """A call failed in a way that doesn't say whether the endpoint did what was asked."""


class Endpoint:
    """Calls to one endpoint, at one pace; a context manager.

    Args:
        settings: Where it is, and how long to wait for it.
        stop: Once set, no call begins any more, and nobody waits for one to.
        tell: Told when it seems to be down, as then nothing else is heard for a while, and when it
            wants calls to come more slowly.

    Attributes:
        dialect: What the endpoint turned out not to take.
    """

    def __init__(
        self,
        settings: JudgeSettings,
        stop: Event,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.dialect = Dialect()
        self._tell = tell
        self._told = False
        self._told_slowed = False
        self._settings = settings
        self._url = settings.base_url
        self._pace = Pace(settings.requests_per_minute, settings.patience, stop)
        self._answered = False
        self._refused = 0
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Endpoint:
        key = self._settings.api_key
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key.get_secret_value()}"} if key else {},
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
            connector=aiohttp.TCPConnector(limit=self._settings.concurrency),
            # Proxies from the environment, as other tools do.
            trust_env=True,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._session is not None
        await self._session.close()

    def request(self, method: str, path: str, **content: Any) -> Request:
        """A request that has yet to be made; `content` as aiohttp takes it."""
        assert self._session is not None
        # A POST that is redirected would become a GET.
        return self._session.request(method, self._url + path, allow_redirects=False, **content)

    async def call(
        self,
        what: str,
        send: Callable[[], Request],
        read: Callable[[Any], Found],
        *,
        again: bool = True,
    ) -> Found:
        """Makes a call when it is its turn, and again while that may help.

        Args:
            what: The same for all attempts at one thing, another for any other.
            send: Makes the call.
            read: Takes the reply's JSON.
            again: Whether it may be made again; a call that makes something might make two.

        Raises:
            RefusedError: The endpoint won't, or failed at it time and again.
            UnsureError: It failed, and may not be made again.
            JudgeError: It won't do anything, or is down.
            StoppedError: The job was stopped before an attempt.
        """
        attempt = 0
        while True:
            probing = await self._pace.turn()
            try:
                async with send() as response:
                    values = self._values(response, await response.read())
                    self._check(response, values)
                found = read(values)
            except asyncio.CancelledError:
                self._pace.left(probing)
                raise
            except (aiohttp.ClientError, OSError, TimeoutError, FaultyReplyError) as error:
                if isinstance(error, aiohttp.ClientSSLError) and not self._answered:
                    # No waiting helps.
                    self._pace.left(probing)
                    raise JudgeError(
                        f"{self._url}: {error}; say http:// if it has no TLS, and name your own "
                        "certificate authority, if it has one, in SSL_CERT_FILE"
                    ) from None
                # While the endpoint is down it is not the row that fails.
                attempt += not self._pace.tripped
                why = str(error) or f"{type(error).__name__} after {self._settings.timeout:g} s"
                self._pace.failed(what, probing, why)
                self._say_if_down(why)
                if not again:
                    raise UnsureError(why) from None
                if attempt >= _TIMES_A_CALL_IS_TRIED:
                    raise RefusedError(f"failed {attempt} times: {why}") from None
                await self.rest(backoff(attempt))
                continue
            except _WaitError as wait:
                self._pace.left(probing)
                self._pace.pause(wait.seconds, wait.why)
                self._say_if_slowed(wait.why)
                continue
            except BaseException:
                self._pace.answered(probing)
                raise
            self._pace.answered(probing)
            self._answered = True
            self._told = False
            return found

    async def rest(self, seconds: float) -> None:
        """Sleeps.

        Raises:
            StoppedError: The job was stopped meanwhile.
        """
        await self._pace.rest(seconds)

    def refused(self, error: RefusedError) -> None:
        """Notes that a refusal was not for a parameter that can be done without.

        Raises:
            JudgeError: It has refused everything so far, so it isn't for what was asked.
        """
        if error.advice and not self._answered:
            raise JudgeError(f"{self._url}: {error}{error.advice}")
        self._refused += 1
        if self._refused >= _REFUSALS_TO_STOP and not self._answered:
            raise JudgeError(
                f"the endpoint refused all of the first {self._refused} calls, the last with "
                f"{error}"
            )

    def _say_if_down(self, why: str) -> None:
        if self._pace.tripped and not self._told:
            self._told = True
            self._tell(
                f"the endpoint doesn't answer ({why[:200]}); it is tried for "
                f"{self._settings.patience:,.0f} s more"
            )

    def _say_if_slowed(self, why: str) -> None:
        if self._pace.slowed and not self._told_slowed:
            self._told_slowed = True
            self._tell(
                f"the endpoint asks to wait ({why[:200]}): calls are made as fast as it takes them"
            )

    def _check(self, response: aiohttp.ClientResponse, values: object) -> None:
        status = response.status
        if status == 200:
            return
        message, param, code = error_of(values)
        said = f"HTTP {status}: {message[:300].rstrip('.')}"
        advice = _advice(status, response.url.path)
        if status in (401, 402, 404, 405) or code in _UNPAID:
            raise JudgeError(f"{response.url}: {said}{advice}")
        if status == 429 or (status == 503 and "retry-after" in response.headers):
            raise _WaitError(_retry_after(response), said)
        if 300 <= status < 400:
            to = response.headers.get("location", "nowhere")
            raise JudgeError(f"{response.url}: {said}: it sends on to {to[:200]}; check --base-url")
        if status in (408, 409, 425) or status >= 500:
            raise FaultyReplyError(said)
        # 403, too, may be for a parameter (OpenAI's reasoning models and logprobs) or for a text
        # (moderation).
        raise RefusedError(said, param, advice)

    def _values(self, response: aiohttp.ClientResponse, content: bytes) -> Any:
        try:
            return json.loads(content)
        except ValueError:
            text = " ".join(content.decode("utf-8", "replace").split())[:300]
        if response.status != 200:
            return text
        if response.content_type == "text/html" and not self._answered:
            raise JudgeError(
                f"{response.url}: a web page came back ({text[:80]!r}): check --base-url, and any "
                "proxy on the way"
            )
        raise FaultyReplyError(f"the reply is not JSON: {text[:80]!r}")


class _WaitError(Exception):
    def __init__(self, seconds: float, why: str) -> None:
        self.seconds = seconds
        self.why = why


def _retry_after(response: aiohttp.ClientResponse) -> float:
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


def _advice(status: int, path: str) -> str:
    if status in (401, 403):
        return "; give the endpoint's key in the environment (see --api-key-env)"
    if status in (404, 405) and not path.endswith(CHAT_PATH):
        return "; it seems to take no batch files: ask without --batch"
    if status in (404, 405):
        return "; check --base-url, which usually ends with /v1, and --judge-model"
    return ""
