"""The playground: a score from the running server."""

from __future__ import annotations

import time
from typing import Any

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tipstaff.errors import TipstaffError
from tipstaff.types import FIELDS, Interaction
from tipstaff_trainer.desk.context import Asked
from tipstaff_trainer.desk.routing import get, post
from tipstaff_trainer.workspace.db.rows import interaction_of


def routes() -> list[Route]:
    """The addresses of the playground."""
    return [
        get("/playground", show),
        post("/playground", score),
        get("/playground/ready", ready),
        post("/playground/server", serve),
    ]


def show(asked: Asked) -> Response:
    """Three texts to fill, or a row to take them from."""
    texts: dict[str, str] = dict.fromkeys(FIELDS, "")
    number = asked.whole("row_id")
    if number is not None:
        interaction = interaction_of(asked.workspace.datasets.text(number))
        texts = {name: interaction.get(name) or "" for name in FIELDS}
    return _page(asked, texts)


def score(asked: Asked) -> Response:
    """Asks the server."""
    texts: dict[str, str] = {name: asked.text(name) for name in FIELDS}
    given = Interaction(**{name: text or None for name, text in texts.items()})
    if not any(texts.values()):
        return _page(asked, texts, error="Write something into at least one of the fields.")
    explain = asked.text("explain") == "yes"
    started = time.perf_counter()
    try:
        result = asked.workspace.server.score(asked.text("evaluator"), given, explain=explain)
    except TipstaffError as error:
        return _page(asked, texts, error=str(error))
    return _page(asked, texts, result=result, took=time.perf_counter() - started)


def ready(asked: Asked) -> Response:
    """Whether the server serves something, for a page that waits for it."""
    return PlainTextResponse("yes" if asked.workspace.server.serves() else "no")


def serve(asked: Asked) -> Response:
    """Starts or stops the workspace's own server."""
    if asked.text("action") == "stop":
        asked.workspace.server.stop()
        return asked.go("/playground", "The server is stopped.", "note")
    asked.workspace.server.start(who=asked.who)
    return asked.go("/playground", "The server is starting; that takes a few seconds.", "note")


def _page(
    asked: Asked, texts: dict[str, str], *, error: str = "", result: Any = None, took: float = 0.0
) -> Response:
    serving = asked.workspace.server
    online = {each.name: each for each in asked.workspace.list_evaluators() if each.serving}
    return asked.page(
        "playground.html",
        status=400 if error else 200,
        texts=texts,
        result=result,
        took=took,
        served=serving.serves(),
        own=serving.own,
        address=serving.address(),
        server=serving.job() if serving.own else None,
        online=online,
        chosen=asked.text("evaluator"),
        explain=asked.text("explain") == "yes",
        error=error,
    )
