"""Everything that can be set about a server, from one place.

A flag goes before an environment variable (`TIPSTAFF_…`), that before the file named by `--config`
or `TIPSTAFF_CONFIG` (TOML, the same names), and that before the default.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from tipstaff_server.errors import SettingsError
from tipstaff_server.evaluator.manifest import Precision

ENVIRONMENT_PREFIX = "TIPSTAFF_"
OFF = "off"


def _split(value: object) -> object:
    """An environment variable holds a list as text, with commas between."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _not_empty(value: object) -> object:
    """A path of no characters would mean the current folder."""
    if value == "":
        raise ValueError("empty")
    return value


class Settings(BaseSettings):
    """What `tipstaff serve` runs with. The descriptions are the flags' help."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True
    )

    bundles: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(), description="folders of bundles to serve as they are; or use --repository"
    )
    repository: Annotated[Path, BeforeValidator(_not_empty)] | None = Field(
        default=None, description="serve what is promoted in this repository, and follow it"
    )
    config: Path | None = Field(
        default=None, description="TOML file with settings, under the names of these flags"
    )
    listen: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=("127.0.0.1:50051",),
        min_length=1,
        description="where to answer gRPC: HOST:PORT or unix:PATH, may be given several times; "
        "port 0 takes a free one. There is no authentication, so the default is this machine "
        "alone; use [::]:50051 to be reached from others",
    )
    metrics_listen: str = Field(
        default="127.0.0.1:9464",
        description="HOST:PORT of the Prometheus metrics over HTTP; port 0 takes a free one, "
        "`off` serves none",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="where to run the graphs; auto prefers CUDA where it works"
    )
    precision: Precision | None = Field(
        default=None, description="which graph of a bundle to run (default: best for the device)"
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="batches run at the same time (default: the usable cores divided by --threads)",
    )
    threads: int = Field(
        default=1,
        ge=1,
        le=256,
        description="threads of one worker: more are quicker for a lone request, slower under load",
    )
    max_queue: int = Field(
        default=1024, ge=1, description="requests that may wait; more are refused as overload"
    )
    cache_entries: int = Field(
        default=0,
        ge=0,
        le=10**7,
        description="scores to remember, about 1 KB each: an interaction that comes again, "
        "exactly, to the same version is answered with the score it had; 0 for none",
    )
    default_deadline_seconds: float = Field(
        default=0.3, gt=0, le=3600, description="time to answer a request that names no deadline"
    )
    max_request_bytes: int = Field(
        default=131072, ge=1, le=2**24, description="bytes of text in one interaction"
    )
    max_batch_items: int = Field(
        default=128, ge=1, le=4096, description="interactions in one ScoreBatch call"
    )
    drain_seconds: float = Field(
        default=30.0,
        ge=0,
        description="time to answer what was accepted, after SIGTERM or SIGINT",
    )
    poll_seconds: float = Field(
        default=2.0, gt=0, le=3600, description="pause between two looks for promotions"
    )
    profile: bool = Field(
        default=False,
        description="print what runs take on this machine, as the scheduler learns it, and end",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug writes a line for each request, never its text"
    )
    log_format: Literal["text", "json"] = Field(default="text", description="form of the log lines")

    @field_validator("listen")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            if not address.removeprefix("unix:"):
                raise ValueError("unix: needs a path after the colon")
            if not address.startswith("unix:"):
                split_address(address)
        return value

    @field_validator("metrics_listen")
    @classmethod
    def _metrics_address(cls, value: str) -> str:
        if value != OFF:
            split_address(value)
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Settings:
        if bool(self.bundles) == (self.repository is not None):
            raise ValueError(
                "name either bundles or a repository to serve, as in `tipstaff serve BUNDLE` or "
                "`tipstaff serve --repository REPO`"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, environment, file."""
        assert isinstance(init_settings, InitSettingsSource)
        file = _config_file(init_settings.init_kwargs)
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file)


def load_settings(flags: Mapping[str, Any]) -> Settings:
    """Reads the settings from flags, environment and file.

    Args:
        flags: The flags that were given, by the names of the fields.

    Raises:
        SettingsError: A value is off; the message names its flag, variable or file.
    """
    file = _config_file(flags)
    try:
        in_file = tomllib.loads(file.read_text(encoding="utf-8")) if file else {}
    except OSError as error:
        raise SettingsError(f"{file}: can't be read: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{file}: not TOML: {error}") from error
    try:
        return Settings(**flags)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        why = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise SettingsError(why) from None
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            why = f"no such setting; there are {', '.join(sorted(Settings.model_fields))}"
        else:
            why = f"{why}, got {first['input']!r}"
        raise SettingsError(f"{_origin(name, flags, in_file, file)}: {why}") from None


def flag(name: str) -> str:
    """The flag of a setting."""
    return f"--{name.replace('_', '-')}"


def split_address(address: str) -> tuple[str, int]:
    """Host and port of HOST:PORT, where an IPv6 host stands in brackets.

    Raises:
        ValueError: It is not of that form.
    """
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{address!r} is not HOST:PORT")
    if ":" in host and not bracketed:
        raise ValueError(f"{address!r} needs brackets around its IPv6 host, as in [::1]:50051")
    return host.strip("[]"), int(port)


def _config_file(flags: Mapping[str, Any]) -> Path | None:
    named = flags.get("config") or os.environ.get(f"{ENVIRONMENT_PREFIX}CONFIG")
    return Path(named) if named else None


def _origin(
    name: str, flags: Mapping[str, Any], in_file: Mapping[str, Any], file: Path | None
) -> str:
    if name in flags:
        return "BUNDLE" if name == "bundles" else flag(name)
    variable = f"{ENVIRONMENT_PREFIX}{name.upper()}"
    if variable in os.environ or name not in in_file:
        return variable
    return f"{file}: {name}"
