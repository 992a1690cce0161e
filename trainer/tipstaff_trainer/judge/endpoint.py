"""Calls to an OpenAI-compatible endpoint over HTTP, and what to do when they fail.

Why aiohttp: the openai SDK retries each call on its own, while here one pace, one circuit breaker
and one budget hold for all calls of a run; httpx's pool took eighteen times the processor time per
call at 32 connections.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

import aiohttp

from tipstaff.errors import UsageError
from tipstaff_trainer.errors import JudgeError
from tipstaff_trainer.judge.pace import Pace, backoff
from tipstaff_trainer.judge.settings import CHAT_PATH, JudgeSettings, read_variables
from tipstaff_trainer.judge.wire import Dialect, FaultyReplyError, error_of
from tipstaff_trainer.progress import Reporter

Result = TypeVar("Result")
PendingResponse = AbstractAsyncContextManager[aiohttp.ClientResponse]

_ATTEMPTS = 6
# Shorter texts are no keys, and may be in any reply.
_SHORTEST_SECRET = 8
# After so many refusals and no answer the cause is the endpoint, not the rows.
_REFUSALS_TO_STOP = 10
_DOWN = "the endpoint doesn't answer"
_SLOW = "the endpoint asks to wait"
_UNPAID = ("insufficient_quota", "billing_hard_limit_reached")


class RefusedError(Exception):
    """The endpoint refuses this call, but may answer others.

    Attributes:
        param: The parameter that it names as the reason, if any.
        remedy: What to do if the question isn't the reason; may be empty.
    """

    def __init__(self, message: str, param: str | None = None, remedy: str = "") -> None:
        super().__init__(message)
        self.param = param
        self.remedy = remedy


class UnsureError(Exception):
    """A call failed, and the endpoint may or may not have carried it out."""


class Endpoint:
    """Calls to one endpoint, at one pace; a context manager.

    Args:
        settings: The endpoint's address, and how long to wait for it.
        stop: Once set, no further call begins.
        api_key: Sent as a bearer token; empty for none.
        reporter: Takes a note when the endpoint seems to be down or asks for a slower pace, since
            no row gets done meanwhile.

    Attributes:
        settings: The judge's settings.
        dialect: The parameters that the endpoint turned out not to support.
    """

    def __init__(
        self, settings: JudgeSettings, stop: Event, *, api_key: str, reporter: Reporter
    ) -> None:
        self.settings = settings
        self.dialect = Dialect(reporter)
        self._reporter = reporter
        self._reported: set[str] = set()
        self._api_key = api_key
        self._secrets: tuple[str, ...] = ()
        self._query: dict[str, str] = {}
        self._pace = Pace(settings.requests_per_minute, settings.patience, stop)
        self._answered = False
        self._refused = 0
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Endpoint:
        bearer = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        further = read_variables(self.settings, "headers")
        headers = bearer | further
        secret_query = read_variables(self.settings, "secret_query")
        self._query = {**self.settings.query, **secret_query}
        self._secrets = tuple(
            written
            for value in (self._api_key, *further.values(), *secret_query.values())
            if len(value) >= _SHORTEST_SECRET
            # In an address it may be encoded in either way.
            for written in dict.fromkeys((value, quote(value), quote(value, ""), quote_plus(value)))
        )
        certificates = _certificates(self.settings)
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=self.settings.timeout),
            connector=aiohttp.TCPConnector(limit=self.settings.concurrency, ssl=certificates),
            # Proxies from the environment, as other tools do.
            trust_env=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    def request(self, method: str, path: str, **content: Any) -> PendingResponse:
        """A request that is sent when its context is entered; `content` as for aiohttp."""
        assert self._session is not None
        url = self.settings.base_url + path
        if self._query:
            content["params"] = {**self._query, **(content.get("params") or {})}
        if self.settings.proxy:
            content["proxy"] = self.settings.proxy
        # A POST that is redirected would become a GET.
        return self._session.request(method, url, allow_redirects=False, **content)

    async def call(
        self,
        subject: str,
        send: Callable[[], PendingResponse],
        parse: Callable[[Any], Result],
        *,
        retry: bool = True,
    ) -> Result:
        """Makes a call when its turn comes, and retries it while that may help.

        Args:
            subject: Names what the call is about; the same for all attempts.
            send: Makes the request.
            parse: Turns the reply's JSON into the result.
            retry: Whether to retry; a call that creates something might create two.

        Raises:
            RefusedError: The endpoint refuses the call, or failed in every attempt.
            UnsureError: The call failed and must not be retried.
            JudgeError: The endpoint refuses all calls, or is down.
            StoppedError: The run was stopped before an attempt.
        """
        attempt = 0
        while True:
            probing = await self._pace.turn()
            try:
                async with send() as response:
                    values = self._values(response, await response.read())
                    self._check(response, values)
                result = parse(values)
            except asyncio.CancelledError:
                self._pace.release(probing)
                raise
            except (aiohttp.ClientError, OSError, FaultyReplyError) as error:
                if isinstance(error, aiohttp.ClientSSLError) and not self._answered:
                    # Waiting doesn't help.
                    self._pace.release(probing)
                    raise JudgeError(
                        self._hidden(str(error)),
                        field="base_url",
                        value=self.settings.base_url,
                        remedy="use http:// if the endpoint has no TLS; if it has a certificate "
                        "authority of your own, name its file in {ca_file}",
                    ) from None
                # A row's attempts are not used up while the endpoint is down.
                attempt += not self._pace.tripped
                why = self._hidden(
                    str(error) or f"{type(error).__name__} after {self.settings.timeout:g} s"
                )
                self._pace.failed(subject, probing, why)
                if self._pace.tripped:
                    self._report_once(
                        _DOWN, f"({why[:200]}); trying for {self.settings.patience:,.0f} s more"
                    )
                if not retry:
                    raise UnsureError(why) from None
                if attempt >= _ATTEMPTS:
                    raise RefusedError(f"failed {attempt} times: {why}") from None
                await self.rest(backoff(attempt))
                continue
            except _WaitError as wait:
                self._pace.release(probing)
                self._pace.pause(wait.seconds, wait.why)
                if self._pace.slowed:
                    self._report_once(_SLOW, f"({wait.why[:200]}): the pace follows its limit now")
                continue
            except BaseException:
                self._pace.answered(probing)
                raise
            self._pace.answered(probing)
            self._answered = True
            self._reported.discard(_DOWN)
            return result

    async def rest(self, seconds: float) -> None:
        """Sleeps.

        Raises:
            StoppedError: The run was stopped meanwhile.
        """
        await self._pace.rest(seconds)

    def count_refusal(self, error: RefusedError) -> None:
        """Counts a refusal that no parameter explains.

        Raises:
            JudgeError: The endpoint has refused everything so far, so the question isn't the cause.
        """
        if error.remedy and not self._answered:
            raise JudgeError(f"{self.settings.base_url}: {error}", remedy=error.remedy)
        self._refused += 1
        if self._refused >= _REFUSALS_TO_STOP and not self._answered:
            raise JudgeError(
                f"the endpoint refused all of the first {self._refused} calls, the last with "
                f"{error}"
            )

    def _report_once(self, problem: str, details: str) -> None:
        if problem not in self._reported:
            self._reported.add(problem)
            self._reporter.note(f"{problem} {details}")

    def _check(self, response: aiohttp.ClientResponse, values: object) -> None:
        """Raises the error that a response's status stands for, if any."""
        status = response.status
        if status == 200:
            return
        message, param, code = error_of(values)
        why = f"HTTP {status}: {message[:300].rstrip('.')}"
        remedy = _remedy(status, response.url.path)
        if status in (401, 402, 404, 405) or code in _UNPAID:
            raise JudgeError(f"{_address(response)}: {why}", remedy=remedy)
        if status == 429 or (status == 503 and "retry-after" in response.headers):
            raise _WaitError(_retry_after(response), why)
        if 300 <= status < 400:
            location = self._hidden(response.headers.get("location", "nowhere"))[:200]
            raise JudgeError(
                f"{_address(response)}: {why}: a redirect to {location}", remedy="check {base_url}"
            )
        if status in (408, 409, 425) or status >= 500:
            raise FaultyReplyError(why)
        # A 403 may be about a parameter (OpenAI's reasoning models and logprobs) or a text
        # (moderation).
        raise RefusedError(why, param, remedy)

    def _hidden(self, text: str) -> str:
        """A text without the secrets that were sent: it is stored and shown."""
        for secret in self._secrets:
            text = text.replace(secret, "[hidden]")
        return text

    def _values(self, response: aiohttp.ClientResponse, content: bytes) -> Any:
        """A response's JSON; its text if it is an error without JSON."""
        # Some endpoints quote what they were sent.
        for secret in self._secrets:
            content = content.replace(secret.encode(), b"[hidden]")
        try:
            return json.loads(content)
        except ValueError:
            text = " ".join(content.decode("utf-8", "replace").split())[:300]
        if response.status != 200:
            return text
        if response.content_type == "text/html" and not self._answered:
            raise JudgeError(
                f"{_address(response)}: a web page came back ({text[:80]!r})",
                remedy="check {base_url}, and any proxy on the way",
            )
        raise FaultyReplyError(f"the reply is not JSON: {text[:80]!r}")


