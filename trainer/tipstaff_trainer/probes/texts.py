"""Small operations on texts: sentences, words, and pieces put into templates."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Longer texts are sentences rather than names, dates and numbers.
_MOST_PHRASE_WORDS = 6
# Words that lose their capital inside a sentence. Others may be names.
_COMMON = frozenset(
    "a an the this that these those it he she they we you there in on at of for from by with when "
    "while after before during if as yes no some many most all one two our your their his her its "
    "and but or so not what which who whoever where how is right wrong true false many others some "
    "nobody everybody records experts certainly neither under far don't forget you".split()
)
_SUBJECT_OR_VERB = re.compile(
    r"^(?:i|it|he|she|they|we|you|there|that|this|yes|no)\b|\b(?:is|are|was|were|has|have|had|can)\b",
    re.IGNORECASE,
)
# Not after initials and titles, as in "T. S. Eliot" and "Dr. No".
_SENTENCE_END = re.compile(
    r"(?<=[.!?])(?<!\b[A-Z]\.)(?<!\b(?:Mr|Dr|St|Jr|vs)\.)(?<!\bMrs\.)\s+(?=[\"'(\[]?[A-Z0-9])"
)


def sentences(text: str) -> list[str]:
    """The sentences of a text, without the white space around them."""
    return [part for each in _SENTENCE_END.split(text) if (part := each.strip())]


def words(text: str) -> list[str]:
    """The words and numbers of a text in lower case."""
    return re.findall(r"\w+", text.casefold())


def telling_words(text: str) -> set[str]:
    """Its numbers, and its words of four letters or more."""
    return {word for word in words(text) if len(word) > 3 or word.isdecimal()}


def contains(text: str, part: str) -> bool:
    """Whether a text contains another, word by word, without case and punctuation."""
    return f" {' '.join(words(part))} " in f" {' '.join(words(text))} "


def is_phrase(text: str) -> bool:
    """Whether a text is a few words rather than a sentence."""
    few = len(text.split()) <= _MOST_PHRASE_WORDS and len(sentences(text)) == 1
    return few and not _SUBJECT_OR_VERB.search(text)


def inner(text: str) -> str:
    """A phrase or sentence as it stands inside another: no final stop, no capital at the start."""
    bare = text.strip().rstrip(".!; ")
    first, space, rest = bare.partition(" ")
    if first.casefold() in _COMMON:
        bare = f"{first.lower()}{space}{rest}"
    return bare


def capital(text: str) -> str:
    """A text with a capital at its start."""
    return text[:1].upper() + text[1:]


def sentence_case(text: str) -> str:
    """A text with a capital at the start of each sentence."""
    return re.sub(r"(?:^|[.!?])\s*[a-z]", lambda match: match[0].upper(), text)


def fill(template: str, text: str = "", **pieces: str) -> str:
    """A template with its places filled; braces in the texts are left alone."""
    places = {"": text, **pieces}
    return re.sub(r"\{(\w*)\}", lambda match: places[match[1]], template)


def best_sentence(text: str, other: str) -> str:
    """The sentence of `text` that shares the largest part of its words with `other`.

    Where none shares any, the first one.
    """
    target = set(words(other))

    def overlap(sentence: str) -> float:
        own = set(words(sentence))
        return len(own & target) / (4 + len(own | target)) if own else 0.0

    return max(sentences(text), key=overlap, default="")


def joined(parts: Iterable[str]) -> str:
    """Sentences as one text."""
    return " ".join(parts)
