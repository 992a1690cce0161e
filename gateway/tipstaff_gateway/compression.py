"""Reads compressed bodies, bounded."""

from __future__ import annotations

import zlib

# zlib finds out by the first bytes whether it is gzip or zlib.
_ANY_HEADER = zlib.MAX_WBITS | 32
_ENCODINGS = ("gzip", "x-gzip", "deflate")


class CompressionError(Exception):
    """A body can't be decompressed; the error's text is one line."""


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """A body as it was before its encoding.

    Args:
        body: The body.
        encoding: Its `content-encoding`; empty for none.
        limit: The most bytes that it may have then.

    Raises:
        CompressionError: The encoding is not supported, or the body is cut, damaged or too large.
    """
    if encoding.lower() in ("", "identity"):
        return body
    if encoding.lower() not in _ENCODINGS:
        raise CompressionError(f"compressed in a way that is not read: {encoding[:40]}")
    reader = zlib.decompressobj(_ANY_HEADER)
    try:
        content = reader.decompress(body, limit + 1)
    except zlib.error:
        raise CompressionError(f"not {encoding}") from None
    if len(content) > limit:
        raise CompressionError("too large when it is decompressed")
    if not reader.eof or reader.unused_data:
        raise CompressionError(f"not one whole {encoding} stream")
    return content
