from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tipstaff_trainer.data import LabelMeaning, cells


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0.0),
        (1, 1.0),
        (0.25, 0.25),
        ("0.25", 0.25),
        (" 1 ", 1.0),
        ("1e-3", 0.001),
        (True, 1.0),
        (False, 0.0),
        ("TRUE", 1.0),
        ("false", 0.0),
        ("Yes", 1.0),
        ("no", 0.0),
        ("pass", 1.0),
        ("Fail", 0.0),
        ("good", 1.0),
        ("bad", 0.0),
        (Decimal("0.5"), 0.5),
        (None, None),
        ("", None),
        ("  ", None),
        (math.nan, None),
        (Decimal("nan"), None),
        ("NaN", None),
        ("N/A", None),
        ("85 %", 0.85),
        ("Incorrect", 0.0),
        ("👍", 1.0),
    ],
)
def test_a_label_is_a_probability_or_a_word_for_one(value, expected):
    assert LabelMeaning().read(value) == expected


@pytest.mark.parametrize(
    "value",
    [2, -0.1, 1.0000001, "850 %", "0,5", "maybe", math.inf, 10**400, [[1]], {"a": 1}],
)
def test_anything_else_is_no_label_and_the_message_shows_it_on_one_short_line(value):
    with pytest.raises(ValueError, match="is not a label; write 0 or 1") as error:
        LabelMeaning().read(value)
    assert cells.abbreviate(value) in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize(
    ("value", "expected"), [(None, 1.0), ("", 1.0), (0, 0.0), ("2.5", 2.5), (3, 3.0)]
)
def test_a_weight_is_a_number_of_0_or_more_and_1_when_absent(value, expected):
    assert cells.weight(value) == expected


@pytest.mark.parametrize("value", [-1, "-0.5", math.inf, "heavy", True, [1]])
def test_anything_else_is_no_weight(value):
    with pytest.raises(ValueError, match="is not a weight"):
        cells.weight(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (math.nan, None),
        ("", ""),
        (" as it is\n", " as it is\n"),
        (42, "42"),
        (0.5, "0.5"),
        (["one", None, "two"], "one\n\ntwo"),
        ({"role": "assistant", "content": "a"}, "a"),
        ({"b": 1, "a": "é"}, '{"a": "é", "b": 1}'),
        (("one", "two"), "one\n\ntwo"),
        (np.int64(3), "3"),
        (np.array(["one", "two"]), "one\n\ntwo"),
        (pd.NA, None),
        (pd.NaT, None),
        (pa.scalar("a"), "a"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (date(2026, 1, 2), "2026-01-02"),
        ([], ""),
    ],
)
def test_text_is_kept_as_it_is_numbers_and_passages_become_text(value, expected):
    assert cells.text(value) == expected


@pytest.mark.parametrize("value", [True, b"bytes", {"a": b"bytes"}, {"a": math.nan}])
def test_anything_else_is_no_text(value):
    with pytest.raises(ValueError, match="is not text"):
        cells.text(value)


def test_a_choice_is_read_in_any_case_and_its_error_lists_the_words():
    assert cells.choice(" Human", ("human", "judge")) == "human"
    assert cells.choice("", ("human", "judge")) is None
    with pytest.raises(ValueError, match='"gpt-4" is not one of human, judge'):
        cells.choice("gpt-4", ("human", "judge"))
