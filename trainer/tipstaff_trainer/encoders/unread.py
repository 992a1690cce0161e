"""Measures how much of some rows an encoder can't read, and in which scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tokenizers import Tokenizer

from tipstaff.types import Field
from tipstaff_server.evaluator.manifest import UnreadText
from tipstaff_server.evaluator.unread import UnreadMeter
from tipstaff_trainer.data import Row
from tipstaff_trainer.encoders.scripts import script_of

# The most rows that are measured: enough to tell a share of one in a thousand.
_SAMPLE = 1000
# The most scripts of a field in a message.
_MOST_SCRIPTS = 5


def measure_unread(
    tokenizer: Tokenizer, rows: Sequence[Row], fields: Sequence[Field]
) -> dict[Field, UnreadText]:
    """What of each field can't be read, over the rows' characters; fields read whole are left out.

    Args:
        tokenizer: The encoder's tokenizer, without truncation.
        rows: At least one row; a part of them is measured if there are many.
        fields: The fields to measure.
    """
    meter = UnreadMeter(tokenizer)
    some = [rows[index].interaction for index in range(0, len(rows), -(-len(rows) // _SAMPLE))]
    measured = {}
    for name in fields:
        texts = [text for interaction in some if (text := interaction.get(name))]
        if (unread := _measure(tokenizer, meter, texts)).share:
            measured[name] = unread
    return measured


def unread_in_words(unread: Mapping[Field, UnreadText]) -> str:
    """What can't be read, as `98% of output (Thai 97%, Han 1%), 2% of input (Han 2%)`."""
    return ", ".join(
        f"{_percent(part.share)} of {name} ({_scripts(part)})" for name, part in unread.items()
    )


def _scripts(unread: UnreadText) -> str:
    names = list(unread.scripts)[:_MOST_SCRIPTS]
    return ", ".join(f"{name} {_percent(unread.scripts[name])}" for name in names)


def _percent(share: float) -> str:
    # Two digits, however small the share is.
    return f"{share:.0%}" if share >= 0.1 else f"{100 * share:.2g}%"


def _measure(tokenizer: Tokenizer, meter: UnreadMeter, texts: Sequence[str]) -> UnreadText:
    total, scripts = 0, Counter[str]()
    encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    for text, encoding in zip(texts, encodings, strict=True):
        characters = meter.characters(text, encoding.ids, encoding.offsets)
        total += int(characters.counted.sum())
        scripts.update(script_of(text[place]) for place in characters.unread.nonzero()[0])
    return UnreadText(
        share=scripts.total() / max(1, total),
        scripts={script: count / total for script, count in scripts.most_common()},
    )
