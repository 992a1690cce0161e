"""Signing in and out, and the person's name."""

from __future__ import annotations

import hmac
import math
from urllib.parse import quote

from starlette.responses import Response

from tipstaff_trainer.desk import sessions
from tipstaff_trainer.desk.context import RequestContext, local_address
from tipstaff_trainer.desk.routing import Routes

routes = Routes()


@routes.get("/", public=True)
def start(ctx: RequestContext) -> Response:
    """Redirects to the data sets; a token in the address signs in."""
    if ctx.desk.settings.token and "token" in ctx.request.query_params:
        return _check_token(ctx, "/datasets")
    return ctx.redirect("/datasets")


@routes.post("/sign-in", public=True)
def sign_in(ctx: RequestContext) -> Response:
    """Signs in with the token, and redirects to the page that was asked for."""
    return _check_token(ctx, _local(ctx.text("to")))


@routes.get("/name")
def ask_name(ctx: RequestContext) -> Response:
    """The form to give a name, and to sign out."""
    return ctx.page("who.html", back=_local(ctx.text("back")))


@routes.post("/name")
def set_name(ctx: RequestContext) -> Response:
    """Sets the person's name, which labels are recorded under."""
    name = " ".join(ctx.text("name").split())
    to = _local(ctx.text("back"))
    if not name:
        return ctx.redirect(to, "Enter your name: labels are recorded under it.", "bad")
    sessions.set_name(ctx.session, name)
    return ctx.redirect(to)


@routes.post("/sign-out")
def sign_out(ctx: RequestContext) -> Response:
    """Clears the session."""
    ctx.session.clear()
    return ctx.redirect("/")


def _check_token(ctx: RequestContext, to: str) -> Response:
    address = ctx.request.client.host if ctx.request.client else ""
    if wait := ctx.desk.attempts.take(address):
        seconds = math.ceil(wait)
        refusal = _refusal(ctx, to, 429, f"Too many attempts: try again in {seconds} s.")
        refusal.headers["retry-after"] = str(seconds)
        return refusal
    if not hmac.compare_digest(ctx.text("token").encode(), ctx.desk.settings.token.encode()):
        return _refusal(ctx, to, 401, "That is not the token.")
    ctx.desk.attempts.succeeded(address)
    sessions.sign_in(ctx.session, ctx.text("name") or ctx.who)
    if kept := _kept_fields(ctx):
        # A form that was sent after the session had expired: shown again, to be sent again.
        return ctx.page("send_again.html", to=to, kept=kept)
    return ctx.redirect(to)


def _refusal(ctx: RequestContext, to: str, status: int, error: str) -> Response:
    return ctx.page("sign_in.html", status=status, error=error, to=to, kept=_kept_fields(ctx))


def _kept_fields(ctx: RequestContext) -> list[tuple[str, str]]:
    """The fields of the form that was sent before signing in."""
    return [
        (name.removeprefix("kept-"), value)
        for name in dict.fromkeys(ctx.form)
        if name.startswith("kept-")
        for value in ctx.texts(name)
    ]


def _local(to: str) -> str:
    return quote(local_address(to, "/datasets"), safe="/?=&%+-_.~")
