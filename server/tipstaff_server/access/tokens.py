"""Tokens: random, kept as hashes, compared in constant time.

A token has 256 random bits, so a plain SHA-256 is as good as a slow hash: there is nothing to
guess.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

_PREFIX = "sha256:"
_DIGITS = 64
# Tells secret scanners, and people who find one, what it is.
_TOKEN_PREFIX = "tipstaff_"


def new_token() -> str:
    """A new token, printable and safe in a header."""
    return _TOKEN_PREFIX + secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """What is kept of a token, as `sha256:` and 64 hexadecimal digits."""
    return _PREFIX + hashlib.sha256(token.encode()).hexdigest()


def check_hash(text: str) -> str:
    """Returns a valid hash in lower case.

    Raises:
        ValueError: It is not a token's hash.
    """
    digits = text.removeprefix(_PREFIX).lower()
    valid = len(digits) == _DIGITS and all(digit in "0123456789abcdef" for digit in digits)
    if not text.startswith(_PREFIX) or not valid:
        raise ValueError(
            "not the hash of a token, as in sha256:0123…: `tipstaff token` makes a token and "
            "prints its hash"
        )
    return _PREFIX + digits


def same_hash(one: str, other: str) -> bool:
    """Whether two hashes are equal, in a time that doesn't tell where they differ."""
    return hmac.compare_digest(one, other)
