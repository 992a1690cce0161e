"""From an interaction to what an application does with its answer."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from tipstaff.aio import AsyncClient
from tipstaff.client import Client
from tipstaff.errors import TipstaffError, UsageError
from tipstaff.reasons import reasons_with_fields
from tipstaff.types import Interaction, Score, Verdict

_log = logging.getLogger("tipstaff")

_MOST_WORDS = 12


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer that was checked.

    Attributes:
        interaction: What was scored.
        score: Its score.
    """

    interaction: Interaction
    score: Score

    @property
    def words(self) -> tuple[str, ...]:
        """The words that lowered the score, in the order of the answer, each once."""
        output = self.interaction.output or ""
        found = (output[each.start : each.end] for each in self.score.highlights)
        return tuple(dict.fromkeys(found))

    def describe(self) -> str:
        """The verdict and its reasons in one line, without any text of the interaction.

        A reason about fields names them, as in `MISSING_FIELD (ground_truth)`.
        """
        score = self.score
        parts = [f"{score.evaluator or 'no evaluator'}: {score.verdict}"]
        if score.score is not None:
            parts.append(f"score {score.score:.3f}")
        if score.reasons:
            parts.append(", ".join(reasons_with_fields(score, self.interaction)))
        if score.failure is not None:
            parts.append(str(score.failure))
        return "; ".join(parts)


class BlockedError(TipstaffError):
    """An answer may not pass.

    Attributes:
        checked: The answer and its score.
    """

    def __init__(self, checked: Checked) -> None:
        super().__init__(f"the answer was held back: {checked.describe()}")
        self.checked = checked


