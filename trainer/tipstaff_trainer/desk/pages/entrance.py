"""The way in: the start, who one is, the token, and leaving."""

from __future__ import annotations

import hmac
import math
from dataclasses import replace
from urllib.parse import quote

from starlette.responses import Response
from starlette.routing import Route

from tipstaff_trainer.desk.context import Asked, inside
from tipstaff_trainer.desk.routing import get, post, with_session
from tipstaff_trainer.desk.sessions import new_session


def routes() -> list[Route]:
    """The entrance's addresses."""
    return [
        get("/", start, open_to_all=True),
        post("/sign-in", sign_in, open_to_all=True),
        get("/name", ask_name),
        post("/name", set_name),
        post("/sign-out", sign_out),
    ]


def start(asked: Asked) -> Response:
    """Data sets are what everything begins with; a token in the address signs in."""
    if asked.desk.settings.token and "token" in asked.request.query_params:
        return _signed_in(asked, "/datasets")
    return asked.go("/datasets")


def sign_in(asked: Asked) -> Response:
    """Takes the token, and goes on to where somebody wanted to be."""
    return _signed_in(asked, _inside(asked.text("to")))


def ask_name(asked: Asked) -> Response:
    """Who sits there, to be changed; and the way out."""
    return asked.page("who.html", back=_inside(asked.text("back")))


def set_name(asked: Asked) -> Response:
    """Remembers who sits there: labels say who gave them."""
    name = " ".join(asked.text("name").split())[:80]
    to = _inside(asked.text("back"))
    if not name:
        return asked.go(to, "A name is needed: labels say who gave them.", "bad")
    return with_session(asked, asked.go(to), replace(asked.session, name=name))


def sign_out(asked: Asked) -> Response:
    """Forgets the session."""
    return with_session(asked, asked.go("/"), new_session(60))


def _signed_in(asked: Asked, to: str) -> Response:
    settings = asked.desk.settings
    address = asked.request.client.host if asked.request.client else ""
    if wait := asked.desk.attempts.take(address):
        seconds = math.ceil(wait)
        refused = _refused(
            asked, to, 429, f"That was tried too often from here: try again in {seconds} s."
        )
        refused.headers["retry-after"] = str(seconds)
        return refused
    if not hmac.compare_digest(asked.text("token").encode(), settings.token.encode()):
        return _refused(asked, to, 401, "That is not the token.")
    asked.desk.attempts.succeeded(address)
    session = new_session(
        settings.session_seconds, name=asked.text("name") or asked.who, signed_in=True
    )
    if kept := _kept(asked):
        # What was being sent when the session ended: shown once more, to be sent again.
        asked = replace(asked, session=session)
        return with_session(asked, asked.page("send_again.html", to=to, kept=kept), session)
    return with_session(asked, asked.go(to), session)


def _refused(asked: Asked, to: str, status: int, error: str) -> Response:
    return asked.page("sign_in.html", status=status, error=error, to=to, kept=_kept(asked))


def _kept(asked: Asked) -> list[tuple[str, str]]:
    return [
        (name.removeprefix("kept-"), value)
        for name in dict.fromkeys(asked.form)
        if name.startswith("kept-")
        for value in asked.texts(name)
    ]


def _inside(to: str) -> str:
    return quote(inside(to, "/datasets"), safe="/?=&%+-_.~")
