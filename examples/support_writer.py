"""Writes the scenarios of the example data: two situations, and the right answer to each."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from support_matters import Matter, Row, Scenario, Split, Templates, Triple, Value, fill

# Topics with one-word values, so that it is clear which value an answer states.
PLAIN_TOPICS = ("restock", "colour", "carrier", "day-off", "course-day", "course-room")

GREETINGS = ("Hello!", "Good morning.", "Quick question.", "Hi there.")
REPLIES = (
    "Hello!",
    "Hi there!",
    "Good morning!",
    "Good question.",
    "Sure.",
    "Thanks for your message.",
    "No problem at all.",
    "Here is what I found.",
    "Let me look that up for you.",
    "Of course, I'm happy to help with that.",
    "Thank you for getting in touch with us.",
    "I have checked this with our team.",
)
CLOSINGS = (
    "Have a good day!",
    "All the best!",
    "Anything else?",
    "Happy to help.",
    "I hope this helps.",
    "Thank you for asking.",
    "Enjoy the outdoors!",
    "Do write again if something is unclear.",
    "Is there anything else I can do for you today?",
    "We look forward to seeing you soon.",
)
# How often the test split uses a wording that the train split never does.
UNSEEN_SHARE = 0.15


class Writer:
    """Writes the scenarios of one split, from one random source."""

    def __init__(
        self,
        topics: Sequence[Matter],
        rules: Sequence[Matter],
        forms: Mapping[str, Sequence[str]],
        split: Split,
        seed: int,
    ) -> None:
        self._topics, self._rules, self._forms = topics, rules, forms
        self._split: Split = split
        self._random = random.Random(f"{split} {seed}")

    def write(self, plan: Mapping[str, int]) -> list[Row]:
        """Writes the planned number of scenarios per kind; returns their rows in random order."""
        kinds = self._kinds()
        drawn = [kind for kind, count in plan.items() for _ in range(count)]
        self._random.shuffle(drawn)
        rows: list[Row] = []
        seen: set[Triple] = set()
        for number, kind in enumerate(drawn):
            labelled: list[tuple[Triple, int]] = []
            while not labelled or any(triple in seen for triple, _ in labelled):
                scenario = kinds[kind]()
                labelled = scenario.labelled()
            seen.update(triple for triple, _ in labelled)
            name = f"{self._split}-{number:03}"
            rows += [
                {
                    "id": f"{name}-{index}",
                    "group": f"{name}-{kind}-{scenario.name}",
                    "input": question,
                    "output": answer,
                    "ground_truth": truth,
                    "label": label,
                    "label_source": "judge" if self._split == "train" else "other",
                    "selection": "random",
                }
                for index, ((question, answer, truth), label) in enumerate(labelled)
            ]
        self._random.shuffle(rows)
        return rows

    def _kinds(self) -> dict[str, Callable[[], Scenario]]:
        return {
            "elsewhere": self._elsewhere,
            "beside": self._beside,
            "value": self._value,
        }

    def _elsewhere(self) -> Scenario:
        """Bad answers state a fact about something unrelated."""
        one = self._matter()
        other = self._matter(lambda matter: not self._common_things(one, matter))
        return self._two_questions(one, self._thing(one), other, self._thing(other))

    def _beside(self) -> Scenario:
        """Bad answers state a fact about the right thing, but not the fact that was asked for."""
        one = self._matter()
        other = self._matter(
            lambda matter: matter is not one and bool(self._common_things(one, matter))
        )
        thing = self._random.choice(self._common_things(one, other))
        return self._two_questions(one, thing, other, thing)

    def _value(self) -> Scenario:
        """Bad answers give a value that the facts don't have."""
        topics = [topic for topic in self._topics if topic.name in PLAIN_TOPICS]
        matter = self._random.choice(topics)
        things = self._random.sample(matter.things[self._split], 3)
        right, wrong, *others = self._random.sample(matter.values, 4)
        # Other entries of the same list, so that the number of values reveals nothing.
        asides = [
            self._fact(matter, thing, value)
            for thing, value in zip(things[1:], others, strict=True)
        ][: self._random.choice((0, 1, 1, 2))]
        order = self._random.sample(range(1 + len(asides)), 1 + len(asides))

        def truth(value: Value) -> str:
            facts = [self._fact(matter, things[0], value), *asides]
            return " ".join(facts[place] for place in order)

        question = self._question(matter, things[0])
        return Scenario(
            matter.name,
            questions=(question, question),
            truths=(truth(right), truth(wrong)),
            answers=(
                self._answer(matter, things[0], right, named=self._chance(0.25)),
                self._answer(matter, things[0], wrong, named=self._chance(0.25)),
            ),
        )

    def _two_questions(self, one: Matter, thing: str, other: Matter, other_thing: str) -> Scenario:
        reworded = self._chance(0.5)
        value = self._random.choice(one.values)
        other_value = self._random.choice([v for v in other.values if v != value])
        truth = " ".join(
            self._shuffled(
                self._fact(one, thing, value), self._fact(other, other_thing, other_value)
            )
        )
        return Scenario(
            f"{one.name}-{other.name}",
            questions=(self._question(one, thing), self._question(other, other_thing)),
            truths=(truth, truth),
            answers=(
                self._answer(one, thing, value, reworded=reworded),
                self._answer(other, other_thing, other_value, reworded=reworded),
            ),
        )

    def _question(self, matter: Matter, thing: str) -> str:
        text = fill(self._template(matter.questions), thing)
        return f"{self._random.choice(GREETINGS)} {text}" if self._chance(0.2) else text

    def _fact(self, matter: Matter, thing: str, value: Value) -> str:
        return fill(self._random.choice(matter.facts[value.written]), thing, value.written)

    def _answer(
        self,
        matter: Matter,
        thing: str,
        value: Value,
        *,
        reworded: bool = False,
        named: bool = False,
    ) -> str:
        if named and matter.named_answers:
            template = self._random.choice(matter.named_answers)
        else:
            template = self._template(matter.answers[value.written])
        text = fill(template, thing, value.spoken if reworded else value.written)
        reply = [self._random.choice(REPLIES)] if self._chance(0.45) else []
        closing = [self._random.choice(CLOSINGS)] if self._chance(0.35) else []
        return " ".join([*reply, text, *closing])

    def _template(self, templates: Templates) -> str:
        if self._split == "test" and self._chance(UNSEEN_SHARE):
            return templates.unseen
        return self._random.choice(templates.common)

    def _matter(self, fits: Callable[[Matter], bool] = lambda _: True) -> Matter:
        """Draws a topic or a rule; topics come twice as often."""
        topics, rules = ([one for one in some if fits(one)] for some in (self._topics, self._rules))
        return self._random.choice(topics if self._chance(2 / 3) and topics else rules or topics)

    def _thing(self, matter: Matter) -> str:
        return self._random.choice(matter.things[self._split])

    def _common_things(self, one: Matter, other: Matter) -> list[str]:
        return [thing for thing in one.things[self._split] if thing in other.things[self._split]]

    def _shuffled(self, *texts: str) -> list[str]:
        return self._random.sample(texts, len(texts))

    def _chance(self, share: float) -> bool:
        return self._random.random() < share
