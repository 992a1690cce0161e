"""How a client shows who it is, and makes sure of the server: tokens and TLS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import grpc

from tipstaff.access_files.certificates import load_client_files
from tipstaff.access_files.watched import Watched
from tipstaff.errors import UsageError
from tipstaff.tls import TLS

# A text is the token itself, a path its file.
Token: TypeAlias = str | PathLike[str]
# Sent with each call; a function is asked for each.
Metadata: TypeAlias = Mapping[str, str] | Callable[[], Mapping[str, str]]

# Authorities, key and certificate.
_Contents: TypeAlias = tuple[bytes | None, bytes | None, bytes | None]

_TOKEN_KEY = "authorization"
# Renewed files are noticed within this time.
_LOOK_SECONDS = 1.0


class CallMetadata:
    """What goes with each call: the token, and the user's own metadata.

    Args:
        token: The token or its file; None for none.
        metadata: The user's own.
        clock: The time in seconds.

    Raises:
        UsageError: The token's file can't be read or is empty, or the token isn't printable.
    """

    def __init__(
        self,
        token: Token | None,
        metadata: Metadata | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = None if token is None or isinstance(token, str) else Path(token)
        self._metadata = metadata
        self._clock = clock
        self._looked_at = clock()
        self._token = _checked(token, "token") if isinstance(token, str) else ""
        if self._file is not None:
            self._token = _read(self._file)

    def __call__(self) -> Sequence[tuple[str, str]] | None:
        """The metadata of one call; None without any."""
        if self._file is not None and self._clock() - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = self._clock()
            # While a file is being replaced, the token from before may still do.
            with suppress(UsageError):
                self._token = _read(self._file)
        own = self._metadata() if callable(self._metadata) else self._metadata
        pairs = [(key.lower(), value) for key, value in (own or {}).items()]
        if self._token:
            pairs.append((_TOKEN_KEY, f"Bearer {self._token}"))
        return pairs or None

    def with_own(self, own: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]] | None:
        """The metadata of a call that has some of its own, which goes before the client's."""
        ours = self()
        if not own:
            return ours
        names = {name for name, _ in own}
        return [*own, *((name, value) for name, value in ours or () if name not in names)]


class ChannelCredentials:
    """The credentials of a client's channels; they follow their files.

    Attributes:
        current: For the next channel; None for no encryption.

    Args:
        tls: The files; True for the authorities that gRPC knows.
        credentials: The user's own, instead.
        clock: The time in seconds.

    Raises:
        ValueError: Both are given.
        UsageError: A file can't be used.
    """

    def __init__(
        self,
        tls: TLS | bool | None,
        credentials: grpc.ChannelCredentials | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if tls and credentials is not None:
            raise ValueError("give tls or credentials, not both")
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = clock()
        self._files: Watched[_Contents] | None = None
        self.current = credentials
        if tls:
            files = TLS() if tls is True else tls
            named = (files.ca, files.key, files.certificate)
            paths = (None if each is None else Path(each) for each in named)
            what = "TLS files for the server"
            self._files = Watched(what, paths, lambda: load_client_files(files))
            self.current = grpc.ssl_channel_credentials(*self._files.current)

    @property
    def stale(self) -> bool:
        """Whether the files have changed to ones that can't be used."""
        return self._files is not None and self._files.stale

    def renew(self) -> bool:
        """Looks at the files, at most once a second; says whether `current` comes from new ones."""
        if self._files is None or self._clock() - self._looked_at < _LOOK_SECONDS:
            return False
        # No call waits for another's look.
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._looked_at = self._clock()
            before = self._files.current
            self._files.poll()
            if self._files.current is before:
                return False
            self.current = grpc.ssl_channel_credentials(*self._files.current)
            return True
        finally:
            self._lock.release()


def server_name(tls: TLS | bool | None) -> dict[str, int | str]:
    """The channel option for a certificate that has another name than the address."""
    if isinstance(tls, TLS) and tls.server_name:
        return {"grpc.ssl_target_name_override": tls.server_name}
    return {}


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"the token file {file} can't be read: {why}") from error
    return _checked(text, f"the token file {file}")


def _checked(token: str, where: str) -> str:
    if not token:
        raise UsageError(f"{where} is empty")
    # gRPC would refuse each call.
    if not all("!" <= char <= "~" for char in token):
        raise UsageError(f"{where} is not a token: it has blanks or other signs than ASCII's")
    return token
