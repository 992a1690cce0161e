"""The files of a client's TLS."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike


@dataclass(frozen=True, slots=True)
class TLS:
    """TLS of a client. All files are PEM.

    Attributes:
        ca: The authorities that the server's certificate may come from; None for those that gRPC
            knows.
        certificate: The client's own certificate, where the server wants one (mutual TLS), and
            those that lead to its authority.
        key: Its key.
        server_name: The name in the server's certificate, if the target's name is another.

    Raises:
        ValueError: Of certificate and key, one is given without the other.
    """

    ca: str | PathLike[str] | None = None
    certificate: str | PathLike[str] | None = None
    key: str | PathLike[str] | None = None
    server_name: str = ""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a client's certificate and its key go together: give both")
