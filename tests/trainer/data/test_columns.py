from __future__ import annotations

import pytest

from tipstaff.errors import UsageError
from tipstaff_trainer.data.columns import ALIASES, check_fields, resolve
from tipstaff_trainer.errors import DataError


def found(*columns, labelled=True, **mapping):
    return resolve(columns, mapping, labelled=labelled, file="rows.csv")


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (
            ("model_input", "model_output", "good"),
            {"input": "model_input", "output": "model_output", "label": "good"},
        ),
        (
            ("question", "answer", "context", "label"),
            {
                "input": "question",
                "output": "answer",
                "ground_truth": "context",
                "label": "label",
            },
        ),
        (
            ("prompt", "response", "reference", "label"),
            {
                "input": "prompt",
                "output": "response",
                "ground_truth": "reference",
                "label": "label",
            },
        ),
        (
            (" Input", "OUTPUT ", "Ground Truth", "Label-Source", "label"),
            {
                "input": " Input",
                "output": "OUTPUT ",
                "ground_truth": "Ground Truth",
                "label_source": "Label-Source",
                "label": "label",
            },
        ),
    ],
)
def test_common_names_are_known_in_any_case(columns, names):
    columns = found(*columns)
    assert columns.names == names
    assert columns.extra == ()


def test_no_alias_stands_for_two_roles():
    aliases = [alias for names in ALIASES.values() for alias in names]
    assert len(set(aliases)) == len(aliases)


def test_a_column_without_a_role_is_extra():
    assert found("input", "label", "system", "source").extra == ("system", "source")


def test_the_own_name_wins_over_an_alias_and_the_loss_is_told():
    columns = found("question", "input", "answer", "label")
    assert columns.names["input"] == "input"
    assert columns.extra == ("question",)
    assert columns.notes == ('rows.csv: "question" is not read as input, since there is "input"',)


@pytest.mark.parametrize(
    "columns", [("question", "prompt", "label"), ("prompt", "Label", "label", "output")]
)
def test_two_of_equal_standing_are_an_error_that_names_both(columns):
    with pytest.raises(DataError, match=r'"\w+" and "\w+" could each be .* mapping \w+=COLUMN'):
        found(*columns)


def test_a_mapping_comes_before_names_and_settles_a_tie():
    columns = found("question", "prompt", "answer", "correct", input="prompt", label="Correct")
    assert columns.names == {"input": "prompt", "output": "answer", "label": "correct"}
    assert columns.extra == ("question",)


def test_a_mapped_column_has_no_second_role():
    columns = found("answer", "label", ground_truth="answer")
    assert columns.names == {"ground_truth": "answer", "label": "label"}
    columns = found("id", "output", "label", group="id")
    assert columns.names == {"group": "id", "output": "output", "label": "label"}


def test_what_is_said_of_a_label_by_one_of_several_criteria_stands_beside_it():
    several = [
        f"{name}.{column}"
        for name in ("toxicity", "brand-tone")
        for column in ("label", "label_source", "selection")
    ]
    columns = found("output", *several, "label_source", label="brand-tone.label").names
    assert columns["label_source"] == "brand-tone.label_source"
    assert columns["selection"] == "brand-tone.selection"
    # A criterion without its own column uses the column for all rows.
    plain = found("output", "toxicity.label", "label_source", label="toxicity.label").names
    assert plain["label_source"] == "label_source"
    assert "label_source" not in found("output", *several, labelled=False).names


def test_a_column_mapped_to_group_can_be_a_text_too():
    columns = found("question", "output", "label", group="question")
    assert columns.names["input"] == columns.names["group"] == "question"


def test_a_mapped_column_that_is_not_there_is_an_error_that_lists_those_that_are():
    with pytest.raises(
        DataError,
        match=r'no column "corect" to map to label; its columns are "input" and "correct"',
    ):
        found("input", "correct", label="corect")


def test_a_mapping_to_nothing_known_or_turned_round_is_a_usage_error():
    with pytest.raises(UsageError, match='mapped to "target", only to input, output'):
        found("input", "correct", target="correct")
    with pytest.raises(UsageError, match="did you mean mapping label=correct"):
        found("input", "correct", correct="label")


def test_a_missing_column_is_an_error_that_says_how_to_name_one():
    with pytest.raises(DataError, match=r'label; its columns are "input"; .* mapping label=COLUMN'):
        found("input")
    with pytest.raises(
        DataError, match=r"no column for input, output or ground_truth; .*first line"
    ):
        found("What is 2+2?", "4", "1")
    assert found("input", labelled=False).names == {"input": "input"}


def test_a_long_list_of_columns_is_cut():
    with pytest.raises(DataError, match='"c11" and 38 more'):
        found(*(f"c{number}" for number in range(50)))


def test_fields_to_train_on_are_checked():
    columns = found("input", "output", "label", "note")
    check_fields(("output",), columns, file="rows.csv")
    with pytest.raises(UsageError, match="choose one or more"):
        check_fields((), columns, file="rows.csv")
    with pytest.raises(UsageError, match='"truth" is no field'):
        check_fields(("truth",), columns, file="rows.csv")
    with pytest.raises(DataError, match=r'ground_truth; its columns are "input".*"note"'):
        check_fields(("ground_truth",), columns, file="rows.csv")
