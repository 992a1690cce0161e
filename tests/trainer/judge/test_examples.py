from __future__ import annotations

from judge_rows import row

from tipstaff_trainer.judge.examples import choose_examples


def texts(chosen):
    return [each.interaction.output for each in chosen]


def test_examples_differ_and_are_balanced():
    alike = [row(f"Paris is the capital {index}", id=f"g{index}", label=1.0) for index in range(30)]
    others = [
        row("Bananas ripen faster in a paper bag.", id="x", label=1.0),
        row("It rained on the parade.", id="y", label=0.0),
        row("Lyon is the capital", id="z", label=0.0),
        row("Marseille, surely", id="w", label=0.0),
    ]
    chosen = choose_examples([*alike, *others], 6)
    assert [each.good for each in chosen] == [False, True] * 3
    assert "Bananas ripen faster in a paper bag." in texts(chosen)


def test_one_of_a_group_and_people_before_judges():
    rows = [
        row("a b", id="1", label=1.0, group="g", label_source="human"),
        row("c d", id="2", label=0.0, group="g", label_source="human"),
        row("e f", id="3", label=0.0, group="h", label_source="human"),
        row("g h", id="4", label=1.0, label_source="judge"),
    ]
    chosen = choose_examples(rows, 8)
    assert len(chosen) == 2
    assert {each.group for each in chosen} == {"g", "h"}


def test_what_is_held_out_for_honest_numbers_is_never_shown():
    rows = [
        row("drawn", id="1", label=1.0, selection="random", group="a"),
        row("of its group", id="2", label=0.0, group="a"),
        row("to test on", id="3", label=1.0, extra={"split": "Test"}),
        row("To  test on", id="4", label=0.0),
        row("to train on", id="5", label=1.0, extra={"split": "train"}),
        row("ranked", id="6", label=0.0, selection="disputed"),
    ]
    assert {each.id for each in choose_examples(rows, 20)} == {"5", "6"}
    assert choose_examples(rows[:4], 20) == ()


def test_when_a_class_runs_out_the_other_goes_on():
    rows = [row(f"word{index}", id=str(index), label=float(index == 0)) for index in range(9)]
    chosen = choose_examples(rows, 5)
    assert sum(each.good for each in chosen) == 1
    assert len({each.id for each in chosen}) == 5
    assert choose_examples([], 5) == ()
