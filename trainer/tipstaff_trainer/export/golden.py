"""Golden interactions: what a server scores when it starts, to see that it scores as measured.

They are in the manifest, which goes wherever the bundle goes. So their texts are made up, unless
rows of the data are asked for. What matters is that they take every path of the encoding: matching
and differing words, long texts, a missing field, letters beyond ASCII.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt

from tipstaff.types import FIELDS, Interaction
from tipstaff_server.evaluator.encoding import Encoded, Encoder
from tipstaff_server.evaluator.manifest import GoldenInteraction
from tipstaff_trainer.data import Row

# Kinds other than plain ones get one golden interaction in so many.
_RARE = 8
# How many are scored for each that is taken, and at least: enough to find high and low scores.
_POOL, _LEAST_POOL = 4, 48
# A true answer, a false one, a vague or foreign one, and one that is partly true.
_ANSWERS = 4

_THINGS = ("lamp", "ticket", "garden", "invoice", "train", "recipe", "password", "café", "Straße")
_FACTS = (
    "opens at 9:30 on Monday",
    "costs 14 euros, or 12 with a card",
    "is on the third floor, next to the blue door",
    "needs two eggs and 250 g of flour",
    "was changed in 1987 — by hand",
    "can be returned within 30 days",
    "leaves every hour from platform 7",
)
_ASIDES = (
    "I am sorry, I don't know.",
    "Bananas are yellow; the moon is far away 🙂.",
    "请看第二页。",
    "{'status': 404, 'items': []}",
)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Interactions of one kind, some of which become golden.

    Attributes:
        interactions: The interactions.
        encoded: Their encodings, in the same order.
        count: How many are taken.
    """

    interactions: Sequence[Interaction]
    encoded: Sequence[Encoded]
    count: int


def candidates_of_rows(
    rows: Sequence[Row], encoded: Sequence[Encoded], count: int
) -> list[Candidates]:
    """Rows of the data, word for word."""
    pool = np.linspace(0, len(rows) - 1, min(len(rows), max(_POOL * count, _LEAST_POOL)))
    places = pool.astype(int)
    interactions = [rows[place].interaction for place in places]
    return [Candidates(interactions, [encoded[place] for place in places], count)]


def made_up_candidates(encoder: Encoder, count: int) -> list[Candidates]:
    """Made-up interactions: plain ones, long ones, and ones that lack a field."""
    order = encoder.encoding.order
    rare = -(-count // _RARE) if count > 2 else 0
    plain = [_only(order, each) for each in _plain(max(_POOL * count, _LEAST_POOL))]
    # Of those with a true sentence, as a long text of unknown letters would exercise little.
    long = [_lengthened(encoder, each) for each in plain[::_ANSWERS][: _POOL * rare]]
    lacking = [
        replace(each, **{order[place % len(order)]: None})
        for place, each in enumerate(plain[: _POOL * rare])
        if len(order) > 1
    ]
    kinds = [(lacking, rare if lacking else 0), (long, rare)]
    kinds.append((plain, count - sum(part for _, part in kinds)))
    return [
        Candidates(kind, [encoder.encode(each) for each in kind], part)
        for kind, part in kinds
        if part
    ]


def choose_golden(
    candidates: Sequence[Candidates],
    score: Callable[[Sequence[Encoded]], npt.NDArray[np.float64]],
) -> tuple[GoldenInteraction, ...]:
    """Takes interactions of each kind, spread over their scores, so that drift shows at any.

    Args:
        candidates: The kinds.
        score: Scores encodings as the server does; returns shape (n,).
    """
    golden: list[GoldenInteraction] = []
    for kind in candidates:
        scores = score(kind.encoded)
        ranked = np.argsort(scores)
        places = np.linspace(0, len(ranked) - 1, min(kind.count, len(ranked))).astype(int)
        golden += (
            GoldenInteraction(**asdict(kind.interactions[index]), score=float(scores[index]))
            for index in ranked[np.unique(places)]
        )
    return tuple(golden)


def _plain(count: int) -> list[Interaction]:
    """Questions with answers of each kind in turn; the same ones each time."""
    dice = random.Random(0)
    interactions = []
    for place in range(count):
        thing, other = dice.sample(_THINGS, 2)
        fact, wrong = dice.sample(_FACTS, 2)
        aside = dice.choice(_ASIDES)
        outputs = (f"The {thing} {fact}.", f"The {other} {wrong}.", aside, f"{aside} It {fact}.")
        truth = f"The {thing} {fact}. The {other} {dice.choice(_FACTS)}."
        output = outputs[place % _ANSWERS]
        interactions.append(Interaction(f"What about the {thing}?", output, truth))
    return interactions


def _only(order: Sequence[str], interaction: Interaction) -> Interaction:
    unread = {name: None for name in FIELDS if name not in order}
    return replace(interaction, **unread)


def _lengthened(encoder: Encoder, interaction: Interaction) -> Interaction:
    """An interaction that doesn't fit into one run, since its first field is repeated."""
    name = encoder.encoding.order[0]
    text = interaction.get(name) or ""
    tokens = encoder.encode(interaction).coverage[name].total
    times = encoder.encoding.max_length // max(1, tokens) + 1
    return replace(interaction, **{name: " ".join([text] * times)})
