"""The desk's settings."""

from __future__ import annotations

import ipaddress

from tipstaff_server.requests import Request, setting


class DeskSettings(Request):
    """The address, the token and the limits of a desk."""

    host: str = setting(
        "127.0.0.1",
        min_length=1,
        unit="address",
        description="address to listen on; if other machines can reach it, people sign in with a "
        "token",
    )
    port: int = setting(7860, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    token: str = setting(
        "",
        description="token to sign in with, generated if needed; TIPSTAFF_DESK_TOKEN sets it "
        "without showing it to other users of this machine",
    )
    session_seconds: int = setting(
        12 * 3600,
        ge=1,
        unit="seconds",
        description="how long a browser stays signed in without a request, in seconds",
    )
    max_upload_bytes: int = setting(
        256 * 2**20,
        ge=1024,
        unit="bytes",
        description="largest file that can be uploaded, in bytes",
    )

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the desk."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
