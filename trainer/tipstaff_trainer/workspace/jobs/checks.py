"""What people give for a job, checked before it starts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from tipstaff.errors import UsageError
from tipstaff.types import Field
from tipstaff_server.evaluator.cases import Case
from tipstaff_trainer.data.cases import read_cases
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.judge.examples import MOST_EXAMPLES
from tipstaff_trainer.judge.settings import JudgeSettings

# Whoever starts a job says where its key is sent: no other secret of this machine may go there.
_KEY_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,60}_API_KEY")
Settings = TypeVar("Settings", JudgeSettings, TrainSettings)


def check_key_variable(name: str) -> None:
    """Checks that an environment variable may be read as a judge's key.

    Raises:
        UsageError: It may not.
    """
    if name and not _KEY_NAME.fullmatch(name):
        raise UsageError(
            f"{name[:80]!r} is not read as a key: name an environment variable that ends in "
            "_API_KEY, or none"
        )


def check_examples(count: int) -> int:
    """How many examples a judge is shown.

    Raises:
        UsageError: Too many, or fewer than none.
    """
    if not 0 <= count <= MOST_EXAMPLES:
        raise UsageError(f"examples: {count}: take 0 to {MOST_EXAMPLES}")
    return count


def named_cases(given: Sequence[Case] | str | Path, fields: Sequence[Field]) -> tuple[Case, ...]:
    """The named cases that a training takes along.

    Args:
        given: They themselves, or a YAML file of them.
        fields: What the evaluator is to read.

    Raises:
        DataError: The file or a case can't be used.
        UsageError: A case has nothing that the evaluator reads.
    """
    cases = read_cases(Path(given)) if isinstance(given, (str, Path)) else tuple(given)
    for case in cases:
        if all(case.interaction.get(field) is None for field in fields):
            raise UsageError(
                f'named case "{case.name}" has none of {", ".join(fields)}, which the evaluator '
                "is to read: give it one, or take it away"
            )
    return cases


def judge_settings(given: Mapping[str, Any] | JudgeSettings) -> JudgeSettings:
    """The judge's settings.

    Raises:
        UsageError: One won't do; names it.
    """
    return _validated(JudgeSettings, given, "the judge's")


def train_settings(given: Mapping[str, Any] | TrainSettings | None) -> TrainSettings:
    """The training's settings.

    Raises:
        UsageError: One won't do; names it.
    """
    return _validated(TrainSettings, given or {}, "the training's")


def _validated(kind: type[Settings], given: Mapping[str, Any] | Settings, whose: str) -> Settings:
    if isinstance(given, kind):
        return given
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        what = ".".join(map(str, first["loc"]))
        why = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{whose} settings: {what}: {why}".replace(": :", ":")) from None
