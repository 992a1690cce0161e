"""The playground: scores from the running server."""

from __future__ import annotations

import time

from starlette.responses import PlainTextResponse, Response

from tipstaff.errors import TipstaffError
from tipstaff.types import FIELDS, Interaction, Score
from tipstaff_trainer.desk.context import RequestContext
from tipstaff_trainer.desk.routing import Routes
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.rows import to_interaction

routes = Routes()


@routes.get("/playground")
def show(
    ctx: RequestContext,
    error: TipstaffError | str = "",
    *,
    result: Score | None = None,
    took: float = 0.0,
) -> Response:
    """The form, empty or filled with what was sent or with a row's texts; and a score."""
    texts: dict[str, str] = {name: ctx.text(name) for name in FIELDS}
    if (number := ctx.integer("row_id", None)) is not None:
        interaction = to_interaction(ctx.stores.datasets.text(number))
        texts = {name: interaction.get(name) or "" for name in FIELDS}
    server = ctx.stores.server
    return ctx.page(
        "playground.html",
        texts=texts,
        result=result,
        took=took,
        served=server.serves(),
        own=server.own,
        address=server.address(),
        server=server.job() if server.own else None,
        online=any(each.serving for each in ctx.workspace.list_evaluators()),
        evaluator=ctx.text("evaluator"),
        explain=ctx.text("explain") == "yes",
        error=error,
    )


@routes.post("/playground", again=show)
def score(ctx: RequestContext) -> Response:
    """Scores the form's texts."""
    interaction = Interaction(**{name: ctx.text(name) or None for name in FIELDS})
    if interaction == Interaction():
        raise WorkspaceError("Fill in at least one of the fields")
    explain = ctx.text("explain") == "yes"
    started = time.perf_counter()
    result = ctx.stores.server.score(ctx.text("evaluator"), interaction, explain=explain)
    return show(ctx, result=result, took=time.perf_counter() - started)


@routes.get("/playground/ready")
def ready(ctx: RequestContext) -> Response:
    """Whether the server has loaded an evaluator, for the page that waits for it."""
    return PlainTextResponse("yes" if ctx.stores.server.serves() else "no")


@routes.post("/playground/server")
def serve(ctx: RequestContext) -> Response:
    """Starts or stops the workspace's own server."""
    if ctx.text("action") == "stop":
        ctx.stores.server.stop()
        return ctx.redirect("/playground", "The server has stopped.", "note")
    ctx.stores.server.start(who=ctx.who)
    return ctx.redirect("/playground", "The server is starting. This takes a few seconds.", "note")
