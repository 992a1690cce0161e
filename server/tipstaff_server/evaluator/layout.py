"""Lays out an interaction as the runs that it takes.

A run is `[CLS] output [SEP] ground_truth [SEP] input [SEP]`, with the fields that the manifest
names, in its order. An absent field leaves its place empty, so that the others keep theirs.

An interaction that is too long for one run takes several if the manifest says so, each with a
window of the output and one of the ground truth (see `windows`). Otherwise it is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tipstaff.types import Field
from tipstaff_server.evaluator import evidence, marks, windows
from tipstaff_server.evaluator.evidence import EvidenceMeter
from tipstaff_server.evaluator.manifest import Encoding, Windows
from tipstaff_server.evaluator.marks import Words
from tipstaff_server.evaluator.windows import Span, Window, Wordings

# Called between the steps of encoding; may raise, to stop it.
Checkpoint = Callable[[], None]

# The fields whose words are compared.
COMPARED: tuple[Field, ...] = ("output", "ground_truth")
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
        evidence: What its words say by themselves (see `evidence`), shape (len(NAMES),); zeros
            where the evaluator doesn't ask for it.
    """

    ids: npt.NDArray[np.int64]
    marks: npt.NDArray[np.int64]
    evidence: npt.NDArray[np.float32] = field(default_factory=lambda: evidence.NONE)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Text:
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


Texts = Mapping[Field, Text]


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


class Layout(NamedTuple):
    """An interaction's runs.

    Attributes:
        runs: The runs, shape (runs,).
        parts: The index of each run's window of the output, shape (runs,).
        scored: Tokens of each field that are read.
        windows: Each run's window of each field, shape (runs,).
        handicaps: What each run's logit counts less when the best is chosen, shape (runs,); empty
            for 0.
    """

    runs: Sequence[Tokens]
    parts: Sequence[int]
    scored: Mapping[Field, int]
    windows: Sequence[Mapping[Field, Window]]
    handicaps: Sequence[float] = ()


def go_on() -> None:
    """The checkpoint that stops nothing."""


