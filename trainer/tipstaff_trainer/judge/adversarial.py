"""Rows whose texts address the judge: they imitate its tags or its verdict, or give it orders.

Such texts are shown to the judge as what they are, between tags that they don't hold, and they
can't plant a verdict (`answers`). They may still sway a judge: people should look at its labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tipstaff_trainer.data import Row
from tipstaff_trainer.judge.criteria import row_texts, text_of_column

_ADDRESSES = re.compile(
    r"""
    </?\s*(?:input|output|ground_truth|think(?:ing)?)(?:-\d+)?\s*>  # the prompt's tags
    | \[/?THINK\] | <\|(?:channel|im_start|im_end|start|end)\|>
    | ["']verdict["']\s*:                                             # the reply's form
    | ^\s*(?:final\s+)?verdict\s*[:=]
    | \b(?:ignore|disregard|forget|override)\b.{0,40}
      \b(?:instruction|prompt|rule|criteri|above|previous)
    | \b(?:reply|answer|respond|output|say|return|write)\b\s+(?:only\s+|just\s+)?(?:with\s+)?
      ["'*]?(?:yes|pass|true|1)["'*]?\s*(?:[.!,;]|$|\band\b)
    | \b(?:dear|hello|note\s+to(?:\s+the)?|attention)[\s,:]+(?:ai\s+)?(?:judge|grader|evaluator)\b
    | \byou\s+are\s+(?:now\s+)?(?:a|an|the)\s+(?:\w+\s+)?(?:judge|grader|evaluator)\b
    | \b(?:mark|rate|score|grade|judge|label|classify)\b\s+(?:this|it|my|the)\b.{0,30}\bas\s+
      (?:correct|faithful|good|passing|pass|met|relevant|true)\b
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)


def addresses_the_judge(row: Row, columns: Sequence[str]) -> bool:
    """Whether a text of the row, in one of the columns that the judge sees, addresses it."""
    texts = row_texts(row)
    return any(_ADDRESSES.search(text_of_column(texts, name)) for name in columns)


def warning_of(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """A warning that names how many rows address the judge; empty if none does."""
    count, first = 0, ""
    for row in rows:
        if addresses_the_judge(row, columns):
            count += 1
            first = first or row.place or row.id
    if not count:
        return ""
    which = "1 row addresses" if count == 1 else f"{count} rows address"
    return (
        f"{which} the judge (tags, a verdict or orders in its texts); the first is {first}: "
        "look at what the judge made of such rows"
    )
