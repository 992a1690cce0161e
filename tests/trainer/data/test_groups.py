from __future__ import annotations

from tipstaff.types import Interaction
from tipstaff_trainer.data import Row
from tipstaff_trainer.data.groups import derive_groups, united_groups


def row(group="", label=1.0, id="1", **texts):
    return Row(interaction=Interaction(**texts), label=label, id=id, group=group)


def groups_of(rows):
    return [row.group for row in derive_groups(rows)[0]]


def test_rows_of_one_input_are_one_group_whatever_its_case_and_spaces():
    filler = [row(input=str(index)) for index in range(9)]
    first, second, other, *_ = groups_of(
        [row(input="What is it?"), row(input=" what  is it?\n"), row(input="Who?"), *filler]
    )
    assert first == second != other


def test_without_an_input_the_ground_truth_is_what_is_shared_then_the_output():
    filler = [row(output=str(index)) for index in range(9)]
    groups = groups_of(
        [
            row(ground_truth="reference", output="a"),
            row(ground_truth="reference", output="b"),
            row(input="  ", output="a"),
            row(input="", output="a"),
            *filler,
        ]
    )
    assert groups[0] == groups[1] != groups[2] == groups[3]
    assert len(set(groups)) == 2 + len(filler)


def test_given_groups_are_kept_and_only_the_others_derived():
    groups = groups_of([row("mine", input="a"), row(input="a"), row(input="b"), row(input="c")])
    assert groups[0] == "mine"
    assert len(set(groups)) == 4


def test_a_text_that_most_rows_share_is_passed_over():
    rows = [
        row(input="Summarise.", ground_truth="The policy.", output=f"text {index // 2}")
        for index in range(10)
    ]
    grouped, [note] = derive_groups(rows)
    assert len({row.group for row in grouped}) == 5
    assert "the same input" in note
    same = [row(input="a", output="b", id=str(index)) for index in range(10)]
    assert len(set(groups_of(same))) == 10
    assert derive_groups([row(input="a")])[1] == []


def test_groups_are_the_same_from_file_to_file():
    train = [row(input=f"q{index}") for index in range(6)]
    test = [row(input=f"q{index}", output="other") for index in (3, 8, 9)]
    assert groups_of(train)[3] == groups_of(test)[0]


def test_groups_that_share_an_interaction_are_one_across_several_steps():
    filler = [row(output=f"filler {index}") for index in range(9)]
    rows = [
        row("a", output="one"),
        row("b", output=" ONE\n"),
        row("b", output="two"),
        row("c", output="two"),
        row("d", output="one", input="another interaction"),
        *filler,
    ]
    united = united_groups(rows)
    assert len(set(united[:4])) == 1
    assert len(set(united)) == 1 + 1 + len(filler)


def test_what_most_rows_have_in_common_unites_no_groups():
    rows = [row(f"g{index}", output="same") for index in range(8)] + [row("x", output="other")]
    assert len(set(united_groups(rows))) == 9
    # One-word answers in groups by question: uniting equal answers would join all groups.
    rows = [row(f"g{index // 3}", output=f"{index % 5}") for index in range(30)]
    assert len(set(united_groups(rows))) == 10


def test_rows_without_any_text_are_not_united():
    rows = [row(), row(), *(row(output=f"{index}") for index in range(9))]
    assert len(set(united_groups(rows))) == 11
