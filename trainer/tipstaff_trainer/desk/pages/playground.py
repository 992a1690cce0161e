"""The playground: scores from the running server."""

from __future__ import annotations

import time
from typing import Any

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tipstaff.errors import TipstaffError
from tipstaff.types import FIELDS, Interaction
from tipstaff_trainer.desk.context import RequestContext
from tipstaff_trainer.desk.routing import get, post
from tipstaff_trainer.workspace.db.rows import to_interaction


def routes() -> list[Route]:
    """The routes for the playground."""
    return [
        get("/playground", show),
        post("/playground", score),
        get("/playground/ready", ready),
        post("/playground/server", serve),
    ]


def show(ctx: RequestContext) -> Response:
    """The form, empty or filled with a row's texts."""
    texts: dict[str, str] = dict.fromkeys(FIELDS, "")
    number = ctx.integer("row_id")
    if number is not None:
        interaction = to_interaction(ctx.workspace.datasets.text(number))
        texts = {name: interaction.get(name) or "" for name in FIELDS}
    return _page(ctx, texts)


def score(ctx: RequestContext) -> Response:
    """Scores the form's texts."""
    texts: dict[str, str] = {name: ctx.text(name) for name in FIELDS}
    interaction = Interaction(**{name: text or None for name, text in texts.items()})
    if not any(texts.values()):
        return _page(ctx, texts, error="Fill in at least one of the fields.")
    explain = ctx.text("explain") == "yes"
    started = time.perf_counter()
    try:
        result = ctx.workspace.server.score(ctx.text("evaluator"), interaction, explain=explain)
    except TipstaffError as error:
        return _page(ctx, texts, error=str(error))
    return _page(ctx, texts, result=result, took=time.perf_counter() - started)


def ready(ctx: RequestContext) -> Response:
    """Whether the server has loaded an evaluator, for the page that waits for it."""
    return PlainTextResponse("yes" if ctx.workspace.server.serves() else "no")


def serve(ctx: RequestContext) -> Response:
    """Starts or stops the workspace's own server."""
    if ctx.text("action") == "stop":
        ctx.workspace.server.stop()
        return ctx.redirect("/playground", "The server has stopped.", "note")
    ctx.workspace.server.start(who=ctx.who)
    return ctx.redirect("/playground", "The server is starting. This takes a few seconds.", "note")


def _page(
    ctx: RequestContext,
    texts: dict[str, str],
    *,
    error: str = "",
    result: Any = None,
    took: float = 0.0,
) -> Response:
    server = ctx.workspace.server
    online = {each.name: each for each in ctx.workspace.list_evaluators() if each.serving}
    return ctx.page(
        "playground.html",
        status=400 if error else 200,
        texts=texts,
        result=result,
        took=took,
        served=server.serves(),
        own=server.own,
        address=server.address(),
        server=server.job() if server.own else None,
        online=online,
        evaluator=ctx.text("evaluator"),
        explain=ctx.text("explain") == "yes",
        error=error,
    )
