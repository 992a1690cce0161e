"""The file of callers: who may ask, with which tokens, for what, and how much.

[callers.checkout]
tokens = ["sha256:4e07…", "sha256:9b1c…"]   # several at once, so that they can be rotated
evaluators = ["support-faithfulness"]       # all, unless named
calls = ["Score", "ScoreBatch"]             # all, unless named
weight = 2                                  # share of a server that is short of time
requests_per_second = 200
requests_under_way = 50
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from tipstaff.access_files import read_private
from tipstaff.errors import AccessFileError
from tipstaff_server.access.tokens import check_hash, hash_token, same_hash
from tipstaff_server.errors import Forbidden
from tipstaff_server.printable import printable

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
CALLS = ("Score", "ScoreBatch", "ListEvaluators", "SubmitFeedback")
# A caller that names itself may send anything.
_LONGEST_NAME = 64


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            "a caller's name has letters, digits, dots, dashes and underscores, 64 at most"
        )
    return name


class Caller(BaseModel):
    """One caller and what it may do.

    Attributes:
        name: As in the file, or as the caller named itself; empty where callers aren't told apart.
        tokens: Hashes of its tokens.
        evaluators: The evaluators that it may ask; None for all.
        calls: The calls that it may make; None for all.
        weight: Its share of a server that is short of time, relative to other callers.
        requests_per_second: Most interactions a second; 0 for the server's setting.
        requests_under_way: Most interactions at a time; 0 for the server's setting.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    tokens: tuple[Annotated[str, AfterValidator(check_hash)], ...] = Field((), repr=False)
    evaluators: frozenset[str] | None = None
    calls: frozenset[Literal["Score", "ScoreBatch", "ListEvaluators", "SubmitFeedback"]] | None = (
        None
    )
    weight: float = Field(1.0, gt=0, le=1000)
    requests_per_second: float = Field(0.0, ge=0, le=1e6)
    requests_under_way: int = Field(0, ge=0, le=10**6)

    def may_call(self, method: str) -> bool:
        """Whether it may make a call."""
        return self.calls is None or method in self.calls

    def may_ask(self, evaluator: str) -> bool:
        """Whether it may ask an evaluator."""
        return self.evaluators is None or evaluator in self.evaluators

    def check_may_ask(self, evaluator: str) -> None:
        """Checks that it may ask an evaluator.

        Raises:
            Forbidden: It may not.
        """
        if not self.may_ask(evaluator):
            raise Forbidden(f"caller {self.name} may not ask evaluator {evaluator!r}")


ANYONE = Caller()


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    callers: dict[Annotated[str, AfterValidator(_check_name)], Caller] = Field(min_length=1)


@dataclass(frozen=True)
class Callers:
    """All callers of the file.

    Attributes:
        by_name: Them by name.
    """

    by_name: Mapping[str, Caller] = field(default_factory=dict)

    @property
    def need_tokens(self) -> bool:
        """Whether calls need a token: as soon as one caller has one."""
        return any(caller.tokens for caller in self.by_name.values())

    def with_token(self, token: str) -> Caller | None:
        """The caller that a token belongs to.

        Every hash is compared, so that the time doesn't tell whose token was nearly right.
        """
        found = None
        hashed = hash_token(token)
        for caller in self.by_name.values():
            for known in caller.tokens:
                if same_hash(hashed, known):
                    found = caller
        return found

    def named(self, name: str) -> Caller:
        """The caller of a name; one that the file doesn't have gets the usual limits."""
        if not name:
            return ANYONE
        known = self.by_name.get(name)
        if known is not None:
            return known
        return Caller(name=printable(name, _LONGEST_NAME))

    def check_evaluators(self, known: Iterable[str], path: Path) -> None:
        """Checks that each evaluator that a caller is limited to exists.

        Raises:
            AccessFileError: One doesn't; names the caller and what there is.
        """
        there = sorted(known)
        for caller in self.by_name.values():
            for name in sorted(caller.evaluators or ()):
                if name not in there:
                    raise AccessFileError(
                        f"{path}: caller {caller.name} may ask {name!r}, and there is no such "
                        f"evaluator; there are {', '.join(there) or 'none'}",
                        field="callers",
                    )


def load_callers(path: Path) -> Callers:
    """Reads a file of callers.

    Raises:
        AccessFileError: It can't be read, is empty, may be read by everybody, or is wrong; says
            where.
    """
    text = read_private(path, "callers")
    try:
        content = tomllib.loads(text.decode())
        parsed = _File.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"] if part != "[key]")
        why = str(first["msg"]).removeprefix("Value error, ")
        raise AccessFileError(f"{path}: {place or 'callers'}: {why}", field="callers") from None
    except ValueError as error:
        raise AccessFileError(f"{path}: not TOML: {error}", field="callers") from None
    except RecursionError:
        raise AccessFileError(f"{path}: nested too deeply", field="callers") from None
    owners: dict[str, str] = {}
    for name, caller in parsed.callers.items():
        for known in caller.tokens:
            other = owners.setdefault(known, name)
            if other != name:
                raise AccessFileError(
                    f"{path}: callers {other} and {name} have the same token", field="callers"
                )
    return Callers(
        {name: caller.model_copy(update={"name": name}) for name, caller in parsed.callers.items()}
    )
