"""The desk's settings: flat, typed, checked once."""

from __future__ import annotations

import ipaddress

from pydantic import BaseModel, ConfigDict, Field


class DeskSettings(BaseModel):
    """How the desk is reached."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="address to listen on; any but this machine's own needs --token or makes one",
    )
    port: int = Field(7860, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    token: str = Field(
        "",
        description="what people sign in with; better in TIPSTAFF_DESK_TOKEN, which others on this "
        "machine can't see",
    )
    session_seconds: int = Field(
        12 * 3600, ge=1, description="how long a browser stays signed in, in seconds"
    )
    max_upload_bytes: int = Field(
        256 * 2**20, ge=1024, description="size of a file that can be uploaded, in bytes"
    )

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