class LayoutBuilder:
    """Lays out interactions for one encoding."""

    def __init__(self, encoding: Encoding, meter: EvidenceMeter | None = None) -> None:
        self._encoding = encoding
        self._meter = meter

    def lay_out(self, texts: Texts, checkpoint: Checkpoint) -> Layout:
        """The runs that an interaction takes.

        Args:
            texts: The fields that the evaluator reads, in its order.
            checkpoint: Called between steps; may raise, to stop here.
        """
        lengths = {name: len(text) for name, text in texts.items()}
        shares = self._shares(lengths)
        if self._encoding.windows is not None and any(
            shares[name] < lengths[name] for name in COMPARED if name in lengths
        ):
            return self._windowed(texts, shares, self._encoding.windows, checkpoint)
        run = {}
        for name, text in texts.items():
            words = self._words(text) if self._encoding.marks != "off" else []
            run[name] = _excerpt(Window(0, shares[name]), words)
            checkpoint()
        windows_read = {name: excerpt.window for name, excerpt in run.items()}
        return Layout([self._run(texts, run)], [0], shares, [windows_read])

    def _shares(self, lengths: Mapping[Field, int]) -> Mapping[Field, int]:
        """The most tokens of each field in a run."""
        room, limits = self._encoding.max_length - 1 - len(lengths), self._encoding.windows
        if limits is None:
            return fit(lengths, room)
        shares = {name: min(lengths[name], getattr(limits, name, room)) for name in lengths}
        if "input" in shares:
            rest = sum(shares[name] for name in shares if name != "input")
            shares["input"] = min(shares["input"], room - rest)
        return shares

    def _windowed(
        self, texts: Texts, shares: Mapping[Field, int], limits: Windows, checkpoint: Checkpoint
    ) -> Layout:
        """Lays out several runs, each with a window of output and ground truth.

        Each window of the output also meets a close-up of the ground truth: the part of the nearest
        window that is nearest in wording.
        """
        whole_input = _excerpt(
            Window(0, shares.get("input", 0)), self._words(texts.get("input", Text()))
        )
        checkpoint()
        outputs = self._windows(texts, "output", shares.get("output", 0))[: limits.max_runs]
        checkpoint()
        truths = self._windows(texts, "ground_truth", shares.get("ground_truth", 0))
        checkpoint()
        wordings = Wordings([truth.content for truth in truths], whole_input.content)
        most = limits.max_runs // len(outputs)
        close_up = limits.close_up if len(truths) > 1 and most > 1 else None
        most -= close_up is not None

        runs, parts, handicaps, compared = [], [], [], 0
        run_windows: list[Mapping[Field, Window]] = []
        for part, output in enumerate(outputs):
            nearness = wordings.nearness(output.content)
            chosen = windows.nearest(nearness, most)
            read = [truths[index] for index in chosen]
            compared += windows.covered([truth.window for truth in read])
            nearest = max(range(len(truths)), key=nearness.__getitem__)
            handicaps += [
                limits.handicap * (nearness[nearest] - nearness[index]) for index in chosen
            ]
            if close_up is not None:
                pieces = _pieces(texts["ground_truth"], truths[nearest], close_up)
                contents = [piece.content for piece in pieces]
                of_pieces = wordings.nearness_of(contents, output.content)
                read += [pieces[index] for index in windows.nearest(of_pieces, 1)]
                handicaps.append(0.0)
            for truth in read:
                run: _Excerpts = {"output": output, "ground_truth": truth, "input": whole_input}
                runs.append(self._run(texts, run))
                parts.append(part)
                run_windows.append({name: excerpt.window for name, excerpt in run.items()})
            checkpoint()
        scored: dict[Field, int] = {
            "output": windows.covered([output.window for output in outputs]),
            "ground_truth": compared // len(outputs),
            "input": whole_input.window.end,
        }
        return Layout(runs, parts, scored, run_windows, handicaps if limits.handicap else ())

    def _windows(self, texts: Texts, name: Field, size: int) -> list[_Excerpt]:
        """A field's windows of at most `size` tokens."""
        text = texts.get(name, Text())
        words = self._words(text)
        return _excerpts(text, words, windows.cut(text.text, text.offsets, size))

    def _words(self, text: Text) -> Words:
        return marks.words_of(text.text, self._encoding.marks)

    def _run(self, texts: Texts, run: _Excerpts) -> Tokens:
        """Lays out one run from an excerpt of each field, with the marks of its words."""
        ids: list[int] = [self._encoding.cls_id]
        flags = [np.zeros(1, dtype=np.int64)]
        by_word = self._marks_by_word(run)
        for name in self._encoding.order:
            (start, end), words, _ = run[name]
            ids += texts[name].ids[start:end]
            ids.append(self._encoding.sep_id)
            own = words if name in COMPARED else []
            flags += [
                marks.mark(texts[name].offsets[start:end], own, by_word),
                np.zeros(1, dtype=np.int64),
            ]
        return Tokens(
            np.asarray(ids, dtype=np.int64), np.concatenate(flags), self._evidence(texts, run)
        )

    def _evidence(self, texts: Texts, run: _Excerpts) -> npt.NDArray[np.float32]:
        if self._meter is None:
            return evidence.NONE

        def ids(name: Field) -> Sequence[int]:
            return texts[name].ids[slice(*run[name].window)] if name in texts else ()

        output = texts.get("output", Text())
        spans = output.offsets[slice(*run["output"].window)] if "output" in texts else ()
        capitals = [
            token
            for token, (start, _) in zip(ids("output"), spans, strict=True)
            if output.text[start].isupper()
        ]
        return self._meter.measure(ids("output"), ids("ground_truth"), ids("input"), capitals)

    def _marks_by_word(self, run: _Excerpts) -> Mapping[str, int]:
        kind = self._encoding.marks
        if kind == "off":
            return {}
        content = {name: excerpt.content for name, excerpt in run.items()}
        ours, theirs = (content.get(name, frozenset()) for name in COMPARED)
        in_input = content.get("input", frozenset()) if kind != "overlap" else frozenset()
        # Only words of the two are marked: of a long input, each run takes what it needs.
        return marks.marks_by_word(marks.shared(ours, theirs, kind), in_input & (ours | theirs))


def _pieces(text: Text, excerpt: _Excerpt, size: int) -> list[_Excerpt]:
    """An excerpt in windows of at most `size` tokens."""
    first, last = excerpt.window
    start, end = text.span(excerpt.window)
    # Alone: cutting takes a time that grows with the whole text.
    offsets = [(a - start, b - start) for a, b in text.offsets[first:last]]
    pieces = windows.cut(text.text[start:end], offsets, size)
    shifted = [Window(first + piece.start, first + piece.end) for piece in pieces]
    return _excerpts(text, excerpt.words, shifted)


def _excerpts(text: Text, words: Words, cut: Sequence[Window]) -> list[_Excerpt]:
    """The excerpts of some windows of a text, whose words are among `words`."""
    return [
        _excerpt(window, marks.words_within(words, text.offsets[window.start : window.end]))
        for window in cut
    ]


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
