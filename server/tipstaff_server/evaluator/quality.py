"""An evaluator's main measures on labelled rows, each with its 95 % interval."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

_Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    # Unknown fields are ignored, so that an older server reads a manifest that has grown.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Interval(_Part):
    """An estimate with its 95 % interval; `n` is the rows it rests on."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


class Quality(_Part):
    """The measures on one set of rows, as served.

    Attributes:
        n: Rows.
        good: Good rows among them.
        accuracy: Share of right decisions at 0.5.
        auroc: None where all rows are of one class.
        bad_passed: Share of the bad rows that got a PASS; None without bad rows, or where the
            thresholds changed since.
        fingerprint: SHA-256 over the rows, in order.
    """

    n: _Count
    good: _Count
    accuracy: Interval
    auroc: Interval | None = None
    bad_passed: Interval | None = None
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None

    @property
    def bad(self) -> int:
        """Bad rows."""
        return self.n - self.good
