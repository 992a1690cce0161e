"""Converts text to token ids, in training and in serving.

The layout is `[CLS] output [SEP] ground_truth [SEP] input [SEP]`, with the fields that the manifest
names, in its order. An absent field leaves its place empty, so that the others keep theirs.

An interaction that is too long for one run takes several if the manifest says so, each with a
window of the output and one of the ground truth (see `windows`). Otherwise it is cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
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
from tipstaff_server.evaluator.unread import UnreadMeter
from tipstaff_server.evaluator.windows import Span, Window

# Called between the steps of encoding; may raise, to stop it.
Checkpoint = Callable[[], None]

# Not \S: some tokenizers remove other characters that Python counts as blanks, without cutting
# there.
_WORD = re.compile(r"\w[^ \t\r\n]*")

# The fields whose words are compared.
_COMPARED: tuple[Field, ...] = ("output", "ground_truth")
# Without windows: the order in which the fields of an over-long interaction are cut, and which part
# of the room each keeps. The ground truth is cut down to a quarter, then the input to an eighth,
# and the output only after both.
_CUT_ORDER: tuple[tuple[Field, int], ...] = (("ground_truth", 4), ("input", 8), ("output", 1))


@dataclass(frozen=True, slots=True)
class Tokens:
    """The graph's input for one run.

    Attributes:
        ids: Token ids, shape (length,).
        marks: The mark of each token's word (see `marks`), shape (length,).
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
        parts: The index of each run's window of the output, shape (runs,).
        coverage: For each field the evaluator reads: tokens scored and total, and what of it can't
            be read. If the windows of the output were compared with different parts of the ground
            truth, its tokens scored are their mean.
        missing: Fields that the evaluator reads and the interaction lacks.
        ignored: Fields that the interaction has and the evaluator doesn't read.
        excerpts: For each run, where the excerpt of each field's text that it reads starts and
            ends, shape (runs,).
    """

    runs: tuple[Tokens, ...]
    parts: tuple[int, ...]
    coverage: Mapping[Field, Coverage]
    missing: tuple[Field, ...] = ()
    ignored: tuple[Field, ...] = ()
    excerpts: tuple[Mapping[Field, Span], ...] = ()

    def __len__(self) -> int:
        """The number of tokens in all runs."""
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
        """Where a window of tokens starts and ends in the text."""
        if len(self) == window.end - window.start:
            return 0, len(self.text)
        if window.start == window.end:
            return 0, 0
        return self.offsets[window.start][0], self.offsets[window.end - 1][1]


_Texts = Mapping[Field, _Text]


class _Excerpt(NamedTuple):
    """The part of a field's text that a run reads.

    Attributes:
        window: Its tokens.
        words: Its words; empty if the manifest has no marks and there is only one run.
        content: Its distinct words, without stop words.
    """

    window: Window
    words: Words
    content: frozenset[str]


_Excerpts = Mapping[Field, _Excerpt]


class _Layout(NamedTuple):
    """An interaction's runs.

    Attributes:
        runs: The runs, shape (runs,).
        parts: The index of each run's window of the output, shape (runs,).
        scored: Tokens of each field that are read.
        windows: Each run's window of each field, shape (runs,).
    """

    runs: Sequence[Tokens]
    parts: Sequence[int]
    scored: Mapping[Field, int]
    windows: Sequence[Mapping[Field, Window]]


def go_on() -> None:
    """The checkpoint that stops nothing."""


class Encoder:
    """Encodes interactions for one evaluator. Safe to call from several threads."""

    def __init__(self, tokenizer_json: str, encoding: Encoding) -> None:
        self._tokenizer = Tokenizer.from_str(tokenizer_json)
        # Texts are data: "[SEP]" in one of them must not become the token that separates fields.
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        vocabulary = self._tokenizer.get_vocab_size()
        for name in ("cls_id", "sep_id", "pad_id"):
            if getattr(encoding, name) >= vocabulary:
                raise ValueError(
                    f"it has {vocabulary} tokens, and {name} in the manifest is not one of them"
                )
        self.encoding = encoding
        self._frame = frozenset((encoding.cls_id, encoding.sep_id, encoding.pad_id))
        self._unread = UnreadMeter(self._tokenizer, self._frame)

    def encode(self, interaction: Interaction, checkpoint: Checkpoint = go_on) -> Encoded:
        """Converts an interaction to token ids.

        The time is n log n in the bytes of text at most, whatever the text.

        Args:
            interaction: The interaction.
            checkpoint: Called between steps; may raise, to stop here. The longest step is the
                tokenizer's.

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
        checkpoint()
        fields, unread = {}, {}
        for name, encoding in zip(order, encodings, strict=True):
            text, ids, offsets = texts[name] or "", encoding.ids, encoding.offsets
            unread[name] = self._unread.measure(text, ids, offsets)
            fields[name] = _Text(text, *self._without_frame(ids, offsets))
            checkpoint()
        layout = self._lay_out(fields, checkpoint)
        return Encoded(
            runs=tuple(layout.runs),
            parts=tuple(layout.parts),
            coverage={
                name: Coverage(layout.scored[name], len(fields[name]), *unread[name])
                for name in order
            },
            missing=missing,
            ignored=tuple(
                name for name in FIELDS if name not in order and interaction.get(name) is not None
            ),
            excerpts=tuple(
                {name: fields[name].span(window) for name, window in run.items() if name in fields}
                for run in layout.windows
            ),
        )

    def least_length(self, interaction: Interaction) -> int:
        """The fewest tokens that a run can have, in a fiftieth of the time that encoding takes.

        Tokenizers cut at blanks, and make at least one token of any word with a letter or digit. If
        a text is cut into windows, the longest of them has more than half of its limit.
        """
        order, limits = self.encoding.order, self.encoding.windows
        most = self.encoding.max_length
        words = 0
        for name in order:
            share = getattr(limits, name, None)
            # No further than a run can take: the event loop waits for this.
            matches = islice(
                _WORD.finditer(interaction.get(name) or ""), share // 2 if share else most
            )
            words += sum(1 for _ in matches)
        return min(1 + len(order) + words, most)

    def _without_frame(self, ids: list[int], offsets: list[Span]) -> tuple[list[int], list[Span]]:
        """Removes special tokens from a text's tokens.

        Some vocabularies (SentencePiece's) hold "[SEP]" as an ordinary piece, so that a text may
        spell it.
        """
        if self._frame.isdisjoint(ids):
            return ids, offsets
        own = [place for place, token in enumerate(ids) if token not in self._frame]
        return [ids[place] for place in own], [offsets[place] for place in own]

    def filler(self, length: int) -> Tokens:
        """A run of `length` meaningless tokens, or of the most that fit."""
        length = min(length, self.encoding.max_length)
        # From all over the vocabulary, and always the same.
        ids = np.arange(1, length + 1, dtype=np.int64) * 7919 % self._tokenizer.get_vocab_size()
        return Tokens(ids, np.zeros(length, dtype=np.int64))

    def _lay_out(self, texts: _Texts, checkpoint: Checkpoint) -> _Layout:
        """The runs an interaction takes."""
        lengths = {name: len(text) for name, text in texts.items()}
        shares = self._shares(lengths)
        if self.encoding.windows is not None and any(
            shares[name] < lengths[name] for name in _COMPARED if name in lengths
        ):
            return self._windowed(texts, shares, self.encoding.windows, checkpoint)
        run = {}
        for name, text in texts.items():
            words = self._words(text) if self.encoding.marks != "off" else []
            run[name] = _excerpt(Window(0, shares[name]), words)
            checkpoint()
        windows_read = {name: excerpt.window for name, excerpt in run.items()}
        return _Layout([self._run(texts, run)], [0], shares, [windows_read])

    def _shares(self, lengths: Mapping[Field, int]) -> Mapping[Field, int]:
        """The most tokens of each field in a run."""
        room, limits = self.encoding.max_length - 1 - len(lengths), self.encoding.windows
        if limits is None:
            return fit(lengths, room)
        shares = {name: min(lengths[name], getattr(limits, name, room)) for name in lengths}
        if "input" in shares:
            rest = sum(shares[name] for name in shares if name != "input")
            shares["input"] = min(shares["input"], room - rest)
        return shares

    def _windowed(
        self, texts: _Texts, shares: Mapping[Field, int], limits: Windows, checkpoint: Checkpoint
    ) -> _Layout:
        """Lays out several runs, each with a window of output and ground truth."""
        whole_input = _excerpt(
            Window(0, shares.get("input", 0)), self._words(texts.get("input", _Text()))
        )
        checkpoint()
        outputs = self._windows(texts, "output", shares, limits.max_runs)
        checkpoint()
        truths = self._windows(texts, "ground_truth", shares)
        checkpoint()
        wordings = [truth.content for truth in truths]
        most = limits.max_runs // len(outputs)
        weights = windows.rarities(wordings) if len(wordings) > most else {}

        runs, parts, compared = [], [], 0
        run_windows: list[Mapping[Field, Window]] = []
        for part, output in enumerate(outputs):
            query = whole_input.content | output.content
            chosen = windows.nearest(query, wordings, most, weights)
            for truth in (truths[index] for index in chosen):
                run: _Excerpts = {"output": output, "ground_truth": truth, "input": whole_input}
                runs.append(self._run(texts, run))
                parts.append(part)
                run_windows.append({name: excerpt.window for name, excerpt in run.items()})
            compared += windows.covered([truths[index].window for index in chosen])
            checkpoint()
        scored: dict[Field, int] = {
            "output": windows.covered([output.window for output in outputs]),
            "ground_truth": compared // len(outputs),
            "input": whole_input.window.end,
        }
        return _Layout(runs, parts, scored, run_windows)

    def _windows(
        self, texts: _Texts, name: Field, shares: Mapping[Field, int], most: int | None = None
    ) -> list[_Excerpt]:
        """A field's windows, at most the first `most`."""
        text = texts.get(name, _Text())
        words = self._words(text)
        return [
            _excerpt(window, marks.words_within(words, text.offsets[window.start : window.end]))
            for window in windows.cut(text.text, text.offsets, shares.get(name, 0))[:most]
        ]

    def _words(self, text: _Text) -> Words:
        return marks.words_of(text.text, self.encoding.marks)

    def _run(self, texts: _Texts, run: _Excerpts) -> Tokens:
        """Lays out one run from an excerpt of each field, with the marks of its words."""
        ids: list[int] = [self.encoding.cls_id]
        flags = [np.zeros(1, dtype=np.int64)]
        by_word = self._marks_by_word(run)
        for name in self.encoding.order:
            (start, end), words, _ = run[name]
            ids += texts[name].ids[start:end]
            ids.append(self.encoding.sep_id)
            own = words if name in _COMPARED else []
            flags += [
                marks.mark(texts[name].offsets[start:end], own, by_word),
                np.zeros(1, dtype=np.int64),
            ]
        return Tokens(np.asarray(ids, dtype=np.int64), np.concatenate(flags))

    def _marks_by_word(self, run: _Excerpts) -> Mapping[str, int]:
        kind = self.encoding.marks
        if kind == "off":
            return {}
        content = {name: excerpt.content for name, excerpt in run.items()}
        ours, theirs = (content.get(name, frozenset()) for name in _COMPARED)
        in_input = content.get("input", frozenset()) if kind != "overlap" else frozenset()
        # Only words of the two are marked: of a long input, each run takes what it needs.
        return marks.marks_by_word(marks.shared(ours, theirs, kind), in_input & (ours | theirs))


def _excerpt(window: Window, words: Words) -> _Excerpt:
    return _Excerpt(window, words, marks.content_words(words))


def fit(lengths: Mapping[Field, int], room: int) -> dict[Field, int]:
    """How many tokens each field keeps, so that all fit into `room`.

    The ground truth is cut first, the output last; see `_CUT_ORDER`.
    """
    shares = dict(lengths)
    for name, part in _CUT_ORDER:
        excess = sum(shares.values()) - room
        if excess <= 0:
            break
        if name in shares:
            floor = 0 if name == "output" else min(shares[name], room // part)
            shares[name] = max(floor, shares[name] - excess)
    return shares
