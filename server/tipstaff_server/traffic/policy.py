"""With which probability an answer is kept: fixed beforehand, by evaluator, verdict and score.

Whoever keeps only doubtful answers can't see false passes, so every stratum has a rate above zero.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tipstaff.types import Verdict
from tipstaff_server.errors import SettingsError

# Scores are counted in this many bands of equal width; a stratum is a verdict and a band.
BANDS = 10
# The least rate: rarer rows would get weights that no interval survives.
FLOOR = 0.001

_Rate = Annotated[float, Field(ge=FLOOR, le=1)]
_Score = Annotated[float, Field(ge=0, le=1)]


class Rule(BaseModel):
    """The rate of some answers; a field that is None matches all.

    Attributes:
        rate: The probability with which such an answer is kept.
        evaluator: Its evaluator's name.
        verdict: Its verdict.
        low: Its score is at least this, a multiple of 0.1.
        high: Its score is below this, a multiple of 0.1; 1 includes a score of 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: _Rate
    evaluator: str | None = None
    verdict: Verdict | None = None
    low: _Score = 0.0
    high: _Score = 1.0

    @field_validator("low", "high")
    @classmethod
    def _check_bound(cls, value: float) -> float:
        if abs(value * BANDS - round(value * BANDS)) > 1e-9:
            raise ValueError(f"not a multiple of {1 / BANDS:g}")
        return value

    def matches(self, evaluator: str, verdict: str, band: int) -> bool:
        """Whether a stratum of an evaluator is among the rule's."""
        return (
            self.evaluator in (None, evaluator)
            and self.verdict in (None, verdict)
            and round(self.low * BANDS) <= band < round(self.high * BANDS)
        )


class _Rules(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rule: tuple[Rule, ...] = ()


class SamplingPolicy:
    """The rate of every stratum, and the draw.

    Args:
        rate: The rate of answers that no rule matches.
        rules: The first that matches decides.
        salt: Makes the draw unpredictable to callers; servers that share it draw alike.

    Attributes:
        version: Identifies the rates and the salt; each row carries it.
    """

    def __init__(self, rate: float, rules: tuple[Rule, ...], salt: bytes) -> None:
        self._rate = rate
        self._rules = rules
        self._keyed = hashlib.blake2b(digest_size=8, key=salt)
        self._rates: dict[tuple[str, str, int], float] = {}
        text = json.dumps([rate, [rule.model_dump(mode="json") for rule in rules]])
        self.version = hashlib.sha256(text.encode() + salt).hexdigest()[:12]

    def rate(self, evaluator: str, verdict: str, band: int) -> float:
        """The probability, in (0, 1], with which an answer of a stratum is kept."""
        key = (evaluator, verdict, band)
        rate = self._rates.get(key)
        if rate is None:
            matching = (rule.rate for rule in self._rules if rule.matches(*key))
            rate = self._rates[key] = next(matching, self._rate)
        return rate

    def draw(self, row_id: str) -> float:
        """A number in [0, 1) that depends on salt and row alone: below the rate it is kept."""
        hashed = self._keyed.copy()
        hashed.update(row_id.encode())
        # 53 bits, so that the quotient is below 1 in floating point too.
        return (int.from_bytes(hashed.digest()) >> 11) / 2**53


def band_of(score: float) -> int:
    """The band of a score in [0, 1], from 0."""
    return min(BANDS - 1, int(score * BANDS))


def read_rules(file: Path | None) -> tuple[Rule, ...]:
    """Reads rules from a TOML file with `[[rule]]` tables.

    Raises:
        SettingsError: The file can't be read, or a rule is invalid; names the rule and its field.
    """
    if file is None:
        return ()
    try:
        return _Rules.model_validate(tomllib.loads(file.read_text(encoding="utf-8"))).rule
    except OSError as error:
        why = f"can't be read: {error.strerror}"
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(each + 1) if isinstance(each, int) else each for each in first["loc"])
        why = f"{place}: {first['msg']}"
    except ValueError as error:
        why = f"not TOML: {error}"
    raise SettingsError(why, field="traffic_rules", value=str(file))
