"""Training rows from rewritings: what training rows don't show, an evaluator doesn't learn."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tipstaff.types import Interaction
from tipstaff_trainer.data import Row
from tipstaff_trainer.probes.kinds import kinds_of
from tipstaff_trainer.probes.lengthen import Passages
from tipstaff_trainer.probes.pool import Pool
from tipstaff_trainer.probes.rewritings import REWRITINGS, Rewriting
from tipstaff_trainer.probes.wordings import Half

# How many of the rows a pass shows in another form, rather than as they are.
_IN_ANOTHER_FORM = 0.4
# Bounds the time that rewritten rows take. With one for each plain row, and fewer passes to match,
# 1,876 rows of the example data were learnt half.
_SHARE = 0.5
# Of the rows of the later half of the passes. A lengthened row takes as long as five to ten short
# ones, and says little to a model that can't yet compare two sentences.
_LENGTHENED = 0.1
# How often the same form follows with its pieces swapped. Always would leave a form in doubt at one
# half: so it leans to bad, as a wrong PASS costs more than a wrong BLOCK.
_MIRRORED = 0.75
# Most draws for a rewritten row: a rewriting may not apply to the row that is drawn.
_TRIES = 10


def suitable_share(rows: Sequence[Row]) -> float:
    """The share of rewritten rows to train on by default.

    Without a ground truth, a rewriting may change what is judged: manners, say.
    """
    if kinds_of(rows).usual == "form":
        return 0.0
    return _SHARE


def suitable_lengthening(rows: Sequence[Row]) -> float:
    """The share of contexts to lengthen by default; reference answers stay as they are."""
    return _LENGTHENED if "context" in kinds_of(rows).all else 0.0


def training_passes(
    rows: Sequence[Row],
    *,
    share: float,
    seed: int,
    lengthened: float = 0.0,
    passes: int = 1,
    pool: Pool | None = None,
) -> tuple[list[Row], list[list[int]]]:
    """Rows with rewritten ones, in passes over the data that each show other rewritten rows.

    A pass reads each row once, some of them in another form (greeted, mistyped …) with the same
    label, and `share` as many rewritten rows besides (`augment`). In the later half of the
    passes some of all these have a longer ground truth (`lengthen`).

    Args:
        rows: Training rows, or validation rows to choose the best step with.
        share: The number of rewritten rows in a pass, as a share of `rows`.
        seed: The same rows and seed give the same passes.
        lengthened: The share of a later pass's rows to lengthen, where they are short enough.
        passes: The most passes that differ, at least 1.
        pool: Where wrong answers come from; the rows themselves when None.

    Returns:
        The rows and then all that was made of them; and for each pass the places that it reads, as
        many in each.
    """
    every = list(rows)
    if not share and not lengthened:
        return every, [list(range(len(rows)))]
    pool = pool or Pool.of(rows)
    passages = Passages(_with_passages(pool)) if lengthened else None
    drawn: list[tuple[list[int], list[int]]] = []
    for number in range(passes):
        generator = random.Random(f"{seed} rewritings {number}")
        places = list(range(len(rows)))
        for place, form in _other_forms(rows, pool, generator) if share else ():
            places[place] = len(every)
            every.append(replace(form, id=f"{form.id}~{len(every)}"))
        added = augment(rows, share=share, generator=generator, pool=pool)
        added_places = list(range(len(every), len(every) + len(added)))
        every += [replace(row, id=f"{row.id}~{len(every) + n}") for n, row in enumerate(added)]
        if passages is not None and 2 * number >= passes - 1:
            for some in (places, added_places):
                _lengthen_some(every, some, pool, passages, lengthened, generator)
        drawn.append((places, added_places))
    fewest = min(len(added) for _, added in drawn)
    return every, [[*places, *added[:fewest]] for places, added in drawn]


def _with_passages(pool: Pool) -> Sequence[Row]:
    """The rows whose ground truths may stand among others: of joined data, those with texts."""
    return pool.of_kind("context") if pool.kinds.mixed else pool.rows


def _lengthen_some(
    every: list[Row],
    places: list[int],
    pool: Pool,
    passages: Passages,
    share: float,
    generator: random.Random,
) -> None:
    """Puts longer rows, appended to `every`, in the places of some; answers stay among texts."""
    for at, place in enumerate(places):
        answer = pool.kinds.mixed and pool.kinds.of(every[place]) == "reference"
        if generator.random() < share and not answer:
            longer = passages.lengthen(every[place], generator)
            if longer is not None:
                places[at] = len(every)
                every.append(replace(longer, id=f"{longer.id}~{len(every)}"))


def _other_forms(
    rows: Sequence[Row], pool: Pool, generator: random.Random
) -> Iterator[tuple[int, Row]]:
    """Some rows in another form, each with its place."""
    forms = {
        kind: [each for each in REWRITINGS if each.keeps_any and kind in each.kinds]
        for kind in pool.kinds.all
    }
    for place, row in enumerate(rows):
        if generator.random() < _IN_ANOTHER_FORM:
            some = forms[pool.kinds.of(row)]
            form = generator.choices(some, [each.share for each in some])[0]
            if (new := rewritten_row(form, row, pool, "training", generator)) is not None:
                yield place, new


def augment(
    rows: Sequence[Row], *, share: float, generator: random.Random, pool: Pool
) -> list[Row]:
    """Rewritten rows that show what makes an output good or bad, in the training half's wordings.

    Rewritings are drawn in proportion to their shares, good rows as often as bad ones. A rewritten
    row stays in its source's group, so that batches show both.

    Args:
        rows: The rows to rewrite.
        share: The number of rewritten rows, as a share of `rows`.
        generator: Draws everything.
        pool: Where wrong answers come from.

    Returns:
        The rewritten rows only; fewer than asked for, or none, where no rewriting applies.
    """
    usable = [each for each in REWRITINGS if each.suits(pool.kinds) and not each.keeps_any]
    shares = [each.share for each in usable]
    classes = [some for good in (True, False) if (some := [r for r in rows if r.good is good])]
    rewritten: list[Row] = []
    wanted = round(share * len(rows))
    for _ in range(_TRIES * wanted if usable else 0):
        if len(rewritten) >= wanted:
            break
        # As many good rows as bad ones, where one class is rare.
        rewriting, some = generator.choices(usable, shares)[0], generator.choice(classes)
        row = generator.choice(some)
        both = generator.random() < _MIRRORED
        mirrored = [each for each in usable if both and each.name == rewriting.mirror]
        state = generator.getstate()
        for each in (rewriting, *mirrored):
            generator.setstate(state)
            new = rewritten_row(each, row, pool, "training", generator)
            if new is not None:
                rewritten.append(new)
    return rewritten[:wanted]


def rewritten_row(
    rewriting: Rewriting, row: Row, pool: Pool, half: Half, generator: random.Random
) -> Row | None:
    """A row as the rewriting makes it, with its label; None where it doesn't apply."""
    output = rewriting.rewrite(row, pool, half, generator)
    if output is None:
        return None
    texts = Interaction(
        input=row.interaction.input, output=output, ground_truth=row.interaction.ground_truth
    )
    return replace(
        row,
        interaction=texts,
        label=rewriting.label(row.label),
        id=f"{row.id}~{rewriting.name}",
    )