class _WaitError(Exception):
    """The endpoint asks to wait before the next call."""

    def __init__(self, seconds: float, why: str) -> None:
        self.seconds = seconds
        self.why = why


def _address(response: aiohttp.ClientResponse) -> str:
    """The address without its query, which may hold a key."""
    return str(response.url.with_query(None))


def _certificates(settings: JudgeSettings) -> ssl.SSLContext | bool:
    """What the endpoint's certificate is checked against; True for what the system trusts.

    Raises:
        UsageError: The file holds no certificates.
    """
    if settings.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        raise UsageError(
            f"can't be read as certificates: {error.strerror or error}",
            field="ca_file",
            value=str(settings.ca_file),
        ) from None


def _retry_after(response: aiohttp.ClientResponse) -> float:
    """Seconds to wait, from the Retry-After header (RFC 9110, 10.2.3) or guessed."""
    text = response.headers.get("retry-after", "")
    with suppress(ValueError):
        return max(0.0, float(text))
    with suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    return 1 + backoff(1)


def _remedy(status: int, path: str) -> str:
    if status in (401, 403):
        return "put the endpoint's key into an environment variable, and name it in {key_variable}"
    if status in (404, 405) and not path.endswith(CHAT_PATH):
        return "the endpoint seems to take no batch files: leave out {batch}"
    if status in (404, 405):
        return "check {base_url}, which usually ends with /v1, and {model}"
    return ""
