"""What visitors of the demo type: yes and no, echoed questions, denials, refusals, halves."""

from __future__ import annotations

from collections.abc import Callable

from support_matters import Matter, Scenario, Value, fill, fill_form
from support_writer import Writer


class VisitorWriter(Writer):
    """Writes the scenarios of visitors too."""

    def _kinds(self) -> dict[str, Callable[[], Scenario]]:
        return super()._kinds() | {
            "can": self._can,
            "confirm": self._confirm,
            "denial": self._denial,
            "echo": self._echo,
            "refusal": self._refusal,
            "partial": self._partial,
        }

    def _can(self) -> Scenario:
        """The question asks whether; bad answers say yes with a value that the facts don't have."""
        matter = self._random.choice([topic for topic in self._topics if topic.can_question])
        thing, values = self._thing(matter), self._two(matter)
        question = fill(matter.can_question, thing)
        one, other = (fill(matter.can_answer, thing, value.written) for value in values)
        if self._chance(0.3):
            one, other = (f"{question} {answer}" for answer in (one, other))
        return self._by_truth(matter, thing, question, values, (one, other))

    def _confirm(self) -> Scenario:
        """The question states a value; bad answers confirm a wrong one or deny the right one."""
        matter = self._random.choice(self._topics)
        thing, values = self._thing(matter), self._two(matter)
        fact = self._fact(matter, thing, values[0]).rstrip(".")
        fact = fact[0].lower() + fact[1:]
        question = self._form("confirm_questions", fact=fact)
        answers = (self._form("confirm_yes"), self._form("confirm_no"))
        return self._by_truth(matter, thing, question, values, answers)

    def _denial(self) -> Scenario:
        """Answers name two values and deny one; bad ones deny the right one."""
        matter = self._random.choice(self._topics)
        thing, values = self._thing(matter), self._two(matter)
        form = self._random.choice(self._forms["denials"])
        one, other = (value.written for value in values)
        answers = (fill_form(form, yes=one, no=other), fill_form(form, yes=other, no=one))
        return self._by_truth(matter, thing, self._question(matter, thing), values, answers)

    def _echo(self) -> Scenario:
        """Answers repeat the question; bad ones give a value that the facts don't have."""
        matter = self._random.choice(self._topics)
        thing, values = self._thing(matter), self._two(matter)
        question, form = self._question(matter, thing), self._random.choice(self._forms["echoes"])
        one, other = (
            fill_form(form, question=question, answer=self._answer(matter, thing, value))
            for value in values
        )
        return self._by_truth(matter, thing, question, values, (one, other))

    def _refusal(self) -> Scenario:
        """A refusal is right only where the facts don't have what was asked for."""
        one = self._random.choice(self._topics)
        other = self._matter(lambda matter: not self._common_things(one, matter))
        thing, value = self._thing(one), self._random.choice(one.values)
        question = self._question(one, thing)
        aside = self._fact(other, self._thing(other), self._random.choice(other.values))
        known = " ".join(self._shuffled(self._fact(one, thing, value), aside))
        return Scenario(
            one.name,
            questions=(question, question),
            truths=(known, aside),
            answers=(self._answer(one, thing, value), self._form("refusals")),
        )

    def _partial(self) -> Scenario:
        """Half an answer is right only where half was asked for."""
        one, other = self._random.sample(self._topics, 2)
        thing, other_thing = self._thing(one), self._thing(other)
        value = self._random.choice(one.values)
        other_value = self._random.choice([v for v in other.values if v != value])
        question = fill(self._random.choice(one.questions.common), thing)
        other_question = fill(self._random.choice(other.questions.common), other_thing)
        fact, other_fact = (
            self._fact(one, thing, value),
            self._fact(other, other_thing, other_value),
        )
        answer = self._answer(one, thing, value)
        both = f"{answer} {self._answer(other, other_thing, other_value)}"
        return Scenario(
            f"{one.name}-{other.name}",
            questions=(f"{question} {other_question}", question),
            truths=(" ".join(self._shuffled(fact, other_fact)), fact),
            answers=(both, answer),
        )

    def _by_truth(
        self,
        matter: Matter,
        thing: str,
        question: str,
        values: tuple[Value, Value],
        answers: tuple[str, str],
    ) -> Scenario:
        """One question; the first answer is right by the first value, the second by the other."""
        one, other = (self._fact(matter, thing, value) for value in values)
        return Scenario(matter.name, (question, question), (one, other), answers)

    def _two(self, matter: Matter) -> tuple[Value, Value]:
        one, other = self._random.sample(matter.values, 2)
        return one, other

    def _form(self, name: str, **pieces: str) -> str:
        return fill_form(self._random.choice(self._forms[name]), **pieces)
