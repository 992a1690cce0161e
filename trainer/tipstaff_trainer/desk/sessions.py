"""Sessions: signed cookies, by Starlette's `SessionMiddleware`.

A session holds the person's `name`, whether they are `signed_in`, and a `notice` for the next page.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from starlette.middleware.sessions import SessionMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from tipstaff_trainer.errors import WorkspaceError

SECRET_FILE = "desk.secret"
# A session that is in use is signed anew after this share of its time.
_RENEWAL_SHARE = 0.05
_LONGEST_NAME = 80
# Browsers drop cookies of more than 4,096 bytes, and what is stored grows by a third in base64.
_LONGEST_NOTICE = 2000

Session = MutableMapping[str, Any]


class Sessions:
    """Middleware that gives each request its session, with `Secure` cookies over HTTPS.

    Args:
        app: The application.
        secret: The key that signs sessions; they stay valid when the desk restarts.
        seconds: How long a session lasts without a request.
    """

    def __init__(self, app: ASGIApp, *, secret: str, seconds: int) -> None:
        self._http, self._https = (
            SessionMiddleware(
                app,
                secret_key=secret,
                session_cookie=cookie_name(secret),
                max_age=seconds,
                https_only=https_only,
            )
            for https_only in (False, True)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        sessions = self._https if scope.get("scheme") == "https" else self._http
        await sessions(scope, receive, send)


def cookie_name(secret: str) -> str:
    """The session cookie's name, one for each desk.

    Browsers send a cookie to every port of a host, so two desks on one machine would overwrite each
    other's cookie.
    """
    digest = hmac.new(secret.encode(), b"cookie", hashlib.sha256).hexdigest()
    return f"tipstaff_desk_{digest[:8]}"


def load_secret(folder: Path) -> str:
    """The secret in a workspace's folder; created on first use.

    Raises:
        WorkspaceError: The file can't be read or written, or holds no secret.
    """
    file = folder / SECRET_FILE
    try:
        with suppress(FileExistsError):
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as opened:
                opened.write(secrets.token_hex(32))
        secret = file.read_text(encoding="ascii")
    except OSError as error:
        raise WorkspaceError(f"{file}: can't be used: {error.strerror}") from error
    except UnicodeDecodeError:
        secret = ""
    if len(secret) < 32:
        raise WorkspaceError(f"{file}: holds no secret: delete the file, and a new one is made")
    return secret


def keep_alive(session: Session, seconds: int) -> None:
    """Renews a session that is in use, so that it lasts from now on."""
    if session and time.time() - session.get("renewed_at", 0) >= seconds * _RENEWAL_SHARE:
        session["renewed_at"] = int(time.time())


def set_name(session: Session, name: str) -> None:
    """Sets the person's name, which their labels are recorded under."""
    session["name"] = name[:_LONGEST_NAME]


def sign_in(session: Session, name: str) -> None:
    """Marks a session as signed in."""
    session["signed_in"] = True
    set_name(session, name)


def set_notice(session: Session, tone: str, notice: str) -> None:
    """Sets what the next page says; shortened to fit into a cookie."""
    while len(json.dumps(notice)) > _LONGEST_NOTICE:
        notice = notice[: -len(notice) // 10 - 2].rstrip() + "…"
    session["notice"] = [tone, notice]


def pop_notice(session: Session) -> list[str] | None:
    """Takes the notice for this page out of the session."""
    notice = session.pop("notice", None)
    return notice if isinstance(notice, list) else None
