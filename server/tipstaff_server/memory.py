"""How the process's allocator gives memory back to the system."""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD = -3  # see mallopt(3)
_MAPPED_BYTES = 64 << 10


def return_freed_memory() -> None:
    """Makes glibc return each freed block of 64 KiB and more to the system at once.

    By default the limit grows with the largest block that was ever freed, and smaller blocks stay
    in the arenas of many threads. gRPC reads a message that is too large into such blocks: a
    process of 110 MB kept 200 to 430 MB after 60 of them. With another C library this does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)
