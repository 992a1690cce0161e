"""What the example data is about: matters that customers ask about, and scenarios."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Split = Literal["train", "test"]
Row = dict[str, str | int]
Triple = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Value:
    """A value that the facts may state, such as a colour or a delivery time.

    Attributes:
        written: The wording in the facts.
        spoken: Another wording that answers may use; equal to `written` if there is only one.
    """

    written: str
    spoken: str


@dataclass(frozen=True, slots=True)
class Templates:
    """Ways to word something; only the test split uses the unseen one."""

    common: tuple[str, ...]
    unseen: str


@dataclass(frozen=True, slots=True)
class Matter:
    """Something that customers ask about.

    Attributes:
        name: Its name within group names.
        things: The things that customers may ask about, by split.
        values: The values that the facts may state.
        questions: Templates of the customers' questions.
        facts: Templates of the ground truth, by the value's written form.
        answers: Templates of answers that don't name the thing, by the value's written form.
        named_answers: Templates of answers that name the thing; may be empty.
        can_question: Template of a question to be answered by yes; may be empty.
        can_answer: Template of the answer, which gives a value.
    """

    name: str
    things: Mapping[Split, tuple[str, ...]]
    values: tuple[Value, ...]
    questions: Templates
    facts: Mapping[str, tuple[str, ...]]
    answers: Mapping[str, Templates]
    named_answers: tuple[str, ...]
    can_question: str = ""
    can_answer: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Two situations and the right answer to each."""

    name: str
    questions: tuple[str, str]
    truths: tuple[str, str]
    answers: tuple[str, str]

    def labelled(self) -> list[tuple[Triple, int]]:
        """Pairs each situation with each answer: (input, output, ground truth) and the label."""
        return [
            ((question, answer, truth), int(situation == index))
            for situation, (question, truth) in enumerate(
                zip(self.questions, self.truths, strict=True)
            )
            for index, answer in enumerate(self.answers)
        ]


def read_wording(path: Path) -> tuple[list[Matter], list[Matter], dict[str, list[str]]]:
    """Reads the topics, whose facts state a value, the rules, which allow or refuse, and forms."""
    wording = tomllib.loads(path.read_text(encoding="utf-8"))
    things = {
        name: {split: tuple(names) for split, names in splits.items()}
        for name, splits in wording["things"].items()
    }
    values = {
        name: tuple(Value(forms[0], forms[-1]) for forms in listed)
        for name, listed in wording["values"].items()
    }
    topics = [
        Matter(
            name=name,
            things=things[entry["things"]],
            values=values[entry["values"]],
            questions=_templates(entry, "questions", "test_question"),
            facts={
                value.written: tuple(entry[key] for key in ("fact", "other_fact") if key in entry)
                for value in values[entry["values"]]
            },
            answers={
                value.written: _templates(entry, "answers", "test_answer")
                for value in values[entry["values"]]
            },
            named_answers=tuple(entry["named_answers"]),
            can_question=entry.get("can_question", ""),
            can_answer=entry.get("can_answer", ""),
        )
        for name, entry in wording["topics"].items()
    ]
    rules = [
        Matter(
            name=name,
            things=things[entry["things"]],
            values=(Value("allowed", "allowed"), Value("refused", "refused")),
            questions=_templates(entry, "questions", "test_question"),
            facts={"allowed": tuple(entry["allowed"]), "refused": tuple(entry["refused"])},
            answers={
                "allowed": _templates(entry, "yes", "test_yes"),
                "refused": _templates(entry, "no", "test_no"),
            },
            named_answers=(),
        )
        for name, entry in wording["rules"].items()
    ]
    return topics, rules, wording["visitors"]


def _templates(entry: Mapping[str, Any], common: str, unseen: str) -> Templates:
    return Templates(tuple(entry[common]), entry[unseen])


def fill(template: str, thing: str, value: str = "") -> str:
    """A matter's template as a sentence."""
    text = template.format(thing=thing, Thing=thing[0].upper() + thing[1:], value=value)
    return text[0].upper() + text[1:]


def fill_form(template: str, **pieces: str) -> str:
    """A form of visitors as a sentence."""
    text = template.format(**pieces)
    return text[0].upper() + text[1:]
