"""How a judge is asked: the endpoint, the kind of label, pace and budget."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

Soft = Literal["auto", "logprobs", "samples", "verdict"]

# Of a chat completion, under an endpoint's address.
CHAT_PATH = "/chat/completions"
# Parts of a request's body that its prompt, its kind of label and other settings decide.
_OURS = frozenset(
    "model messages temperature max_tokens max_completion_tokens n stream logprobs top_logprobs "
    "response_format".split()
)
_NOT_IN_A_URL = re.compile(r"[\s?#]")


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


class JudgeSettings(BaseModel):
    """Settings of one judge; flat and checked once."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    model: str = Field(min_length=1, description="the judge's model, as the endpoint names it")
    base_url: str = Field(
        default="https://api.openai.com/v1",
        description="the OpenAI-compatible endpoint, with its /v1",
    )
    api_key: SecretStr | None = Field(default=None, description="sent as a bearer token")
    soft: Soft = Field(
        default="auto",
        description="where soft labels come from; auto: logprobs where the endpoint gives them, "
        "else the share of samples",
    )
    samples: int = Field(
        default=5, ge=1, le=50, description="how often a row is asked where labels are shares"
    )
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="of the judge; 0 where a row is asked once, else 1"
    )
    max_reply_tokens: int = Field(default=300, ge=1, description="the longest reply, in tokens")
    extra_body: dict[str, Any] | None = Field(
        default=None,
        description="""further parts of each call, as JSON: '{"reasoning_effort": "low"}'""",
    )
    attempts: int = Field(
        default=3, ge=1, description="how often a row is asked whose reply can't be read"
    )
    concurrency: int = Field(default=16, ge=1, le=512, description="calls at a time")
    requests_per_minute: float | None = Field(default=None, gt=0, description="at most so many")
    timeout: float = Field(default=60.0, gt=0, description="seconds for one call")
    patience: float = Field(
        default=300.0,
        ge=0,
        description="seconds without any answer after which the job stops",
    )
    poll_interval: float = Field(
        default=30.0, gt=0, description="seconds between looks at a batch file's state"
    )
    price_input: float = Field(default=0.0, ge=0, description="per million tokens of prompt")
    price_output: float = Field(default=0.0, ge=0, description="per million tokens of reply")
    max_cost: float | None = Field(default=None, gt=0, description="money that may be spent")
    max_tokens_total: int | None = Field(default=None, gt=0, description="tokens that may be spent")

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        # Its port is read only when asked for.
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError("no address of an endpoint, as http://localhost:8000/v1 is")
        # It is kept and shown: in the ledger, with a job, in messages.
        if "@" in parts.netloc:
            raise ValueError("put no name or password into the address; a key has its own place")
        if _NOT_IN_A_URL.search(url):
            raise ValueError("the address has a space, ? or #, and paths are added to it")
        if parts.path.rstrip("/").endswith(CHAT_PATH):
            raise ValueError(f"leave {CHAT_PATH} out of the address: it is added to it")
        # One endpoint has one name: batches on their way are found by it.
        return url.rstrip("/")

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        # A file that a key was read from ends with a line break.
        secret = key.get_secret_value().strip() if key else ""
        if not secret.isprintable():
            raise ValueError("no key: it has a line break, or another sign that can't be sent")
        return SecretStr(secret) if secret else None

    @field_validator("extra_body", mode="before")
    @classmethod
    def _is_an_object(cls, value: Any) -> Any:
        if isinstance(value, str):
            with suppress(ValueError):
                value = json.loads(value, parse_constant=_no_number)
        if value is not None and not isinstance(value, dict):
            raise ValueError("""no JSON object, as '{"reasoning_effort": "low"}' is""")
        if ours := _OURS.intersection(value or ()):
            raise ValueError(
                f"leave out {', '.join(sorted(ours))}: the settings of model, kind of label, "
                "samples, temperature and length decide on that"
            )
        return value or None

    @model_validator(mode="after")
    def _money_needs_prices(self) -> JudgeSettings:
        if self.max_cost is not None and not (self.price_input or self.price_output):
            raise ValueError("a budget in money needs the prices of tokens")
        return self

    def cost(self, prompt_tokens: int, reply_tokens: int) -> float:
        """What so many tokens cost, in the prices' currency."""
        return (prompt_tokens * self.price_input + reply_tokens * self.price_output) / 1e6
