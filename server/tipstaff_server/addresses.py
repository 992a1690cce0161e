"""Addresses to listen on, HOST:PORT or unix:PATH, and why one can't be listened on."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from tipstaff.host_ports import split_host_port

UNIX = "unix:"
# `sun_path` of Linux, without its closing zero.
_MOST_PATH_BYTES = 107

_TCP_PROBLEMS = {
    errno.EADDRINUSE: "another program listens there already",
    errno.EADDRNOTAVAIL: "not an address of this machine",
    errno.EAFNOSUPPORT: "this machine has no addresses of that kind",
    errno.EACCES: "this user may not listen on so low a port",
}
_UNIX_PROBLEMS = {
    errno.EADDRINUSE: "something is there that can't be replaced",
    errno.EACCES: "this user may not write to its folder",
    errno.EROFS: "its folder is read-only",
}


def check_address(address: str) -> None:
    """Checks the form of an address.

    Raises:
        ValueError: It is neither HOST:PORT nor unix:PATH; says why.
    """
    if not address.startswith(UNIX):
        check_host_port(address)
        return
    path = os.fsencode(socket_path(address))
    if path in (b"", b"."):
        raise ValueError("unix: needs a path after the colon")
    if b"\0" in path:
        raise ValueError("a path can't have a zero character")
    if len(path) > _MOST_PATH_BYTES:
        raise ValueError(
            f"its path has {len(path)} bytes, and that of a socket at most {_MOST_PATH_BYTES}: "
            "give a shorter one"
        )


def check_host_port(address: str) -> None:
    """Checks the form of an address with a port.

    Raises:
        ValueError: It is not HOST:PORT; says why.
    """
    try:
        split_host_port(address)
    except ValueError as error:
        raise ValueError(f"{address!r}: {error}") from None


def check_distinct(addresses: Sequence[str]) -> None:
    """Checks that no address is given twice; port 0 is another port each time.

    Raises:
        ValueError: One is; names it.
    """
    known: set[str | tuple[str, int]] = set()
    for address in addresses:
        place: str | tuple[str, int]
        if address.startswith(UNIX):
            # gRPC would listen on the second, and the first would get no calls.
            place = os.path.realpath(socket_path(address))
        else:
            place = split_host_port(address)
            if place[1] == 0:
                continue
        if place in known:
            raise ValueError(f"{address!r} is given twice: give each address once")
        known.add(place)


def socket_path(address: str) -> Path:
    """The path of unix:PATH."""
    return Path(address.removeprefix(UNIX).removeprefix("//"))


def bind_problem(address: str) -> str:
    """Why an address can't be listened on, found by another attempt."""
    if address.startswith(UNIX):
        return _unix_problem(socket_path(address))
    host, port = split_host_port(address)
    try:
        resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        return f"this machine knows no host {host!r}"
    for family, *_, socket_address in resolved:
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(socket_address)
                probe.listen()
        except OSError as error:
            return _TCP_PROBLEMS.get(error.errno or 0, str(error))
    return "can't be listened on"


def socket_owner_problem(path: Path) -> str:
    """Why the socket at a path must stay; empty if none is there, or nobody listens to it."""
    try:
        if not path.is_socket():
            return ""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(os.fspath(path))
    except (ConnectionRefusedError, FileNotFoundError):
        return ""  # a leftover of a server that is gone
    except OSError as error:
        return f"it can't be seen whether a server answers there: {error.strerror}"
    return "another server answers there"


def _unix_problem(path: Path) -> str:
    try:
        if path.is_dir():
            return "is a folder: give the path of a socket in it"
        if path.exists() and not path.is_socket():
            return "is a file and not a socket, so it stays as it is: give another path"
        if not path.parent.exists():
            return f"there is no folder {path.parent}"
        if not path.parent.is_dir():
            return f"{path.parent} is not a folder"
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(os.fspath(path))
        path.unlink()
    except OSError as error:
        return _UNIX_PROBLEMS.get(error.errno or 0, str(error))
    return "can't be listened on"
