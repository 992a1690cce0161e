"""Files of TLS and of the gateway's token, followed while it runs."""

from __future__ import annotations

from pathlib import Path

from tipstaff import TLS, AsyncClient
from tipstaff.access_files import (
    Credentials,
    TlsFiles,
    Watched,
    check_client_files,
    load_credentials,
    read_private,
)
from tipstaff_gateway.settings import Settings


class SecurityFiles:
    """What the gateway answers with, and asks the server with.

    Attributes:
        credentials: The TLS files of its own ports; None for plain ones.
        client: The client of the server, made anew when the files of its TLS are renewed. Follows
            its token's file itself.

    Args:
        settings: Name the files.
        target: The server's address.

    Raises:
        UsageError: A file can't be used.
    """

    def __init__(self, settings: Settings, target: str) -> None:
        self.credentials: Watched[Credentials] | None = None
        if settings.tls_certificate is not None and settings.tls_key is not None:
            files = TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
            self.credentials = Watched(
                "TLS files",
                _there(files.certificate, files.key, files.client_ca),
                lambda: load_credentials(files),
            )
        paths = _there(settings.target_ca, settings.target_certificate, settings.target_key)
        self.client: Watched[AsyncClient] = Watched(
            "TLS files for the server", paths, lambda: _connect(settings, target)
        )

    def watched(self) -> dict[str, Watched[Credentials] | Watched[AsyncClient]]:
        """All that is followed, by the files' name in metrics."""
        both = {"tls": self.credentials, "target_tls": self.client}
        return {name: each for name, each in both.items() if each is not None}

    def poll(self) -> None:
        """Looks at the files again."""
        for each in self.watched().values():
            each.poll()


def _connect(settings: Settings, target: str) -> AsyncClient:
    tls = None
    if settings.secures_target:
        tls = TLS(
            settings.target_ca,
            settings.target_certificate,
            settings.target_key,
            settings.target_server_name,
        )
        names = {name: f"target_{name}" for name in ("ca", "certificate", "key")}
        check_client_files(tls, names)
    if settings.target_token is not None:
        read_private(settings.target_token, "target_token")
    return AsyncClient(target, timeout=settings.timeout, tls=tls, token=settings.target_token)


def _there(*paths: Path | None) -> tuple[Path, ...]:
    return tuple(path for path in paths if path is not None)
