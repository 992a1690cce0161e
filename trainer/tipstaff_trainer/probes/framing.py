"""Learns from wordings what stands around any answer, and whether that matters to a criterion."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from scipy.sparse import lil_matrix
from scipy.stats import fisher_exact
from sklearn.linear_model import LogisticRegression

from tipstaff.types import FIELDS
from tipstaff_server.evaluator.framing import FEWEST_WORDS, Framing, pairs_of, parts_of, words_of
from tipstaff_trainer.data import Row
from tipstaff_trainer.encoders.evidence import NEGATIONS, NUMBERS
from tipstaff_trainer.probes import texts
from tipstaff_trainer.probes.forms import Composer
from tipstaff_trainer.probes.kinds import kinds_of
from tipstaff_trainer.probes.wordings import wordings

_FRAMES = ("greetings", "endings", "openers", "closers")
_HEDGES = ("hedges_before", "hedges_after")
_LABELS = ("label q", "label a", "title", "you asked", "here")
_ADDRESSING = frozenset(
    """i i'm i've i'd i'll we we're we've we'd our my me you you're you'd your let's here here's
    hello hi hey please thank thanks hope feel hesitate glad happy pleased
    context passage""".split()
)
# What might be mistaken for framing, and turns an answer around or replaces it.
_OTHERS = ("denied_phrase", "denied_clause", "contrast_phrase", "contrast_clause", "refusals")
_COMPOSED = 1500
_TEXTS = 4000
_TELLING = (
    NEGATIONS
    | NUMBERS
    | frozenset(
        """yes yeah nope isn't aren't wasn't weren't doesn't don't didn't can't couldn't won't
        wouldn't shouldn't hasn't haven't hadn't untrue mistake mistaken error lie kidding joke
        opposite contrary doubt hardly right correct exactly true""".split()
    )
)
_HARMLESS = frozenset(
    ("no problem", "no trouble", "no worries", "no question", "don't hesitate", "not hesitate")
)
# The chance of an association of label and framing below which framing is taken to matter.
_BY_CHANCE = 0.01


def choose_framing(rows: Sequence[Row], *, seed: int) -> Framing | None:
    """What can be skipped without harm to the criterion.

    All framing; or all but hedges, where "I think" makes an output worse; or None, as where rows
    have no ground truth to compare with, so that all may be about manners.

    Args:
        rows: Labelled training rows.
        seed: The same rows and seed give the same framing.
    """
    if kinds_of(rows).usual == "form":
        return None
    for hedges in (True, False):
        framing = fit_framing(rows, seed=seed, hedges=hedges)
        if not framing_matters(framing, rows):
            return framing
    return None


def fit_framing(rows: Sequence[Row], *, seed: int, hedges: bool = True) -> Framing:
    """Fits what tells framing from the texts of some rows and from wordings that deny or refuse.

    Args:
        rows: Training rows: what their texts say is not framing.
        seed: The same rows and seed give the same weights.
        hedges: Whether hedges and assurances are framing.
    """
    frames_of = _FRAMES + _HEDGES * hedges
    generator = random.Random(f"{seed} framing")
    compose = Composer(wordings("training"), generator)
    none: frozenset[str] = frozenset()
    blank = Framing(none, none, none, 0.0, {}, _ADDRESSING, _TELLING, _HARMLESS)
    own = [text for row in rows for name in FIELDS if (text := row.interaction.get(name))]
    own = generator.sample(own, min(len(own), _TEXTS))
    framing = [texts.fill(compose.pick(name)) for name in frames_of for _ in range(_COMPOSED)]
    frames = _tellable(blank, framing)
    # Once each: greetings that rows of an app share are framing all the same.
    others = _tellable(blank, sorted({part for text in own for part in parts_of(text)}))
    others += _tellable(blank, _others(compose, own, generator))
    features = {each for words in frames for each in (*words, *pairs_of(words))}
    places = {each: place for place, each in enumerate(sorted(features), start=1)}
    counts = lil_matrix((len(frames) + len(others), len(places) + 1))
    for number, words in enumerate((*frames, *others)):
        for each in words:
            counts[number, places.get(each, 0)] += 1
        for each in pairs_of(words):
            if each in places:
                counts[number, places[each]] += 1
    is_framing = [1] * len(frames) + [0] * len(others)
    fit = LogisticRegression(class_weight="balanced", max_iter=1000).fit(counts.tocsr(), is_framing)
    weights = {name: float(fit.coef_[0, place]) for name, place in places.items()}
    return replace(
        blank,
        parts=_short(blank, [start for text in framing for start in (text, *parts_of(text)[:1])]),
        lead_ins=_lead_ins(blank, compose) if hedges else none,
        labels=_short(blank, [each for slot in _LABELS for each in compose.wordings.slots[slot]]),
        bias=float(fit.intercept_[0]),
        weights=weights,
    )


def framing_matters(framing: Framing, rows: Sequence[Row]) -> bool:
    """Whether a criterion may be about framing: manners, say, or a format.

    It is taken to be where outputs with framing are good more or less often than others, by
    Fisher's exact test.

    Args:
        framing: Tells what framing is.
        rows: Labelled training rows.
    """
    table = [[0, 0], [0, 0]]
    for row in rows:
        output = row.interaction.output or ""
        framed = framing.blank(output, row.interaction.input or "") != output
        table[framed][row.good] += 1
    return bool(fisher_exact(table).pvalue < _BY_CHANCE)


def _lead_ins(framing: Framing, compose: Composer) -> frozenset[str]:
    """Hedges that no comma or colon sets off from what they hedge."""
    hedges = {compose.pick("hedges_before") for _ in range(_COMPOSED)}
    found = (words_of(each) for each in hedges if each.strip()[-1:].isalpha())
    return frozenset(" ".join(words) for words in found if framing.says_nothing(words))


def _short(framing: Framing, wholes: Iterable[str]) -> frozenset[str]:
    """Those so short that they have to be known; a single letter may be an initial."""
    found = (words for text in wholes if framing.says_nothing(words := words_of(text)))
    known = {" ".join(words) for words in found if len(words) < FEWEST_WORDS}
    return frozenset(each for each in known if len(each) > 1)


def _others(compose: Composer, own: Sequence[str], generator: random.Random) -> Iterator[str]:
    """Denials and refusals, about pieces of the rows' texts."""
    pieces = [part.strip(" .,;:!?\n") for text in own[:500] for part in parts_of(text)] or [""]
    for name in _OTHERS:
        for _ in range(_COMPOSED):
            piece, other = generator.choice(pieces), generator.choice(pieces)
            yield texts.fill(compose.pick(name), piece, no=piece, yes=other)


def _tellable(framing: Framing, wholes: Iterable[str]) -> list[list[str]]:
    """The words of the parts that have to be told apart by their words."""
    found = (words_of(part) for text in wholes for part in parts_of(text))
    return [words for words in found if words and framing.says_nothing(words)]
