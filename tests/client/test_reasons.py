"""Which fields a score's reasons name, in words for people and in a guard's error."""

from __future__ import annotations

import pytest

from tipstaff import Coverage, Interaction, Reason, Score, Verdict
from tipstaff.cli.score import _as_text
from tipstaff.integrations import BlockedError, Checked
from tipstaff.reasons import fields_of, reasons_with_fields

FACTLESS = Interaction("q", "a")


def scored(*reasons, reads=("output", "ground_truth")):
    coverage = {field: Coverage(1, 1) for field in reads}
    return Score(
        Verdict.REVIEW, 0.9, evaluator="e", pass_at=0.5, block_below=0.1, reasons=reasons,
        coverage=coverage,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("score", "interaction", "named"),
    [
        (scored(Reason.MISSING_FIELD), FACTLESS, ["MISSING_FIELD (ground_truth)"]),
        (scored(Reason.MISSING_FIELD, reads=()), FACTLESS, ["MISSING_FIELD (ground_truth)"]),
        (scored(Reason.MISSING_FIELD), Interaction("q"), ["MISSING_FIELD (output, ground_truth)"]),
        (scored(Reason.IGNORED_FIELD), Interaction("q", "a", "f"), ["IGNORED_FIELD (input)"]),
        (scored(Reason.IGNORED_FIELD, reads=()), FACTLESS, ["IGNORED_FIELD"]),
        (
            scored(Reason.UNCERTIFIED, Reason.MISSING_FIELD, Reason.IGNORED_FIELD),
            FACTLESS,
            ["UNCERTIFIED", "MISSING_FIELD (ground_truth)", "IGNORED_FIELD (input)"],
        ),
        (scored(), FACTLESS, []),
    ],
)
def test_reasons_about_fields_name_them(score, interaction, named):
    assert reasons_with_fields(score, interaction) == named


def test_a_reason_that_a_score_does_not_have_is_about_no_field():
    assert fields_of(Reason.MISSING_FIELD, scored(), FACTLESS) == ()


def test_a_held_back_answer_and_the_command_name_the_missing_field():
    """Once, both said only that some field was missing."""
    score = scored(Reason.MISSING_FIELD)
    error = str(BlockedError(Checked(FACTLESS, score)))
    assert error.endswith("held back: e: REVIEW; score 0.900; MISSING_FIELD (ground_truth)")
    note = "MISSING_FIELD: a field that the evaluator reads is missing: ground_truth\n"
    assert note in _as_text(score, FACTLESS, explained=False)
