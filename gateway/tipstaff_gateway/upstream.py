"""The Tipstaff server behind the gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tipstaff import AsyncClient
from tipstaff.convert import to_evaluator_info, to_score
from tipstaff.statuses import Status, to_error
from tipstaff.types import EvaluatorInfo, Interaction, Score
from tipstaff.v1 import scoring_pb2 as pb
from tipstaff_gateway.context import RequestContext
from tipstaff_gateway.problems import ProblemError, invalid

_READY_SECONDS = 1.0
_READY_CHECKS = 3
_IDLE_LOOK_SECONDS = 0.1


@dataclass(slots=True, eq=False)
class _Connected:
    """A client, and its calls under way."""

    client: AsyncClient
    calls: int = 0


class Upstream:
    """Sends requests to the server, with the deadline and the caller of each.

    Args:
        client: The client.
        evaluator: The evaluator where a request names none; may be empty.
    """

    def __init__(self, client: AsyncClient, evaluator: str = "") -> None:
        self._connected = _Connected(client)
        self._retiring: set[asyncio.Task[None]] = set()
        self._evaluator = evaluator
        self._ready = False
        self._asked_at = float("-inf")

    async def send(self, method: str, message: Any, ctx: RequestContext) -> Any:
        """Sends a message as it is and returns the reply as it is.

        Raises:
            ScoringError: There is no reply.
            ProblemError: The deadline has passed.
        """
        connected = self._connected
        connected.calls += 1
        try:
            return await connected.client.forward(
                method, message, timeout=ctx.remaining(), metadata=ctx.metadata
            )
        finally:
            connected.calls -= 1

    def use(self, client: AsyncClient) -> None:
        """Sends later calls by another client; the one from before closes after its last call."""
        before, self._connected = self._connected, _Connected(client)
        task = asyncio.get_running_loop().create_task(_retire(before))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def aclose(self) -> None:
        """Closes the connections."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await self._connected.client.aclose()

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
        now = time.monotonic()
        if now - self._asked_at >= _READY_SECONDS:
            self._asked_at = now
            # Each asks the next address: of several servers, one that restarts is no reason.
            checks = [self._connected.client.is_serving() for _ in range(_READY_CHECKS)]
            self._ready = any(await asyncio.gather(*checks))
        return self._ready

    def _scored(self, item: pb.ScoreBatchItem, ctx: RequestContext) -> Score:
        if item.WhichOneof("result") == "response":
            return to_score(item.response)
        raise to_error(
            Status.of_item(item.error),
            target=self._connected.client.target,
            timeout=ctx.timeout,
            request_id="",
        )


async def _retire(connected: _Connected) -> None:
    try:
        while connected.calls:
            await asyncio.sleep(_IDLE_LOOK_SECONDS)
    finally:
        await connected.client.aclose()


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
