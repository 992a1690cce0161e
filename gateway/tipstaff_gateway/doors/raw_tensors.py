"""Tensors as bytes: a part of the protocol over gRPC, and an extension over HTTP.

A text is its length in four bytes, then itself in UTF-8; a score is eight bytes. Little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence

from tipstaff_gateway.problems import invalid

_Length = struct.Struct("<I")


def read_texts(raw: bytes, name: str) -> list[str]:
    """The texts of a tensor.

    Args:
        raw: The tensor.
        name: Its name, for errors.

    Raises:
        ProblemError: It ends too early, or a text is not UTF-8.
    """
    return decode_texts(_split(raw, name), name)


def decode_texts(parts: Iterable[bytes], name: str) -> list[str]:
    """Texts from their bytes.

    Raises:
        ProblemError: One is not UTF-8.
    """
    try:
        return [part.decode("utf-8") for part in parts]
    except UnicodeDecodeError:
        raise invalid(f"inputs: {name!r} has a text that is not UTF-8") from None


def write_values(values: Sequence[float] | Sequence[str]) -> bytes:
    """A tensor of scores or of texts."""
    parts: list[bytes] = []
    for value in values:
        if isinstance(value, str):
            text = value.encode()
            parts += [_Length.pack(len(text)), text]
        else:
            parts.append(struct.pack("<d", value))
    return b"".join(parts)


def _split(raw: bytes, name: str) -> Iterator[bytes]:
    position = 0
    while position < len(raw):
        start = position + _Length.size
        if start > len(raw):
            raise invalid(f"inputs: {name!r} ends within a length")
        position = start + _Length.unpack_from(raw, position)[0]
        if position > len(raw):
            raise invalid(f"inputs: {name!r} ends within a text")
        yield raw[start:position]
