"""Text to token ids: the one place that does so, in training and in serving.

The layout is `[CLS] output [SEP] ground_truth [SEP] input [SEP]`, over the fields that the manifest
names, in its order. An absent field leaves its place empty, so that the others keep theirs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from tipstaff.types import FIELDS, Coverage, Field, Interaction
from tipstaff_server.errors import InvalidRequest
from tipstaff_server.evaluator import marks
from tipstaff_server.evaluator.manifest import Encoding

Span = tuple[int, int]

# Not \S: what else Python takes for a blank, some tokenizers take out without a cut.
_WORD = re.compile(r"\w[^ \t\r\n]*")

# What an over-long interaction loses first, and the share of the room it keeps: the ground truth
# down to a quarter, then the input down to an eighth, and the output only when both are at theirs.
_CUT_ORDER: tuple[tuple[Field, int], ...] = (("ground_truth", 4), ("input", 8), ("output", 1))


@dataclass(frozen=True, slots=True)
class Encoded:
    """One interaction as the graph takes it.

    Attributes:
        ids: Token ids, shape (length,).
        marks: 1 where a token's word is shared between output and ground truth, shape (length,).
        coverage: For each field the evaluator reads: tokens scored and total.
        missing: Fields the evaluator reads and the interaction lacks.
        ignored: Fields the interaction has and the evaluator doesn't read.
    """

    ids: npt.NDArray[np.int64]
    marks: npt.NDArray[np.int64]
    coverage: Mapping[Field, Coverage]
    missing: tuple[Field, ...] = ()
    ignored: tuple[Field, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def partial(self) -> bool:
        """Whether some of the text was left out."""
        return any(coverage.partial for coverage in self.coverage.values())


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
        tokens = {
            name: self._without_frame(encoding.ids, encoding.offsets)
            for name, encoding in zip(order, encodings, strict=True)
        }
        lengths = {name: len(ids) for name, (ids, _) in tokens.items()}
        kept = fit(lengths, self.encoding.max_length - 1 - len(order))
        marked = self._marks(texts, {name: offsets for name, (_, offsets) in tokens.items()})

        ids: list[int] = [self.encoding.cls_id]
        flags = [np.zeros(1, dtype=np.int64)]
        for name in order:
            ids += tokens[name][0][: kept[name]]
            ids.append(self.encoding.sep_id)
            flags += [marked[name][: kept[name]], np.zeros(1, dtype=np.int64)]
        return Encoded(
            ids=np.asarray(ids, dtype=np.int64),
            marks=np.concatenate(flags),
            coverage={name: Coverage(kept[name], lengths[name]) for name in order},
            missing=missing,
            ignored=tuple(
                name for name in FIELDS if name not in order and interaction.get(name) is not None
            ),
        )

    def least_length(self, interaction: Interaction) -> int:
        """Tokens that the interaction has at least, at a fiftieth of what encoding it takes.

        Tokenizers cut at blanks, and make at least one token of what holds a letter or digit.
        """
        order, most = self.encoding.order, self.encoding.max_length
        # Not past what a run can take: the event loop waits for this.
        words = sum(
            1 for name in order for _ in islice(_WORD.finditer(interaction.get(name) or ""), most)
        )
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

    def filler(self, length: int) -> Encoded:
        """An input of `length` tokens that says nothing, to try a graph with."""
        length = min(length, self.encoding.max_length)
        # All over the vocabulary, and always the same.
        ids = np.arange(1, length + 1, dtype=np.int64) * 7919 % self._tokenizer.get_vocab_size()
        return Encoded(
            ids=ids,
            marks=np.zeros(length, dtype=np.int64),
            coverage={},
        )

    def _marks(
        self,
        texts: Mapping[Field, str | None],
        offsets: Mapping[Field, Sequence[tuple[int, int]]],
    ) -> dict[Field, npt.NDArray[np.int64]]:
        marked = {name: np.zeros(len(spans), dtype=np.int64) for name, spans in offsets.items()}
        output, truth = texts.get("output"), texts.get("ground_truth")
        if self.encoding.marks == "overlap" and output and truth:
            words = {"output": marks.words_of(output), "ground_truth": marks.words_of(truth)}
            shared = marks.shared_words(words["output"], words["ground_truth"])
            for name in ("output", "ground_truth"):
                marked[name] = marks.mark(offsets[name], words[name], shared)
        return marked


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
