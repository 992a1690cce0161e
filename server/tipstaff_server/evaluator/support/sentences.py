"""Cuts texts into sentences: at line ends, and after full stops that end one."""

from __future__ import annotations

import re
from typing import Final

from tipstaff_server.evaluator.windows import Span

# Abbreviations that a capital or a number follows inside a sentence.
_ABBREVIATIONS: Final = frozenset(
    """adm al approx apr art aug ave bros ca capt cf ch co col corp dec dept dr ed e.g eg est etc
    feb fig fr ft gen gov hon i.e ie inc jan jr jul jun lt ltd maj mar messrs mr mrs ms mt
    no nov nr oct op p pp prof rep rev sen sep sept sgt sr st ste vol vs""".split()
)
# What may end a sentence, with the quotes and brackets that close after it; or a line's end. The
# signs of scripts without blanks end one wherever they stand.
_END: Final = re.compile(r"[。！？｡।॥]+[”’」』）)\]]*|[.!?…]+[\"”’')\]]*(?=\s)|[\r\n]+")
# Signs of a following sentence: a capital, a digit, or what opens one.
_START: Final = re.compile(r"\s*[\"“‘'(\[«*•-]*([^\W\d_]|\d)?")
_LAST_WORD: Final = re.compile(r"[\w.]*\Z")
_INITIALS: Final = re.compile(r"(?:[^\W\d_]\.)*[A-Z]")
# An abbreviation is shorter.
_LONGEST_WORD: Final = 12


def sentences_of(text: str) -> list[Span]:
    """Where each sentence starts and ends, without the blanks around it.

    The time is linear in the text. A text that isn't blank has one sentence at least.
    """
    spans: list[Span] = []
    start = 0
    for match in _END.finditer(text):
        if match[0][0] in ".!?…" and not _ends(text, match.start(), match.end()):
            continue
        _add(spans, text, start, match.end())
        start = match.end()
    _add(spans, text, start, len(text))
    return spans


def _ends(text: str, stop: int, after: int) -> bool:
    """Whether a full stop, with blanks after it, ends a sentence."""
    if text[stop] not in ".…":
        return True
    before = _LAST_WORD.search(text, max(0, stop - _LONGEST_WORD), stop)
    word = before[0] if before else ""
    # Initials, as in "T. S. Eliot" and "U.S. Army".
    if _INITIALS.fullmatch(word) or word.lower() in _ABBREVIATIONS:
        return False
    follows = _START.match(text, after, after + 64)
    first = follows[1] if follows else None
    # Some texts have no capitals at all; "approx." and the like are short.
    return first is None or not first.islower() or (text[stop] == "." and len(word) > 1)


def _add(spans: list[Span], text: str, start: int, end: int) -> None:
    part = text[start:end]
    bare = part.strip()
    if bare:
        first = start + len(part) - len(part.lstrip())
        spans.append((first, first + len(bare)))
