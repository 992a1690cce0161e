"""Converts text to token ids, in training and in serving; `layout` arranges them in runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from tokenizers import Tokenizer

from tipstaff.types import FIELDS, Coverage, Field, Interaction
from tipstaff_server.errors import BundleError, InvalidRequest
from tipstaff_server.evaluator import marks
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.evidence import EvidenceMeter
from tipstaff_server.evaluator.framing import Framing
from tipstaff_server.evaluator.layout import Checkpoint, LayoutBuilder, Text, Tokens, go_on
from tipstaff_server.evaluator.look_alikes import fold_look_alikes
from tipstaff_server.evaluator.manifest import TOKENIZER_FILE, Encoding
from tipstaff_server.evaluator.unread import UnreadMeter
from tipstaff_server.evaluator.windows import Span, deciding_run_index

# Not \S: some tokenizers remove other characters that Python counts as blanks, without cutting
# there.
_WORD = re.compile(r"\w[^ \t\r\n]*")
# Words that no vocabulary has, in letters that few have.
_UNKNOWN = "zqxj \u2603 \u01c2\u16a0"


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
        handicaps: What each run's logit counts less when the best is chosen, shape (runs,); empty
            for 0. See `windows`.
        lengths: Tokens of each field, for the out-of-distribution score; shape (fields,). A ground
            truth that is searched for the nearest part counts as that part.
    """

    runs: tuple[Tokens, ...]
    parts: tuple[int, ...]
    coverage: Mapping[Field, Coverage]
    missing: tuple[Field, ...] = ()
    ignored: tuple[Field, ...] = ()
    excerpts: tuple[Mapping[Field, Span], ...] = ()
    handicaps: tuple[float, ...] = ()
    lengths: tuple[int, ...] = ()

    def __len__(self) -> int:
        """The number of tokens in all runs."""
        return sum(map(len, self.runs))

    def deciding_run(self, logits: Sequence[float]) -> int:
        """The index of the run whose logit decides.

        Args:
            logits: One for each run, shape (runs,).
        """
        return deciding_run_index(logits, self.parts, self.handicaps)

    @property
    def partial(self) -> bool:
        """Whether some of the text was left out."""
        return any(coverage.partial for coverage in self.coverage.values())


class Encoder:
    """Encodes interactions for one evaluator. Safe to call from several threads."""

    def __init__(
        self,
        tokenizer_json: str,
        encoding: Encoding,
        evidence: EvidenceMeter | None = None,
        framing: Framing | None = None,
    ) -> None:
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
        if evidence is not None and len(evidence.weights) != vocabulary:
            raise ValueError(
                f"it has {vocabulary} tokens, and {encoding.evidence} has "
                f"{len(evidence.weights)} weights"
            )
        self._framing = framing
        self._layouts = LayoutBuilder(encoding, evidence)
        self._unread = UnreadMeter(self._tokenizer, self._frame)
        # One that can't encode unknown words fails here, not in the first call that has some.
        self._tokenizer.encode_batch([_UNKNOWN], add_special_tokens=False)

    def warm_up(self) -> None:
        """Does beforehand what the first texts would have to wait for."""
        self._unread.warm_up()
        marks.warm_up()

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
        if self.encoding.fold_look_alikes:
            texts = {name: text and fold_look_alikes(text) for name, text in texts.items()}
        if self._framing is not None and (output := texts.get("output")):
            question = texts.get("input") or interaction.input or ""
            texts["output"] = self._framing.blank(output, question)
        # The batch form lets other threads run meanwhile; `encode` holds the interpreter's lock.
        encodings = self._tokenizer.encode_batch(
            [text or "" for text in texts.values()], add_special_tokens=False
        )
        checkpoint()
        fields, unread = {}, {}
        for name, encoding in zip(order, encodings, strict=True):
            text, ids, offsets = texts[name] or "", encoding.ids, encoding.offsets
            unread[name] = self._unread.measure(text, ids, offsets)
            fields[name] = Text(text, *self._without_frame(ids, offsets))
            checkpoint()
        layout = self._layouts.lay_out(fields, checkpoint)
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
            handicaps=tuple(layout.handicaps),
            lengths=tuple(self._familiar_length(name, len(fields[name])) for name in order),
        )

    def _familiar_length(self, name: Field, tokens: int) -> int:
        limits = self.encoding.windows
        if name != "ground_truth" or limits is None or not limits.handicap:
            return tokens
        return min(tokens, limits.close_up or limits.ground_truth)

    def least_length(self, interaction: Interaction) -> int:
        """The fewest tokens that a run can have, in a fiftieth of the time that encoding takes.

        Tokenizers cut at blanks, and make at least one token of any word with a letter or digit. If
        a text is cut into windows, the longest of them has more than half of its limit.
        """
        order, limits = self.encoding.order, self.encoding.windows
        most = self.encoding.max_length
        words = 0
        for name in order:
            if name == "output" and self._framing is not None:
                continue  # all but a word of it may be framing
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


def load_encoder(bundle: Bundle) -> Encoder:
    """Loads a bundle's encoder.

    Raises:
        BundleError: A file changed, or can't be read.
    """
    encoding = bundle.manifest.encoding
    evidence = framing = None
    if encoding.evidence is not None:
        evidence = bundle.load(encoding.evidence, EvidenceMeter.load)
    if encoding.framing is not None:
        framing = bundle.load(encoding.framing, Framing.load)
    tokenizer_json = bundle.tokenizer_json()
    try:
        return Encoder(tokenizer_json, encoding, evidence, framing)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # tokenizers raises plain exceptions, and panics
        file = bundle.path / TOKENIZER_FILE
        raise BundleError(file, f"tokenizers can't load it: {error}") from error
