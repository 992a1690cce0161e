"""How requests of each protocol become interactions."""

from tipstaff_gateway.mapping.mapping import (
    PROTOCOLS,
    Mapped,
    ProtocolMapping,
    default_mapping,
    load_mapping,
)
from tipstaff_gateway.mapping.sources import Exchange, Found, Source

__all__ = [
    "PROTOCOLS",
    "Exchange",
    "Found",
    "Mapped",
    "ProtocolMapping",
    "Source",
    "default_mapping",
    "load_mapping",
]
