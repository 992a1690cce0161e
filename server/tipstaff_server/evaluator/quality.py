"""An evaluator's main measures on labelled rows, each with its 95 % interval."""

from __future__ import annotations

from typing import Annotated, Literal

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

    @property
    def unknown(self) -> bool:
        """Whether a share or an AUROC may be anything from 0 to 1: its rows are too few to say."""
        return self.low <= 0 and self.high >= 1

    def ends(self, form: str = ".3f") -> str:
        """The interval in words, with numbers in a form of `format`."""
        if self.unknown:
            return "too few rows to say"
        return f"{self.low:{form}} to {self.high:{form}}"

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.ends()})"


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


class ProbeRate(_Part):
    """What one rewriting of outputs does to the verdicts, as served.

    Attributes:
        name: The rewriting's name.
        effect: What it does to the label: `breaks` makes any output bad, `keeps` leaves the label,
            `mends` makes any output good.
        n: Rewritten rows: bad ones or, where a piece of a good output is exchanged, good ones for
            `breaks`, good ones for `keeps`, all for `mends`.
        before: Share of these rows that got a PASS as they were; None where the rewriting turns
            good rows into bad ones or bad into good.
        after: Share that gets a PASS once rewritten.
        harm: By how much the wrong verdicts become more, as a difference of shares: bad outputs
            that pass beyond the bad ones that pass as they are, or good outputs that no longer
            pass.
    """

    name: str
    effect: Literal["breaks", "keeps", "mends"]
    n: _Count
    before: float | None = None
    after: Interval
    harm: Interval

    def __str__(self) -> str:
        kind = "bad" if self.effect == "breaks" else "good"
        return f"{self.name} ({self.after.value:.0%} of {self.n} {kind} outputs pass)"


class Probes(_Part):
    """Rewritten rows, measured as served; see `tipstaff probe`.

    Attributes:
        rows: Rows that were rewritten.
        bad_passed: Share of the bad ones among them that got a PASS as they were; None without any.
        good_passed: The same of the good ones.
        rates: One for each rewriting that applied to a row, the most harmful first.
        fingerprint: SHA-256 over the rows, in order.
    """

    rows: _Count
    bad_passed: Interval | None = None
    good_passed: Interval | None = None
    rates: tuple[ProbeRate, ...] = ()
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
