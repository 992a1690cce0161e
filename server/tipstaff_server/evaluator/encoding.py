"""Text to token ids: the one place that does so, in training and in serving.

The layout is `[CLS] output [SEP] ground_truth [SEP] input [SEP]`, over the fields that the manifest
names, in its order. An absent field leaves its place empty, so that the others keep theirs.

An interaction that is too long for one run takes several, each with a window of the output and one
of the ground truth, where the manifest says so (see `windows`); else it is cut.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from tipstaff.types import FIELDS, Coverage, Field, Interaction
from tipstaff_server.errors import InvalidRequest
from tipstaff_server.evaluator import marks, windows
from tipstaff_server.evaluator.manifest import Encoding, Windows
from tipstaff_server.evaluator.marks import Words
from tipstaff_server.evaluator.windows import Span, Window

# Not \S: what else Python takes for a blank, some tokenizers take out without a cut.
_WORD = re.compile(r"\w[^ \t\r\n]*")

# Whose words are compared.
_COMPARED: tuple[Field, ...] = ("output", "ground_truth")
# Without windows: what an over-long interaction loses first, and the share of the room it keeps:
# the ground truth down to a quarter, then the input down to an eighth, and the output only when
# both are at theirs.
_CUT_ORDER: tuple[tuple[Field, int], ...] = (("ground_truth", 4), ("input", 8), ("output", 1))


@dataclass(frozen=True, slots=True)
class Tokens:
    """One run's input, as the graph takes it.

    Attributes:
        ids: Token ids, shape (length,).
        marks: What is known of each token's word, see `marks`, shape (length,).
    """

    ids: npt.NDArray[np.int64]
    marks: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Encoded:
    """One interaction as the runs it takes.

    Attributes:
        runs: One, unless the interaction is too long for it.
        parts: Which window of the output each run is of, counted from 0, shape (runs,).
        coverage: For each field the evaluator reads: tokens scored and total. Of the ground truth,
            the mean over the output's windows, where these were not compared with all of it.
        missing: Fields the evaluator reads and the interaction lacks.
        ignored: Fields the interaction has and the evaluator doesn't read.
        excerpts: Where in each field's text starts and ends what each run reads, shape (runs,).
    """

    runs: tuple[Tokens, ...]
    parts: tuple[int, ...]
    coverage: Mapping[Field, Coverage]
    missing: tuple[Field, ...] = ()
    ignored: tuple[Field, ...] = ()
    excerpts: tuple[Mapping[Field, Span], ...] = ()

    def __len__(self) -> int:
        """Tokens of all runs."""
        return sum(map(len, self.runs))

    @property
    def partial(self) -> bool:
        """Whether some of the text was left out."""
        return any(coverage.partial for coverage in self.coverage.values())


@dataclass(frozen=True, slots=True)
class _Text:
    """One field's text and its tokens."""

    text: str = ""
    ids: Sequence[int] = ()
    offsets: Sequence[Span] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def span(self, window: Window) -> Span:
        """Where in the text a window of its tokens starts and ends."""
        if len(self) == window.end - window.start:
            return 0, len(self.text)
        if window.start == window.end:
            return 0, 0
        return self.offsets[window.start][0], self.offsets[window.end - 1][1]


_Texts = Mapping[Field, _Text]


class _Layout(NamedTuple):
    """An interaction's runs.

    Attributes:
        runs: Of whatever number, shape (runs,).
        parts: Which window of the output each is of, shape (runs,).
        scored: Tokens of each field that are read.
        seen: Each run's window of each field, shape (runs,).
    """

    runs: Sequence[Tokens]
    parts: Sequence[int]
    scored: Mapping[Field, int]
    seen: Sequence[Mapping[Field, Window]]


