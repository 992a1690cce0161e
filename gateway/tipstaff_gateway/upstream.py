"""The Tipstaff server behind the gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from tipstaff import TLS, AsyncClient
from tipstaff.access_files import read_private
from tipstaff.calls import read_item
from tipstaff.convert import to_evaluator_info, to_score
from tipstaff.errors import AccessFileError
from tipstaff.statuses import to_error
from tipstaff.types import EvaluatorInfo, Interaction, Score
from tipstaff.v1 import scoring_pb2 as pb
from tipstaff_gateway.context import RequestContext
from tipstaff_gateway.problems import ProblemError, invalid, setting_of
from tipstaff_gateway.settings import Settings

_READY_SECONDS = 1.0
_READY_CHECKS = 3


def connect(settings: Settings, target: str) -> AsyncClient:
    """The client of the server, which follows its TLS files and its token's file itself.

    Args:
        settings: Name the files.
        target: The server's address.

    Raises:
        UsageError: A file can't be used.
    """
    tls = None
    if settings.secures_target:
        tls = TLS(
            settings.target_ca,
            settings.target_certificate,
            settings.target_key,
            settings.target_server_name,
        )
    for name in ("target_key", "target_token"):
        if (path := getattr(settings, name)) is not None:
            read_private(path, name)
    try:
        return AsyncClient(target, timeout=settings.timeout, tls=tls, token=settings.target_token)
    except AccessFileError as error:
        raise AccessFileError(error.message, field=f"target_{error.field}") from None


class Upstream:
    """Sends requests to the server, with the deadline and the caller of each.

    Args:
        client: The client.
        evaluator: The evaluator where a request names none; may be empty.
    """

    def __init__(self, client: AsyncClient, evaluator: str = "") -> None:
        self._client = client
        self._evaluator = evaluator
        self._not_ready = ""
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    @property
    def tls_stale(self) -> bool:
        """Whether the TLS files for the server have changed to ones that can't be used."""
        return self._client.tls_stale

    async def send(self, method: str, message: Any, ctx: RequestContext) -> Any:
        """Sends a message as it is and returns the reply as it is.

        Raises:
            ScoringError: There is no reply.
            ProblemError: The deadline has passed.
        """
        return await self._client.forward(
            method, message, timeout=ctx.remaining(), metadata=ctx.metadata
        )

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def score(
        self,
        interactions: Sequence[Interaction],
        ctx: RequestContext,
        *,
        evaluator: str = "",
        version: int = 0,
    ) -> list[Score]:
        """Scores interactions in one call.

        Raises:
            ScoringError: One of them has no score.
            ProblemError: A text is not Unicode, or the deadline has passed.
        """
        name = evaluator or self._evaluator
        requests = [_to_request(each, name, version) for each in interactions]
        if len(requests) == 1:
            return [to_score(await self.send("Score", requests[0], ctx))]
        reply = await self.send("ScoreBatch", pb.ScoreBatchRequest(requests=requests), ctx)
        return [self._scored(item, ctx) for item in reply.items]

    async def evaluators(self, ctx: RequestContext) -> list[EvaluatorInfo]:
        """Lists what the server offers.

        Raises:
            ScoringError: There is no reply.
        """
        reply = await self.send("ListEvaluators", pb.ListEvaluatorsRequest(), ctx)
        return [to_evaluator_info(each) for each in reply.evaluators]

    async def is_ready(self) -> bool:
        """Whether a server may get calls, by its health; asked once a second at most."""
        return not await self.why_not_ready()

    async def why_not_ready(self) -> str:
        """Why no server may get calls, in one line that names its address; empty if one may."""
        # Who comes while the server is asked waits for that answer.
        async with self._asking:
            if time.monotonic() - self._asked_at >= _READY_SECONDS:
                # Each check asks the next address: one server of several may be restarting.
                checks = [self._client.why_not_serving() for _ in range(_READY_CHECKS)]
                reasons = await asyncio.gather(*checks)
                failures = [each for each in reasons if each is not None]
                ready = len(failures) < len(reasons)
                self._not_ready = "" if ready else failures[0].describe(setting_of)
                self._asked_at = time.monotonic()
        return self._not_ready

    def _scored(self, item: pb.ScoreBatchItem, ctx: RequestContext) -> Score:
        result = read_item(item)
        if isinstance(result, Score):
            return result
        raise to_error(
            result,
            target=self._client.target,
            timeout=ctx.timeout,
            request_id="",
        )


def _to_request(interaction: Interaction, evaluator: str, version: int) -> pb.ScoreRequest:
    try:
        return pb.ScoreRequest(
            evaluator=evaluator,
            version=version,
            input=interaction.input,
            output=interaction.output,
            ground_truth=interaction.ground_truth,
        )
    except UnicodeEncodeError:
        raise invalid("a text is not valid Unicode") from None
    except ValueError:
        raise ProblemError(404, f"version {version} is out of range", code="NOT_FOUND") from None
