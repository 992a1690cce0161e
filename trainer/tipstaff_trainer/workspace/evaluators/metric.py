"""Metrics: evaluators by the names that people give them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tipstaff.errors import UsageError

_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Metric:
    """An evaluator by its name, to score or to measure with.

    Attributes:
        name: The evaluator's name, or a title with spaces that was given to `fine_tune_model`.
        version: Its version; the serving one, else the newest, when None.
    """

    name: str
    version: int | None = None

    @property
    def evaluator(self) -> str:
        """The evaluator's name in the repository: a-z, 0-9 and -."""
        return evaluator_name(self.name)


def evaluator_name(title: str) -> str:
    """An evaluator's name from a title: `My Custom Metric` is `my-custom-metric`.

    Raises:
        UsageError: No letter or digit is left of it.
    """
    name = re.sub(r"[^a-z0-9]+", "-", title.casefold()).strip("-")[:_LONGEST].rstrip("-")
    if not name:
        raise UsageError(
            "has no letter from a to z and no digit", field="model_name", value=repr(title)[:80]
        )
    return name
