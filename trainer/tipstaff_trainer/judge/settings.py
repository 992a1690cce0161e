"""Settings of a judge: the endpoint, the kind of label, pace and budget."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import ValidationInfo, field_validator, model_validator
from pydantic_core import from_json

from tipstaff.errors import UsageError
from tipstaff_server.requests import Request, setting

Soft = Literal["auto", "logprobs", "samples", "verdict"]

# Path of chat completions under an endpoint's address.
CHAT_PATH = "/chat/completions"
# Parts of a request's body that the prompt, the kind of label and other settings decide.
_RESERVED = frozenset(
    "model messages temperature max_tokens max_completion_tokens n stream logprobs top_logprobs "
    "response_format".split()
)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,100}")
_NOT_IN_A_URL = re.compile(r"[\s?#]")
# Names of query parameters that hold a key, a token or a signature.
_SECRET_NAME = re.compile(
    r"(?:^|[-_.])(?:(?:api|access|auth|subscription|account|function)?[-_.]?(?:key|token)"
    r"|code|sig|signature|secret|password|passwd|pwd|credentials?|bearer|jwt|sas)(?:$|[-_.])",
    re.IGNORECASE,
)


class JudgeSettings(Request):
    """Settings of one judge, without its key: a job keeps its settings in its row."""

    model: str = setting(
        description="the model's name at the endpoint", unit="model", common=True, min_length=1
    )
    base_url: str = setting(
        "https://api.openai.com/v1",
        "the OpenAI-compatible endpoint, with its /v1",
        title="Endpoint",
        unit="url",
        common=True,
    )
    headers: dict[str, str] = setting(
        {},
        "further headers of each call, each with the environment variable that holds its value, "
        "as api-key=AZURE_API_KEY; may be repeated",
        unit="HEADER=VARIABLE",
    )
    query: dict[str, str] = setting(
        {},
        "query parameters of each call, as api-version=2024-10-21; may be repeated",
        unit="NAME=VALUE",
    )
    secret_query: dict[str, str] = setting(
        {},
        "query parameters whose values are secret, each with the environment variable that holds "
        "it, as key=GEMINI_API_KEY; may be repeated",
        unit="NAME=VARIABLE",
    )
    ca_file: Path | None = setting(
        None, "certificates that the endpoint's is checked against", unit="file"
    )
    proxy: str = setting(
        "", "the HTTP proxy to call through (default: the environment's)", unit="url", local=True
    )
    soft: Soft = setting(
        "auto",
        "where soft labels come from; auto: log-probabilities where the endpoint gives "
        "them, else the share of samples",
        title="Kind of label",
        common=True,
    )
    samples: int = setting(
        5, "replies per row, where labels are shares", unit="calls", common=True, ge=1, le=50
    )
    temperature: float | None = setting(
        None, "sampling temperature (default: 0 for one call a row, else 1)", ge=0, le=2
    )
    max_reply_tokens: int = setting(300, "longest reply", title="Max reply", unit="tokens", ge=1)
    extra_body: dict[str, Any] | None = setting(
        None, """further parts of each call, as JSON: '{"reasoning_effort": "low"}'""", unit="JSON"
    )
    attempts: int = setting(3, "unreadable replies before a row is given up", unit="calls", ge=1)
    concurrency: int = setting(16, "calls at a time", unit="calls", common=True, ge=1, le=512)
    requests_per_minute: float | None = setting(
        None, "most calls in a minute", title="Max calls per minute", unit="calls", gt=0
    )
    timeout: float = setting(60.0, "seconds for one call", unit="seconds", gt=0)
    patience: float = setting(300.0, "stop after this long without an answer", unit="seconds", ge=0)
    poll_interval: float = setting(30.0, "seconds between checks of a batch", unit="seconds", gt=0)
    price_input: float = setting(
        0.0,
        "money for a million prompt tokens",
        title="Price of input",
        unit="money",
        common=True,
        ge=0,
    )
    price_output: float = setting(
        0.0,
        "money for a million reply tokens",
        title="Price of output",
        unit="money",
        common=True,
        ge=0,
    )
    max_cost: float | None = setting(
        None,
        "money to spend at most; needs the prices",
        title="Budget",
        unit="money",
        common=True,
        gt=0,
    )
    max_tokens_total: int | None = setting(
        None, "tokens to spend at most", title="Token budget", unit="tokens", gt=0
    )

    @field_validator("base_url")
    @classmethod
    def _check_address(cls, url: str) -> str:
        # urlsplit checks a port only when it is read.
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError("is not an endpoint's address such as http://localhost:8000/v1")
        # The address is stored and shown: in the ledger, with a job, in messages.
        if "@" in parts.netloc:
            raise ValueError("put no name or password into the address; a key has its own place")
        if _NOT_IN_A_URL.search(url):
            raise ValueError("the address has a space, ? or #, and paths are added to it")
        if parts.path.rstrip("/").endswith(CHAT_PATH):
            raise ValueError(f"leave {CHAT_PATH} out of the address: it is added to it")
        # Batches are looked up by their endpoint's address, so it needs one spelling.
        return url.rstrip("/")

    @field_validator("headers", "query", "secret_query", mode="before")
    @classmethod
    def _parse_assignments(cls, value: Any) -> Any:
        """Accepts `api-version=2024-10-21`, a list of such texts, or a form's JSON object."""
        if isinstance(value, Mapping):
            return value
        texts = [value] if isinstance(value, str) else value or ()
        if texts and str(texts[0]).lstrip().startswith("{"):
            return from_json(",".join(map(str, texts)))
        pairs = {}
        for text in texts:
            name, equals, rest = str(text).partition("=")
            if not (name.strip() and equals and rest.strip()):
                # Not shown whole: it may be a secret.
                raise ValueError(f"{name.strip()[:20]!r} … is not NAME=VALUE")
            pairs[name.strip()] = rest.strip()
        return pairs

    @field_validator("headers", "secret_query")
    @classmethod
    def _check_variables(cls, variables: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        for name, variable in variables.items():
            if info.field_name == "headers" and not _HEADER.fullmatch(name):
                raise ValueError(f"{name!r} is no header's name")
            # A value in place of a variable would be stored with a job; it isn't shown either.
            if not _VARIABLE.fullmatch(variable):
                raise UsageError(
                    "name the environment variable that holds the value, not the value",
                    field=info.field_name or "",
                    value=name[:80],
                )
        return variables

    @field_validator("query")
    @classmethod
    def _check_query(cls, query: dict[str, str]) -> dict[str, str]:
        for name in query:
            if _SECRET_NAME.search(name):
                # The value, which is not shown, would be stored with a job.
                raise UsageError(
                    "looks like a secret, which would be stored",
                    field="query",
                    value=name[:80],
                    remedy="put the value into an environment variable, and name it in "
                    "{secret_query}",
                )
        return query

    @field_validator("proxy")
    @classmethod
    def _check_proxy(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("is not a proxy's address such as http://proxy:3128")
        if "@" in parts.netloc:
            raise ValueError("put no name or password into the address: it is stored and shown")
        return url

    @field_validator("extra_body", mode="before")
    @classmethod
    def _parse_object(cls, value: Any) -> Any:
        # A flag that may be repeated brings a list; the last one counts.
        if isinstance(value, list) and value:
            value = value[-1]
        if isinstance(value, str):
            with suppress(ValueError):
                value = from_json(value, allow_inf_nan=False)
        if value is not None and not isinstance(value, dict):
            raise ValueError("""is not a JSON object such as '{"reasoning_effort": "low"}'""")
        if reserved := _RESERVED.intersection(value or ()):
            raise ValueError(
                f"leave out {', '.join(sorted(reserved))}: the settings of model, kind of label, "
                "samples, temperature and length decide that"
            )
        return value or None

    @model_validator(mode="after")
    def _check_prices(self) -> Self:
        if self.max_cost is not None and not self.priced:
            raise UsageError(
                "needs the prices of tokens",
                field="max_cost",
                value=f"{self.max_cost:g}",
                remedy="set {price_input} and {price_output}",
            )
        return self

    @property
    def priced(self) -> bool:
        """Whether tokens have a price."""
        return bool(self.price_input or self.price_output)

    def cost(self, prompt_tokens: int, reply_tokens: int) -> float:
        """The cost of tokens, in the prices' currency."""
        return (prompt_tokens * self.price_input + reply_tokens * self.price_output) / 1e6


def check_api_key(key: str | None) -> str:
    """Strips an endpoint's key, to be sent in a header; empty if there is no key.

    Raises:
        UsageError: The key can't be sent. The message doesn't show the key.
    """
    # A key that was read from a file ends with a line break.
    key = (key or "").strip()
    if not key.isprintable():
        raise UsageError(
            "the variable holds no key: it has a line break or another unprintable character",
            field="key_variable",
        )
    return key


def read_variables(settings: JudgeSettings, field: str) -> dict[str, str]:
    """What each call sends from the environment.

    Args:
        settings: The judge's settings.
        field: `headers`, or `secret_query` for query parameters.

    Raises:
        UsageError: A variable is not set, or can't be sent. The message doesn't show its value.
    """
    values = {}
    for name, variable in getattr(settings, field).items():
        value = os.environ.get(variable, "").strip()
        if not value or not value.isprintable():
            why = "is not set where the judge is asked from" if not value else "can't be sent"
            raise UsageError(why, field=field, value=variable)
        values[name] = value
    return values
