"""What callers send, made fit for metadata, metrics and log lines."""

from __future__ import annotations


def printable(text: str, longest: int = 128) -> str:
    """A text's beginning in printable ASCII; other characters are question marks."""
    short = text[:longest]
    if short.isascii() and short.isprintable():  # as nearly all are
        return short
    return "".join(char if " " <= char <= "~" else "?" for char in short)
