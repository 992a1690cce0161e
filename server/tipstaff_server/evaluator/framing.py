"""Finds what stands around an answer and says nothing of its subject: its framing.

Greetings, offers of help, labels, hedges, Markdown, the question repeated: of "Sure! **Answer:** 30
days. Let me know if you need more." an evaluator reads "30 days.". Language models put such things
around any answer, and none of them makes it truer.

Parts at the start and the end of an output are compared with known wordings, the short ones
word by word. A part with a digit, a negation, a yes or a no, or with a word that framing doesn't
use, always stays. `tipstaff_trainer.probes.framing` makes the lists, and fits the weights.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice, pairwise

# Marks of Markdown: at the start of a line, lines of nothing else, and around words.
_MARKUP = re.compile(
    r"^[ \t]*(?:#{1,6}(?=\s)|>(?=\s)|[-*+\u2022](?=\s)"
    r"|(?:-{3,}|\*{3,}|_{3,}|`{3,}\w*|\|[-:| ]+\|)[ \t]*$)"
    r"|(?<![\w*_`])(?:\*{1,3}|_{1,3}|`)(?=[^\s*_`])|(?<=[^\s*_`])(?:\*{1,3}|_{1,3}|`)(?![\w*_`])",
    re.MULTILINE,
)
# One alone may be a day of a month.
_NUMBERED = re.compile(r"^[ \t]*\d{1,2}[.)](?=\s)", re.MULTILINE)
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
# A part at the start: up to a stop, colon, comma or line end.
_FIRST_PART = re.compile(r"[^.!?:,;\n]{0,160}[.!?:,\n]+[\"'\u201d)\]\s]*")
# A part at the end starts after a stop, or with a comma, bracket or dash.
_BREAK = re.compile(r"[.!?\n]+[\"'\u201d)\]\s]*|\s*[,(]\s*|\s+[\u2013-]\s+")
_STOP = re.compile(r"[.!?\n]")
_LAST_WORD = re.compile(r"\w\W*\Z")
# What follows a question; a statement that ends with a stop or comma is not one.
_ASKED = re.compile(r"[\"'\u201d)\]\s]*[?:\n|\"\u201d]")
_ASKS = frozenset(
    """who whom whose what which when where why how is are was were do does did can could will would
    shall should may must has have had am""".split()
)
_ECHO_END = re.compile(r"[\"'\u201d)\]\s]*[?!.:;,|\n\u2013-][\"'\u201d)\]?!.:;,|\s\u2013-]*")
# The most parts at either end, and characters of one.
_PARTS = 8
_PART_LENGTH = 200
_MOST_WORDS = 24
# What a comma or bracket sets off is longer only where it says something.
_MOST_WORDS_SET_OFF = 8
# A shorter question may be repeated by chance, and of a longer one nobody repeats every word.
_ECHOED_WORDS = range(3, 101)
_MOST_WORDS_BEFORE_ECHO = 5
_MOST_WORDS_OF_LEAD_IN = 6
# Parts of fewer words are framing only where they are known: "in the team" has no other words.
FEWEST_WORDS = 4
# The share of a longer part's pairs of words that must be known.
_KNOWN_PAIRS = 0.5
# The log odds from which a longer part is framing.
_THRESHOLD = 1.0
_SETS = ("parts", "labels", "lead_ins", "addressing", "telling", "harmless")
# Stand for the start and end of a part in its pairs of words.
_START, _END = "<", ">"


@dataclass(frozen=True)
class Framing:
    """Tells framing by its words.

    Attributes:
        parts: Short parts that are framing.
        labels: Short parts that are, before a colon or line end.
        lead_ins: Words that are framing where an output starts with them: "I think".
        bias: The log odds of a longer part without words.
        weights: What each word, and each pair as in `pairs_of`, adds to the log odds that a longer
            part is framing. It has no other words.
        addressing: Words of which a longer part has one: it is about who speaks, who listens or
            what was given to read.
        telling: Words that framing never has, such as negations.
        harmless: Pairs that start with such a word and are framing all the same: "no problem".
    """

    parts: frozenset[str]
    labels: frozenset[str]
    lead_ins: frozenset[str]
    bias: float
    weights: Mapping[str, float]
    addressing: frozenset[str]
    telling: frozenset[str]
    harmless: frozenset[str]

    @classmethod
    def load(cls, data: bytes) -> Framing:
        """Reads the form that `to_bytes` writes.

        Raises:
            ValueError, KeyError, TypeError: The data has another form.
        """
        found = json.loads(data)
        weights = {str(name): float(weight) for name, weight in dict(found["weights"]).items()}
        sets = {name: frozenset(map(str, found[name])) for name in _SETS}
        return cls(bias=float(found["bias"]), weights=weights, **sets)

    def to_bytes(self) -> bytes:
        """The weights and words as JSON."""
        form = asdict(self) | {name: sorted(getattr(self, name)) for name in _SETS}
        return json.dumps(form, ensure_ascii=False, indent=1, sort_keys=True).encode()

    def blank(self, output: str, question: str = "") -> str:
        """The output with blanks in place of its framing; one code point stays one code point.

        The time is linear in the length of the texts.

        Args:
            output: The output.
            question: The input, which an output may repeat before it answers.

        Returns:
            The output as it is where nothing else would be left of it.
        """
        text = _without_markup(output)
        start = self._end_of_start(text, _words(question, _ECHOED_WORDS.stop))
        end = self._start_of_end(text, start)
        if _WORD.search(text, start, end) is None:
            return output
        return " " * start + text[start:end] + " " * (len(text) - end)

    def is_framing(self, part: str) -> bool:
        """Whether a part says nothing of the subject."""
        words = words_of(part)
        if len(words) < FEWEST_WORDS:
            short = " ".join(words)
            is_label = short in self.labels and re.search(r"[:\n]", part) is not None
            return not words or short in self.parts or is_label
        if len(words) > _MOST_WORDS or self.addressing.isdisjoint(words):
            return False
        pairs = pairs_of(words)
        known = sum(pair in self.weights for pair in pairs) / len(pairs)
        log_odds = self.bias + sum(self.weights.get(each, 0.0) for each in (*words, *pairs))
        return (
            self.weights.keys() >= {*words}
            and known >= _KNOWN_PAIRS
            and log_odds > _THRESHOLD
            and self.says_nothing(words)
        )

    def says_nothing(self, words: Sequence[str]) -> bool:
        """Whether words have no digit, and no negation or the like."""
        return not any(
            (word in self.telling and f"{word} {after}" not in self.harmless)
            or any(map(str.isdigit, word))
            for word, after in pairwise((*words, _END))
        )

    def _end_of_start(self, text: str, question: Sequence[str]) -> int:
        """Where the framing at the start ends."""
        place = 0
        for _ in range(_PARTS):
            after_echo = self._end_of_echo(text, place, question)
            if after_echo is not None:
                place, question = after_echo, ()
                continue
            part = _FIRST_PART.match(text, place)
            if part is None or part.end() >= len(text):
                return self._end_of_lead_in(text, place)
            if not self._may_go(part[0], set_off="," in part[0]):
                return self._end_of_lead_in(text, place)
            place = part.end()
        return place

    def _end_of_lead_in(self, text: str, place: int) -> int:
        """Where the lead-in ends that stands at `place`; `place` if none does."""
        found = list(islice(_WORD.finditer(text, place), _MOST_WORDS_OF_LEAD_IN))
        words = [_folded(match[0]) for match in found]
        for count in range(len(words), 0, -1):
            if " ".join(words[:count]) in self.lead_ins:
                end = found[count - 1].end()
                # No stop or bracket in between, and more words to come.
                plain = re.fullmatch(r"[\w'\u2019 ]+", text[place:end].strip())
                return end if plain and text[end : end + 1] == " " else place
        return place

    def _end_of_echo(self, text: str, place: int, question: Sequence[str]) -> int | None:
        """Where the question ends that is repeated from `place` on, or a few words later."""
        if len(question) not in _ECHOED_WORDS:
            return None
        found = list(islice(_WORD.finditer(text, place), len(question) + _MOST_WORDS_BEFORE_ECHO))
        words = [_folded(match[0]) for match in found]
        for first in range(len(words) - len(question) + 1):
            last = first + len(question) - 1
            if words[first : last + 1] == list(question) and self.says_nothing(words[:first]):
                end = found[last].end()
                asks = first > 0 or question[0] in _ASKS or _ASKED.match(text, end) is not None
                stop = _ECHO_END.match(text, end) if asks else None
                return None if stop is None else stop.end()
        return None

    def _start_of_end(self, text: str, start: int) -> int:
        """Where the framing at the end starts."""
        end = len(text)
        for _ in range(_PARTS):
            earliest = max(start, end - _PART_LENGTH)
            last = _LAST_WORD.search(text, earliest, end)
            if last is None:
                break
            breaks = list(_BREAK.finditer(text, earliest, last.start()))
            if not breaks:
                break
            stops = [each for each in breaks if _STOP.match(each[0])]
            # "Best regards, Ann" is a part of two.
            for before in (breaks[-1], *stops[-1:]):
                if self._may_go(text[before.end() : end], set_off=before not in stops):
                    end = before.end() if before in stops else before.start()
                    break
            else:
                break
        return end

    def _may_go(self, part: str, *, set_off: bool) -> bool:
        """Whether a part is framing, and short if only a comma, bracket or dash sets it off."""
        few = not set_off or len(words_of(part)) <= _MOST_WORDS_SET_OFF
        return few and self.is_framing(part)


def _without_markup(text: str) -> str:
    text = _MARKUP.sub(_blanks, text)
    return _NUMBERED.sub(_blanks, text) if len(_NUMBERED.findall(text)) > 1 else text


def _blanks(match: re.Match[str]) -> str:
    return " " * len(match[0])


def words_of(text: str) -> list[str]:
    """The words of a part, in lower case."""
    return _words(text, None)


def pairs_of(words: Sequence[str]) -> list[str]:
    """The pairs of neighbouring words, those with the part's start and end among them."""
    return [f"{first} {second}" for first, second in pairwise((_START, *words, _END))]


def parts_of(text: str) -> list[str]:
    """A short text cut where a part at the start of an output would end."""
    parts, place = [], 0
    while (part := _FIRST_PART.match(text, place)) is not None:
        parts.append(part[0])
        place = part.end()
    return [*parts, text[place:]] if place < len(text) else parts


def _words(text: str, most: int | None) -> list[str]:
    return [_folded(match[0]) for match in islice(_WORD.finditer(text), most)]


def _folded(word: str) -> str:
    return word.casefold().replace("\u2019", "'")
