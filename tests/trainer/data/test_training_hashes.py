"""Recognising rows that an evaluator was trained on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tipstaff import Interaction
from tipstaff_trainer.data import (
    Row,
    hash_training_rows,
    match_training_rows,
    read_rows,
    split_rows,
)
from tipstaff_trainer.data.groups import derive_groups
from tipstaff_trainer.data.rows import narrow

READ = ("output", "ground_truth")


def rows_of(interactions, *, start=0):
    rows = [
        Row(interaction, label=1.0, id=str(place))
        for place, interaction in enumerate(interactions, start)
    ]
    return derive_groups(rows)[0]


def as_read(rows, fields):
    """Rows as `read_rows` returns them: grouped by all fields, with only the fields to read."""
    return [replace(row, interaction=narrow(row.interaction, fields)) for row in rows]


def about(policies, questions, *, start=0):
    """Rows with many questions about a few policies."""
    return rows_of(
        [
            Interaction(f"question {place}", f"answer {place}", f"policy {place % policies}")
            for place in range(start, start + questions)
        ],
        start=start,
    )


def test_the_texts_that_are_read_count_and_no_others():
    trained = as_read(about(5, 20), READ)
    asked_otherwise = [
        replace(row, interaction=replace(row.interaction, input="another"), id=f"new {row.id}")
        for row in about(5, 20)
    ]
    regrouped = [replace(row, group=f"new {row.id}") for row in asked_otherwise]
    assert match_training_rows(regrouped, hash_training_rows(trained), READ)[:, 0].all()


def test_new_questions_on_the_same_ground_truths_are_new():
    trained = as_read(about(5, 50), READ)
    assert not match_training_rows(about(5, 50, start=50), hash_training_rows(trained), READ).any()


def test_the_held_out_part_of_a_file_is_new_to_what_the_rest_trained(tmp_path):
    file = tmp_path / "rows.csv"
    lines = [f"question {n},answer {n},policy {n % 5},{n % 2}" for n in range(60)]
    file.write_text("\n".join(["input,output,ground_truth,label", *lines]))
    train, test = split_rows(read_rows(file, columns=READ).rows, 0.3, seed=0)
    seen = hash_training_rows(train)
    assert match_training_rows(train, seen, READ)[:, 0].all()
    whole = {row.id: row for row in read_rows(file).rows}
    assert not match_training_rows([whole[row.id] for row in test], seen, READ).any()


@pytest.mark.parametrize("fields", [READ, ("output",)])
def test_rows_that_only_have_the_same_number_are_new(fields):
    # More than half share each text, so groups can only be named after ids.
    first, second = (
        rows_of([Interaction(output="yes" if n < 6 else f"{word} {n}") for n in range(10)])
        for word in ("one", "two")
    )
    hits = match_training_rows(second, hash_training_rows(first), fields)
    assert hits.any(axis=1).tolist() == [n < 6 for n in range(10)]