class Encoder:
    """Encodes interactions for one evaluator. Safe to call from several threads."""

    def __init__(self, tokenizer_json: str, encoding: Encoding) -> None:
        self._tokenizer = Tokenizer.from_str(tokenizer_json)
        # Texts are data: "[SEP]" in one of them must not become the token that parts the fields.
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        vocabulary = self._tokenizer.get_vocab_size()
        for name in ("cls_id", "sep_id", "pad_id"):
            if getattr(encoding, name) >= vocabulary:
                raise ValueError(f"it has {vocabulary} tokens, and {name} in the manifest is none")
        self.encoding = encoding
        self._frame = frozenset((encoding.cls_id, encoding.sep_id, encoding.pad_id))

    def encode(self, interaction: Interaction) -> Encoded:
        """Lays the interaction out as token ids.

        Raises:
            InvalidRequest: It has none of the fields that the evaluator reads.
        """
        order = self.encoding.order
        texts = {name: interaction.get(name) for name in order}
        missing = tuple(name for name in order if texts[name] is None)
        if len(missing) == len(order):
            raise InvalidRequest(
                order[0], f"absent; this evaluator reads {', '.join(sorted(order))} and got none"
            )
        # The batch form lets other threads run meanwhile; `encode` holds the interpreter's lock.
        encodings = self._tokenizer.encode_batch(
            [text or "" for text in texts.values()], add_special_tokens=False
        )
        read = {
            name: _Text(texts[name] or "", *self._without_frame(encoding.ids, encoding.offsets))
            for name, encoding in zip(order, encodings, strict=True)
        }
        runs, parts, scored, seen = self._lay_out(read)
        return Encoded(
            runs=tuple(runs),
            parts=tuple(parts),
            coverage={name: Coverage(scored[name], len(read[name])) for name in order},
            missing=missing,
            ignored=tuple(
                name for name in FIELDS if name not in order and interaction.get(name) is not None
            ),
            excerpts=tuple(
                {name: read[name].span(window) for name, window in one.items() if name in read}
                for one in seen
            ),
        )

    def least_length(self, interaction: Interaction) -> int:
        """Tokens that its runs have at least, at a fiftieth of what encoding it takes.

        Tokenizers cut at blanks, and make at least one token of what holds a letter or digit. Where
        a text is cut into windows, the longest of them has more than half of its share.
        """
        order, limits = self.encoding.order, self.encoding.windows
        most = self.encoding.max_length
        words = 0
        for name in order:
            share = getattr(limits, name, None)
            # Not past what a run can take: the event loop waits for this.
            seen = islice(
                _WORD.finditer(interaction.get(name) or ""), share // 2 if share else most
            )
            words += sum(1 for _ in seen)
        return min(1 + len(order) + words, most)

    def _without_frame(self, ids: list[int], offsets: list[Span]) -> tuple[list[int], list[Span]]:
        """Leaves out of a text the tokens that frame texts.

        Some vocabularies (SentencePiece's) hold "[SEP]" as a piece like any other, so that a text
        may spell it.
        """
        if self._frame.isdisjoint(ids):
            return ids, offsets
        own = [place for place, token in enumerate(ids) if token not in self._frame]
        return [ids[place] for place in own], [offsets[place] for place in own]

    def filler(self, length: int) -> Tokens:
        """A run of `length` tokens that says nothing, to try a graph with."""
        length = min(length, self.encoding.max_length)
        # All over the vocabulary, and always the same.
        ids = np.arange(1, length + 1, dtype=np.int64) * 7919 % self._tokenizer.get_vocab_size()
        return Tokens(ids, np.zeros(length, dtype=np.int64))

    def _lay_out(self, texts: _Texts) -> _Layout:
        """The runs an interaction takes."""
        lengths = {name: len(text) for name, text in texts.items()}
        kept = self._shares(lengths)
        if self.encoding.windows is not None and any(
            kept[name] < lengths[name] for name in _COMPARED if name in lengths
        ):
            return self._windowed(texts, kept, self.encoding.windows)
        words: dict[Field, Words] = {}
        if self.encoding.marks != "off":
            words = {name: self._words(texts, name) for name in texts}
        whole = {name: Window(0, count) for name, count in kept.items()}
        return _Layout([self._run(texts, whole, words)], [0], kept, [whole])

    def _shares(self, lengths: Mapping[Field, int]) -> Mapping[Field, int]:
        """Tokens of each field that a run has at most."""
        room, limits = self.encoding.max_length - 1 - len(lengths), self.encoding.windows
        if limits is None:
            return fit(lengths, room)
        kept = {name: min(lengths[name], getattr(limits, name, room)) for name in lengths}
        if "input" in kept:
            rest = sum(kept[name] for name in kept if name != "input")
            kept["input"] = min(kept["input"], room - rest)
        return kept

    def _windowed(self, texts: _Texts, kept: Mapping[Field, int], limits: Windows) -> _Layout:
        """As `_lay_out`, for texts of which each run takes a window."""
        given = Window(0, kept.get("input", 0))
        asked = self._words(texts, "input")
        outputs = self._windows(texts, "output", kept)[: limits.max_runs]
        truths = self._windows(texts, "ground_truth", kept)
        distinct = [{word for word, _, _ in words} for _, words in truths]

        runs, parts, compared = [], [], 0
        taken: list[Mapping[Field, Window]] = []
        for part, (output, said) in enumerate(outputs):
            wanted = marks.telling_words([*asked, *said])
            chosen = windows.nearest(wanted, distinct, limits.max_runs // len(outputs))
            for truth, known in (truths[index] for index in chosen):
                seen: dict[Field, Window] = {
                    "output": output,
                    "ground_truth": truth,
                    "input": given,
                }
                words: dict[Field, Words] = {
                    "output": said,
                    "ground_truth": known,
                    "input": asked,
                }
                runs.append(self._run(texts, seen, words))
                parts.append(part)
                taken.append(seen)
            compared += windows.covered([truths[index][0] for index in chosen])
        scored: dict[Field, int] = {
            "output": windows.covered([window for window, _ in outputs]),
            "ground_truth": compared // len(outputs),
            "input": given.end,
        }
        return _Layout(runs, parts, scored, taken)

    def _windows(
        self, texts: _Texts, name: Field, kept: Mapping[Field, int]
    ) -> list[tuple[Window, Words]]:
        """A field's windows, each with the words in it."""
        text = texts.get(name, _Text())
        words = self._words(texts, name)
        return [
            (window, marks.words_within(words, text.offsets[window.start : window.end]))
            for window in windows.cut(text.text, text.offsets, kept.get(name, 0))
        ]

    def _words(self, texts: _Texts, name: Field) -> Words:
        return marks.words_of(texts.get(name, _Text()).text, self.encoding.marks)

    def _run(
        self, texts: _Texts, kept: Mapping[Field, Window], words: Mapping[Field, Words]
    ) -> Tokens:
        """Lays out what is kept of each field, marked by the words in it."""
        ids: list[int] = [self.encoding.cls_id]
        flags = [np.zeros(1, dtype=np.int64)]
        by_word = self._marks_by_word(words)
        for name in self.encoding.order:
            start, end = kept[name]
            ids += texts[name].ids[start:end]
            ids.append(self.encoding.sep_id)
            own = words.get(name, []) if name in _COMPARED else []
            flags += [
                marks.mark(texts[name].offsets[start:end], own, by_word),
                np.zeros(1, dtype=np.int64),
            ]
        return Tokens(np.asarray(ids, dtype=np.int64), np.concatenate(flags))

    def _marks_by_word(self, words: Mapping[Field, Words]) -> Mapping[str, int]:
        if self.encoding.marks == "off":
            return {}
        kind = self.encoding.marks
        shared = marks.shared_words(words.get("output", []), words.get("ground_truth", []), kind)
        asked = words.get("input", []) if kind != "overlap" else []
        return marks.marks_by_word(shared, marks.telling_words(asked))


def fit(lengths: Mapping[Field, int], room: int) -> dict[Field, int]:
    """How many tokens each field keeps so that all fit into `room`.

    The ground truth is cut first, the output last; see `_CUT_ORDER`.
    """
    kept = dict(lengths)
    for name, share in _CUT_ORDER:
        excess = sum(kept.values()) - room
        if excess <= 0:
            break
        if name in kept:
            floor = 0 if name == "output" else min(kept[name], room // share)
            kept[name] = max(floor, kept[name] - excess)
    return kept