# What an application's own function gives: the text to answer in place, or None to let it through.
Decided: TypeAlias = str | None
Named: TypeAlias = Literal["raise", "replace", "retry", "note"]
Action: TypeAlias = Named | Callable[[Checked], Decided | Awaitable[Decided]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of an answer.

    Attributes:
        kind: `allow`, `replace` or `retry`; what is blocked has raised its error.
        checked: The answer and its score.
        text: What to answer in place (`replace`), or to tell the model (`retry`).
    """

    kind: Literal["allow", "replace", "retry"]
    checked: Checked
    text: str = ""


class Guard:
    """Checks answers, and decides what to do with those that fail.

    An action is one of these:

        raise       raise `BlockedError`
        replace     answer `replacement` in place
        retry       have the model answer again, naming the words that lowered the score; after
                    `retries` attempts, raise
        note        let it through; `on_note` is called
        a function  gets the `Checked`; what it returns is answered in place, None lets it through,
                    and what it raises goes on; may be async where the framework is

    Where the server can't answer, the client's `on_failure` decides: it raises, or gives a score
    with PASS or BLOCK. A field that is missing makes the verdict REVIEW.

    Answers that are replaced or asked for again are logged as warnings of the logger `tipstaff`,
    with evaluator, verdict and reasons, and without any text.

    Args:
        client: The client; a `Client` also serves async code, in a thread.
        evaluator: Overrides the client's.
        on_block: What becomes of an answer whose verdict is BLOCK.
        on_review: What becomes of one whose verdict is REVIEW.
        replacement: What `replace` answers.
        retries: How often `retry` has the model answer again.
        on_note: Is called with what `note` lets through; needed for `note`.

    Raises:
        UsageError: An action is unknown, `retries` is negative, or `note` has nobody to tell.
    """

    def __init__(
        self,
        client: Client | AsyncClient,
        *,
        evaluator: str | None = None,
        on_block: Action = "raise",
        on_review: Action = "raise",
        replacement: str = "I can't answer that.",
        retries: int = 1,
        on_note: Callable[[Checked], object] | None = None,
    ) -> None:
        self._client = client
        self._evaluator = evaluator
        self._actions: dict[Verdict, Action] = {
            Verdict.BLOCK: _checked("on_block", on_block, on_note),
            Verdict.REVIEW: _checked("on_review", on_review, on_note),
        }
        if retries < 0:
            raise UsageError("must be 0 or more", field="retries", value=str(retries))
        self._replacement = replacement
        self._retries = retries
        self._on_note = on_note
        # Only these two look at the words.
        self._explain = any(
            action == "retry" or callable(action) for action in self._actions.values()
        )

    def check(self, interaction: Interaction, attempt: int = 0) -> Outcome:
        """Checks an answer, blocking.

        Args:
            interaction: The answer, with what it answers.
            attempt: How often the model was asked again already.

        Raises:
            BlockedError: The answer may not pass.
            ScoringError: There is no score.
            UsageError: The client is for asyncio.
        """
        if isinstance(self._client, AsyncClient):
            raise UsageError("blocking code needs a Client, and this guard has an AsyncClient")
        outcome = self._act(Checked(interaction, self._score(self._client, interaction)), attempt)
        if not isinstance(outcome, Outcome):
            raise UsageError("blocking code needs a function that is not async")
        return outcome

    async def acheck(self, interaction: Interaction, attempt: int = 0) -> Outcome:
        """Checks an answer in asyncio; all as for `check`.

        Raises:
            BlockedError: The answer may not pass.
            ScoringError: There is no score.
        """
        if isinstance(self._client, AsyncClient):
            score = await self._client.score(**self._arguments(interaction))
        else:
            score = await asyncio.to_thread(self._score, self._client, interaction)
        checked = Checked(interaction, score)
        outcome = self._act(checked, attempt)
        return outcome if isinstance(outcome, Outcome) else _decided(await outcome, checked)

    def _score(self, client: Client, interaction: Interaction) -> Score:
        return client.score(**self._arguments(interaction))

    def _arguments(self, interaction: Interaction) -> dict[str, Any]:
        return {
            "input": interaction.input,
            "output": interaction.output,
            "ground_truth": interaction.ground_truth,
            "evaluator": self._evaluator,
            "explain": self._explain,
        }

    def _act(self, checked: Checked, attempt: int) -> Outcome | Awaitable[Decided]:
        """What becomes of an answer; an async function of the app's is still to be awaited."""
        action = self._actions.get(checked.score.verdict, "allow")
        if callable(action):
            decided = action(checked)
            return decided if inspect.isawaitable(decided) else _decided(decided, checked)
        if action == "note" and self._on_note is not None:
            self._on_note(checked)
        if action in ("allow", "note"):
            return Outcome("allow", checked)
        if action == "replace":
            log_held_back(checked, "replaced")
            return Outcome("replace", checked, self._replacement)
        if action == "retry" and attempt < self._retries:
            log_held_back(checked, "to be answered again")
            return Outcome("retry", checked, retry_message(checked))
        raise BlockedError(checked)


def log_held_back(checked: Checked, outcome: str) -> None:
    """Logs why an answer does not pass, where no error tells the application.

    Args:
        checked: The answer and its score.
        outcome: What becomes of the answer, as in `blocked`.
    """
    _log.warning("an answer was held back and is %s: %s", outcome, checked.describe())


def retry_message(checked: Checked) -> str:
    """What a model is told so that it answers again."""
    words = checked.words[:_MOST_WORDS]
    named = ": " + ", ".join(f'"{each}"' for each in words) if words else ""
    return (
        "Your last answer did not pass an automatic check"
        + (f". These words of it lowered its score most{named}" if words else "")
        + ". Answer the question again, and say only what the given facts support."
    )


def _checked(name: str, action: Action, on_note: object) -> Action:
    if not callable(action) and action not in get_args(Named):
        known = ", ".join(map(repr, get_args(Named)))
        raise UsageError(f"must be {known} or a function", field=name, value=repr(action))
    if action == "note" and on_note is None:
        remedy = "give a function, as on_note=print"
        raise UsageError("tells nobody", field=name, value=repr(action), remedy=remedy)
    return action


def _decided(text: Decided, checked: Checked) -> Outcome:
    return Outcome("allow", checked) if text is None else Outcome("replace", checked, text)
