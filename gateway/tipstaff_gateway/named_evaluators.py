"""Checks at the start that the server has the evaluators that the gateway's settings name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from tipstaff import AsyncClient
from tipstaff.errors import NoAnswerError, TipstaffError, describe
from tipstaff_gateway.mapping import ProtocolMapping
from tipstaff_gateway.problems import setting_of
from tipstaff_gateway.settings import Settings
from tipstaff_gateway.upstream import connect

log = logging.getLogger("tipstaff_gateway")

_CALL_SECONDS = 5.0
# A server may come long after its gateway.
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0


async def check_named(
    settings: Settings, mappings: Mapping[str, ProtocolMapping], target: str
) -> None:
    """Warns of evaluators that the settings name and the server doesn't list.

    Waits until a server is ready. A warning and no error: an evaluator may be promoted later, and a
    server lists only what the gateway's own token may ask, where callers may have others.

    Args:
        settings: May name an evaluator.
        mappings: The mapping of each protocol, which may name another.
        target: The server's address.
    """
    places = {f"evaluator of [{name}]": each.evaluator for name, each in mappings.items()}
    places["evaluator"] = settings.evaluator
    named = {place: name for place, name in places.items() if name}
    if not named:
        return
    try:
        # A client of its own: looking for a server must not use up the retries of requests.
        async with connect(settings, target) as client:
            listed = await _listed(client)
    except TipstaffError as error:
        why = error.describe(setting_of)
        log.info("whether the server has %s was not checked: %s", " and ".join(named), why)
        return
    for place, name in named.items():
        if name not in listed:
            message = f"the server at {target} lists no such evaluator"
            remedy = f"it lists {', '.join(listed) or 'none'}"
            log.warning("%s", describe(message, field=place, value=name, remedy=remedy))


async def _listed(client: AsyncClient) -> list[str]:
    """Names of what the server offers, once it is ready.

    Raises:
        ScoringError: The server doesn't say.
    """
    pause = _FIRST_PAUSE
    while True:
        if await client.is_serving():
            try:
                return [each.name for each in await client.evaluators(timeout=_CALL_SECONDS)]
            except NoAnswerError:
                pass  # it may have stopped meanwhile
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
