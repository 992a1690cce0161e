"""Composes outputs from pieces: denials and assertions in many forms.

opener x denial x joint x assertion x closer, in either order, or both in one sentence;
each of the pieces may itself be composed, as somebody's words that are refuted
"""

from __future__ import annotations

import random
import re

from tipstaff_trainer.probes import texts
from tipstaff_trainer.probes.wordings import Wordings

_QUOTED = 0.2
_BARE_START = 0.6
# How often a template with slots is drawn, where there are any.
_COMPOSED = 0.5
_SLOT = re.compile(r"<([a-z ]+)>")


class Composer:
    """Draws forms from the wordings of one half.

    The same generator state gives the same forms, whatever the pieces: two calls with equally
    seeded generators make a pair that differs in its pieces only.
    """

    def __init__(self, wordings: Wordings, generator: random.Random) -> None:
        self.wordings = wordings
        self.generator = generator

    def denied(self, piece: str) -> str:
        """A sentence, without its stop, that denies a phrase or sentence."""
        template = self.pick("denied_phrase" if texts.is_phrase(piece) else "denied_clause")
        return self._fill(template, piece)

    def asserted(self, piece: str) -> str:
        """A sentence, or several, that assert a piece."""
        if len(texts.sentences(piece)) > 1:
            return texts.fill(self.pick("asserted_text"), piece)
        few = texts.is_phrase(piece)
        template = self.pick("asserted_phrase" if few else "asserted_clause")
        return piece.rstrip(". ") if template == "{}" else self._fill(template, piece)

    def denial(self, piece: str) -> str:
        """A denial alone."""
        return self._framed(self.denied(piece))

    def assertion(self, piece: str) -> str:
        """An assertion alone."""
        return self._framed(self.asserted(piece))

    def denied_first(self, *, no: str, yes: str) -> str:
        """One piece is denied, then another asserted."""
        return self._framed(self.denied(no) + self._joint() + texts.capital(self.asserted(yes)))

    def denied_last(self, *, no: str, yes: str) -> str:
        """One piece is asserted, then another denied, perhaps in brackets."""
        yes, no = self.asserted(yes).rstrip(". "), texts.capital(self.denied(no))
        if self.generator.random() < 0.35:
            return self._framed(f"{yes} ({no}.)", stop="")
        return self._framed(yes + self._joint() + no)

    def contrast(self, *, no: str, yes: str) -> str | None:
        """Both in one sentence; None where a piece is longer than a sentence."""
        if any(len(texts.sentences(piece)) > 1 for piece in (no, yes)):
            return None
        few = texts.is_phrase(no) or texts.is_phrase(yes)
        template = self.pick("contrast_phrase" if few else "contrast_clause")
        return self._framed(texts.fill(template, no=self._inner(no), yes=self._inner(yes)))

    def beside(self, truth: str, claim: str) -> str:
        """The ground truth pasted beside a claim."""
        return texts.fill(self.pick("beside"), truth=truth, claim=claim)

    def pick(self, name: str) -> str:
        """One of a list's wordings, or of its composed ones with their slots filled."""
        composed: tuple[str, ...] = getattr(self.wordings, f"composed_{name}", ())
        if not composed or self.generator.random() >= _COMPOSED:
            choice: str = self.generator.choice(getattr(self.wordings, name))
            return choice
        template = self.generator.choice(composed)
        while (slot := _SLOT.search(template)) is not None:
            filling = self.generator.choice(self.wordings.slots[slot[1]])
            template = template[: slot.start()] + filling + template[slot.end() :]
        return template

    def _fill(self, template: str, piece: str) -> str:
        inner = self._inner(piece)
        return texts.fill(template.replace('"{}"', "{}") if '"' in inner else template, inner)

    def _inner(self, piece: str) -> str:
        quoted = self.generator.random() < _QUOTED
        bare = texts.inner(piece)
        return f'"{bare}"' if quoted and '"' not in bare else bare

    def _joint(self) -> str:
        return self.generator.choice(self.wordings.joints)

    def _framed(self, text: str, stop: str = ".") -> str:
        opener, closer = self.pick("openers"), self.pick("closers")
        low = self.generator.random() < _BARE_START
        if opener:
            text = opener + (texts.inner(text) if low else text)
        if not text.endswith((".", "!", "?", ")")) and (closer or self.generator.random() < 0.8):
            text += stop
        return texts.capital(text) + closer
