"""Settings of a judge: the endpoint, the kind of label, pace and budget."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import field_validator, model_validator
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
_NOT_IN_A_URL = re.compile(r"[\s?#]")


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
