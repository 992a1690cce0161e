"""Who somebody is, in a signed cookie; and the mark that a form was sent from a page of ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from tipstaff_trainer.errors import WorkspaceError

SECRET_FILE = "desk.secret"
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Session:
    """One browser's.

    Attributes:
        id: Random.
        name: Of the person, as they gave it; empty before they did.
        until: When it ends, in seconds since 1970.
        signed_in: Whether they gave the token.
    """

    id: str
    name: str
    until: float
    signed_in: bool


class Signer:
    """Signs what browsers keep for us. A restart of the desk leaves signatures valid.

    Args:
        folder: Where the secret is kept.

    Attributes:
        session_cookie: The name of the cookie with the session.
        notice_cookie: Of the one with what is to be said on the next page.

    Raises:
        WorkspaceError: It can't be read or written.
    """

    def __init__(self, folder: Path) -> None:
        file = folder / SECRET_FILE
        try:
            try:
                descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w") as opened:
                    opened.write(secrets.token_hex(32))
            except FileExistsError:
                pass
            self._secret = file.read_bytes()
        except OSError as error:
            raise WorkspaceError(f"{file}: can't be used: {error.strerror}") from error
        if len(self._secret) < 32:
            raise WorkspaceError(f"{file}: holds no secret: remove it, and a new one is made")

        # Cookies know no ports: two desks on one machine would take each other's.
        desk = self._mac("cookie", "")[:8]
        self.session_cookie = f"tipstaff_desk_{desk}"
        self.notice_cookie = f"tipstaff_notice_{desk}"

    def sign(self, purpose: str, content: object) -> str:
        """Content as text that `read` takes back."""
        data = base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
        return f"{data}.{self._mac(purpose, data)}"

    def read(self, purpose: str, text: str) -> object:
        """What was signed for a purpose; None where the text is not ours."""
        data, _, mac = text.rpartition(".")
        if not data or not hmac.compare_digest(mac.encode(), self._mac(purpose, data).encode()):
            return None
        return json.loads(base64.urlsafe_b64decode(data))

    def form_mark(self, session: Session) -> str:
        """What a form of this session must carry."""
        return self._mac("form", session.id)

    def _mac(self, purpose: str, data: str) -> str:
        return hmac.new(self._secret, f"{purpose}:{data}".encode(), hashlib.sha256).hexdigest()


def new_session(seconds: float, *, name: str = "", signed_in: bool = False) -> Session:
    """A session that begins now."""
    return Session(secrets.token_hex(16), name[:_LONGEST_NAME], time.time() + seconds, signed_in)


def write_session(signer: Signer, session: Session) -> str:
    """A session as a cookie's value."""
    return signer.sign("session", [session.id, session.name, session.until, session.signed_in])


def read_session(signer: Signer, cookie: str) -> Session | None:
    """The session of a cookie; None when it is not ours or has ended."""
    content = signer.read("session", cookie)
    if not isinstance(content, list) or len(content) != 4:
        return None
    session = Session(str(content[0]), str(content[1]), float(content[2]), bool(content[3]))
    return session if session.until > time.time() else None
