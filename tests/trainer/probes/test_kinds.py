"""What ground truths are, in files of one kind and in joined ones."""

from __future__ import annotations

import random
import re

import pytest
from probe_rows import CONTEXT, REFERENCE, row

from tipstaff_trainer.probes.augment import augment, suitable_lengthening, training_passes
from tipstaff_trainer.probes.kinds import Kinds, kinds_of
from tipstaff_trainer.probes.pool import Pool

PASSAGE = (
    "The shop was opened in 1999 by Anna Bell . It moved to Leeds , where it still is , in 2004 ."
)
# Those that can't be mistaken for answers.
TEXTS = [each for each in CONTEXT if len(each.interaction.ground_truth.split()) > 8]
JOINED = [*REFERENCE, *TEXTS]


def test_a_file_of_one_kind_is_of_that_kind():
    assert kinds_of(REFERENCE) == Kinds("reference")
    assert kinds_of(CONTEXT) == Kinds("context")
    assert kinds_of([row("q", "o", None, 1), row("q", "o", " ", 0), REFERENCE[0]]) == Kinds("form")
    # Some short texts among long ones are texts too.
    few = [row("q", "o", "in 1999", 1), *CONTEXT * 5]
    assert kinds_of(few) == Kinds("context")
    assert Kinds("context").of(few[0]) == "context"


def test_joined_files_have_both_kinds_and_each_row_has_its_own():
    kinds = kinds_of(JOINED)
    assert kinds.mixed
    assert {kinds.of(each) for each in REFERENCE} == {"reference"}
    assert {kinds.of(each) for each in TEXTS} == {"context"}
    assert set(kinds.all) == {"reference", "context"}
    assert str(Kinds("context", mixed=True)) == "context and reference"


@pytest.mark.parametrize(
    ("truth", "kind"),
    [
        (PASSAGE, "context"),
        ("14 days / 14", "reference"),
        ("Kyiv | Kiev | Kyyiv | the city of Kyiv | the city of Kiev", "reference"),
        ("Returns take 14 days.", "usual"),
        (" ".join(["word"] * 40), "context"),
        ("Dr. Martin Luther King Jr. | Martin Luther King | Rev. King | Dr. King", "usual"),
        (None, "usual"),
        (" ", "usual"),
    ],
)
@pytest.mark.parametrize("usual", ["reference", "context"])
def test_what_is_in_doubt_counts_as_most_rows_do(truth, kind, usual):
    expected = usual if kind == "usual" else kind
    assert Kinds(usual, mixed=True).of(row("q", "o", truth, 1)) == expected


def test_rows_of_joined_files_are_rewritten_as_what_they_are():
    pool = Pool.of(JOINED)
    alone = Pool.of(REFERENCE)
    assert pool.separator == alone.separator == "/"
    for each in REFERENCE:
        assert pool.truths(each) == alone.truths(each)
    for each in TEXTS:
        assert pool.truths(each) == Pool.of(TEXTS).truths(each)
    others = {row.interaction.ground_truth for row in TEXTS}
    for each in REFERENCE:
        foreign = pool.foreign(each, random.Random(0), "truth")
        assert foreign
        assert not any(foreign in truth for truth in others)
    made = augment(JOINED * 20, share=1.0, generator=random.Random(0), pool=pool)
    added = [each for each in made if each.id.endswith("unsupported-added")]
    assert added
    assert {pool.kinds.of(each) for each in added} == {"context"}


def test_only_the_texts_of_joined_files_are_lengthened():
    rows = JOINED * 20
    assert suitable_lengthening(rows) > 0
    every, _ = training_passes(rows, share=0, lengthened=0.5, seed=0, passes=2)
    kinds = kinds_of(rows)
    longer = [each for each in every if "~lengthened" in each.id]
    assert longer
    sources = {each.id.split("~")[0] for each in longer}
    assert sources <= {each.id for each in rows if kinds.of(each) == "context"}
    answers = [row.interaction.ground_truth for row in REFERENCE]
    texts = "\n".join(f" {each.interaction.ground_truth} " for each in longer)
    assert not any(re.search(rf"(?<=\s){re.escape(answer)}(?=\s)", texts) for answer in answers)


def test_answers_are_lengthened_where_it_is_asked_for_and_there_is_nothing_else():
    every, _ = training_passes(REFERENCE * 20, share=0, lengthened=0.5, seed=0, passes=2)
    assert any("~lengthened" in each.id for each in every)
