"""Named cases: interactions with an expected verdict, like unit tests.

They travel in the bundle (`cases.json`, in the manifest's checksums), so that a repository can run
them before a version serves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from tipstaff.types import FIELDS, Field, Interaction, Verdict
from tipstaff_server.errors import BundleError, InvalidRequest
from tipstaff_server.evaluator.bundle import Bundle

if TYPE_CHECKING:
    from tipstaff_server.evaluator.evaluator import Evaluator

CASES_FILE: Final = "cases.json"

Expectation = Literal["pass", "review", "block", "not-pass", "not-block"]


def _one_line(name: object) -> object:
    # A YAML block has several lines, but names appear in tables, lists and one-line messages.
    return " ".join(name.split()) if isinstance(name, str) else name


def _any_case(expected: object) -> object:
    # Verdicts are displayed in upper case, and people copy them from there.
    return expected.lower() if isinstance(expected, str) else expected


class Case(BaseModel):
    """One interaction and its expected verdict.

    Attributes:
        name: What the case stands for, in words; made to fit one line, and unique in its bundle.
        expect: The verdict, or one that it must not be; converted to lower case.
        input: As in an interaction; at least one of the three is given.
        output: As in an interaction.
        ground_truth: As in an interaction.
        note: Why it matters.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, BeforeValidator(_one_line), StringConstraints(min_length=1)]
    expect: Annotated[Expectation, BeforeValidator(_any_case)]
    input: str | None = None
    output: str | None = None
    ground_truth: str | None = None
    note: str = ""

    @model_validator(mode="after")
    def _something_is_judged(self) -> Case:
        if all(getattr(self, name) is None for name in FIELDS):
            raise ValueError(f"give {', '.join(FIELDS[:-1])} or {FIELDS[-1]}")
        return self

    @property
    def interaction(self) -> Interaction:
        """The case as an interaction."""
        return Interaction(self.input, self.output, self.ground_truth)

    def allows(self, verdict: Verdict) -> bool:
        """Whether a verdict is as expected."""
        unwanted = self.expect.removeprefix("not-")
        return (verdict.lower() == unwanted) != self.expect.startswith("not-")


CASES: TypeAdapter[tuple[Case, ...]] = TypeAdapter(tuple[Case, ...])


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of running a case."""

    case: Case
    verdict: Verdict
    score: float

    @property
    def met(self) -> bool:
        """Whether the verdict is as expected."""
        return self.case.allows(self.verdict)

    def __str__(self) -> str:
        return (
            f'"{self.case.name}" ({self.case.expect} expected, {self.verdict} at {self.score:.3f})'
        )


def bundle_cases(bundle: Bundle) -> tuple[Case, ...] | None:
    """The cases of a bundle; None if it was made without any mention of cases.

    Raises:
        BundleError: The file is damaged.
    """
    if CASES_FILE not in bundle.manifest.checksums:
        return None
    try:
        return CASES.validate_json(bundle.read(CASES_FILE))
    except ValidationError as error:
        raise BundleError(bundle.path / CASES_FILE, str(error.errors()[0]["msg"])) from error


def merge_cases(
    own: Sequence[Case], previous: Sequence[Case], fields: Sequence[Field]
) -> tuple[Case, ...]:
    """A version's own cases, then those of an earlier version that it doesn't bring, by name.

    Earlier cases that the version can't read are left out: they were made for an evaluator of other
    fields.

    Args:
        own: The version's cases.
        previous: The earlier version's cases.
        fields: The fields that the version reads.
    """
    names = {case.name for case in own}
    dropped = (case for case in previous if case.name not in names)
    return (*own, *(case for case in dropped if _is_read(case, fields)))


def describe_changes(
    own: Sequence[Case], previous: Sequence[Case], fields: Sequence[Field], *, of: str
) -> list[str]:
    """How an earlier version's cases changed, in sentences for people.

    `merge_cases` takes a changed case as it is now. Without these sentences, nobody would notice a
    case that now expects PASS instead of BLOCK.

    Args:
        own: The version's cases.
        previous: The earlier version's cases.
        fields: The fields that the version reads.
        of: The earlier version, in words.
    """
    now = {case.name: case for case in own}
    changes = []
    if gone := [case for case in previous if case.name not in now]:
        changes.append(f"named cases that only {of} brings: {_names(gone)}")
    if unread := [case for case in gone if not _is_read(case, fields)]:
        changes.append(
            f"not run, as they have nothing in {' or '.join(fields)}, which is all that the new "
            f"one reads: {_names(unread)}"
        )
    pairs = [(case, now[case.name]) for case in previous if case.name in now]
    if changed := [f'"{new.name}" ({how})' for old, new in pairs if (how := _change(old, new))]:
        changes.append(
            f"named cases that {of} has otherwise, run as they are now: " + ", ".join(changed)
        )
    return changes


def _is_read(case: Case, fields: Sequence[Field]) -> bool:
    return any(case.interaction.get(name) is not None for name in fields)


def _names(cases: Iterable[Case]) -> str:
    return ", ".join(f'"{case.name}"' for case in cases)


def _change(old: Case, new: Case) -> str:
    expectation = f"{old.expect} expected, now {new.expect}" if old.expect != new.expect else ""
    texts = "other texts" if old.interaction != new.interaction else ""
    return "; ".join(filter(None, (expectation, texts)))


def run_cases(evaluator: Evaluator, cases: Iterable[Case]) -> list[Outcome]:
    """Scores cases as they would be served.

    Raises:
        InvalidRequest: One has none of the fields that the evaluator reads; names it.
    """
    outcomes = []
    for case in cases:
        try:
            prediction = evaluator.score(case.interaction)
        except InvalidRequest as error:
            raise InvalidRequest(error.field, f'{error.why} (named case "{case.name}")') from None
        outcomes.append(Outcome(case, prediction.verdict, prediction.score))
    return outcomes


def failures(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes whose verdict is not as expected."""
    return [outcome for outcome in outcomes if not outcome.met]
