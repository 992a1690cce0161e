"""The desk's settings."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

from tipstaff_server.requests import Request, setting


class DeskSettings(Request):
    """The address, the token and the limits of a desk."""

    host: str = setting(
        "127.0.0.1",
        "address to listen on; if other machines can reach it, people sign in with a token",
        min_length=1,
        unit="address",
    )
    port: int = setting(7860, "port to listen on; 0 takes a free one", ge=0, le=65535)
    token: str = setting(
        "",
        "token to sign in with, generated if needed; TIPSTAFF_DESK_TOKEN sets it "
        "without showing it to other users of this machine",
    )
    session_seconds: int = setting(
        12 * 3600,
        "how long a browser stays signed in without a request, in seconds",
        ge=1,
        unit="seconds",
    )
    max_upload_bytes: int = setting(
        256 * 2**20, "largest file that can be uploaded, in bytes", ge=1024, unit="bytes"
    )

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the desk."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own, which no other can reach."""
    with suppress(ValueError):
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    return False
