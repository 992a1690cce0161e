"""TLS of ports, with certificates that may be renewed while they are open."""

from __future__ import annotations

import ssl
from collections import deque
from typing import Any

import grpc

from tipstaff.access_files.certificates import Credentials
from tipstaff.access_files.watched import Watched


class FollowingContext(ssl.SSLContext):
    """A context for asyncio's servers: each connection gets the credentials of its moment."""

    _credentials: Watched[Credentials]

    @classmethod
    def of(cls, credentials: Watched[Credentials]) -> FollowingContext:
        """The context that follows these credentials."""
        context = cls(ssl.PROTOCOL_TLS_SERVER)
        context._credentials = credentials
        return context

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """Called by asyncio for each connection."""
        # Not by `sni_callback`, which could renew the certificate but not the clients' authorities.
        return self._credentials.current.context.wrap_bio(*args, **options)


def server_credentials(credentials: Watched[Credentials]) -> grpc.ServerCredentials:
    """What one port of gRPC needs: each new connection gets the credentials of that moment.

    gRPC takes a renewal for the port alone that asked, so ports can't share these.
    """
    current = credentials.current
    renewed: deque[Credentials] = deque(maxlen=1)
    credentials.on_change(renewed.append)

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        """Called by gRPC for each connection, from any thread; None for no change."""
        try:
            return _configuration(renewed.pop())
        except IndexError:
            return None

    return grpc.dynamic_ssl_server_credentials(
        _configuration(current), fetch, current.client_ca is not None
    )


def _configuration(credentials: Credentials) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(credentials.key, credentials.certificate)], credentials.client_ca
    )
