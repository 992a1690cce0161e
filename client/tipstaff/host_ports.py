"""HOST:PORT, as servers and gateways listen on."""

from __future__ import annotations


def split_host_port(address: str) -> tuple[str, int]:
    """Host and port of HOST:PORT, where an IPv6 host stands in brackets.

    Raises:
        ValueError: It is not of that form.
    """
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or not port.isascii() or not port.isdigit():
        raise ValueError("not HOST:PORT, such as localhost:8080")
    if int(port) > 65535:
        raise ValueError("not HOST:PORT: ports end at 65535")
    if ":" in host and not bracketed:
        raise ValueError("an IPv6 host needs brackets, as in [::1]:8080")
    return host.strip("[]"), int(port)


def with_port(address: str, port: int) -> str:
    """HOST:PORT with another port."""
    host, _ = split_host_port(address)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
