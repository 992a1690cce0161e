"""Everything that can be set about a server, from one place.

A command-line flag overrides an environment variable (`TIPSTAFF_…`), which overrides the file named
by the setting `config` (TOML, with the same names), which overrides the default.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from tipstaff_server.addresses import check_address, split_address
from tipstaff_server.errors import SettingsError
from tipstaff_server.evaluator.manifest import Precision
from tipstaff_server.requests import setting, usage_error

ENVIRONMENT_PREFIX = "TIPSTAFF_"
OFF = "off"
# Settings by the names that they had before; a current name overrides an old one.
OLD_NAMES = {"lanes": "workers"}


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

    bundles: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split)] = setting(
        (), "folders of bundles to serve as they are, instead of a repository"
    )
    repository: Annotated[Path, BeforeValidator(_not_empty)] | None = setting(
        None, "serve what is promoted in this repository, and follow it", unit="repo"
    )
    config: Path | None = setting(
        None, "TOML file with settings, under the names of these flags", unit="file"
    )
    listen: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = setting(
        ("127.0.0.1:50051",),
        "where to answer gRPC: HOST:PORT or unix:PATH, may be given several times; "
        "port 0 takes a free one. There is no authentication, so the default is this machine "
        "alone; use [::]:50051 to be reached from others",
        min_length=1,
        unit="address",
    )
    metrics_listen: str = setting(
        "127.0.0.1:9464",
        "HOST:PORT of the Prometheus metrics over HTTP; port 0 takes a free one, `off` serves none",
        unit="host:port",
    )
    device: Literal["auto", "cpu", "cuda"] = setting(
        "auto", "where to run the graphs; auto prefers CUDA where it works"
    )
    precision: Precision | None = setting(
        None, "which graph of a bundle to run (default: best for the device)"
    )
    workers: int | None = setting(
        None,
        "batches that run at the same time (default: the usable cores divided by the "
        "threads of one worker)",
        ge=1,
        le=256,
    )
    threads: int = setting(
        1,
        "threads of one worker: more are quicker for a lone request, slower under load",
        ge=1,
        le=256,
    )
    max_queue: int = setting(1024, "requests that may wait; more are refused as overload", ge=1)
    cache_entries: int = setting(
        0,
        "scores to remember, about 1 KB each: an interaction that comes again, "
        "exactly, to the same version is answered with the score it had; 0 for none",
        ge=0,
        le=10**7,
    )
    default_deadline_seconds: float = setting(
        0.3, "time to answer a request that names no deadline", gt=0, le=3600, unit="seconds"
    )
    max_request_bytes: int = setting(
        131072, "bytes of text in one interaction", ge=1, le=2**24, unit="bytes"
    )
    max_batch_items: int = setting(128, "interactions in one ScoreBatch call", ge=1, le=4096)
    lame_duck_seconds: float = setting(
        5.0,
        "time after SIGTERM to answer on, while health says NOT_SERVING, so that callers turn to "
        "other servers; Ctrl-C or a second SIGTERM ends it",
        ge=0,
        le=3600,
        unit="seconds",
    )
    drain_seconds: float = setting(
        30.0, "time after the lame-duck time to answer what was accepted", ge=0, unit="seconds"
    )
    connection_age_seconds: float = setting(
        300.0,
        "age at which a connection is closed, so that its client finds servers that were added; "
        "0 for never",
        ge=0,
        le=86400,
        unit="seconds",
    )
    connection_grace_seconds: float = setting(
        60.0, "time to finish the calls of a connection of that age", ge=0, le=3600, unit="seconds"
    )
    poll_seconds: float = setting(
        2.0, "pause between two looks for promotions", gt=0, le=3600, unit="seconds"
    )
    profile: bool = setting(False, "print how long runs take on this machine, and end")
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "debug writes a line for each request, never its text"
    )
    log_format: Literal["text", "json"] = setting("text", "form of the log lines")

    @field_validator("listen")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            check_address(address)
        return value

    @field_validator("metrics_listen")
    @classmethod
    def _metrics_address(cls, value: str) -> str:
        if value != OFF:
            split_address(value)
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Settings:
        remedy = "give {bundles} or {repository}"
        if self.bundles and self.repository is not None:
            raise SettingsError("a server serves either bundles or a repository", remedy=remedy)
        if not self.bundles and self.repository is None:
            raise SettingsError("there is nothing to serve", remedy=remedy)
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
        assert isinstance(env_settings, EnvSettingsSource)
        env_settings.env_vars = _with_current_names(
            env_settings.env_vars, ENVIRONMENT_PREFIX.lower()
        )
        in_file = _with_current_names(_read(_config_file(init_settings.init_kwargs)))
        return init_settings, env_settings, InitSettingsSource(settings_cls, in_file)


def load_settings(flags: Mapping[str, Any]) -> Settings:
    """Reads the settings from flags, environment and file.

    Args:
        flags: The values of the flags that were typed, by field name.

    Raises:
        SettingsError: A value is off. The error has the field if it came from a flag; else its
            message names the variable or the file.
    """
    flags = _with_current_names(flags)
    try:
        return Settings(**flags)
    except ValidationError as error:
        first = usage_error(error, Settings)
        if not first.field or first.field in flags:
            raise SettingsError(first.message, field=first.field, value=first.value) from None
        why = f"{first.message}, got {first.value!r}" if first.value else first.message
        raise SettingsError(f"{_origin(first.field, _config_file(flags))}: {why}") from None


def _config_file(flags: Mapping[str, Any]) -> Path | None:
    named = flags.get("config") or os.environ.get(f"{ENVIRONMENT_PREFIX}CONFIG")
    return Path(named) if named else None


def _read(file: Path | None) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8")) if file else {}
    except OSError as error:
        raise SettingsError(f"{file}: can't be read: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{file}: not TOML: {error}") from error


def _with_current_names(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by the settings' current names, in place of their old ones."""
    renamed = dict(values)
    for old, current in OLD_NAMES.items():
        if prefix + old in renamed:
            renamed.setdefault(prefix + current, renamed.pop(prefix + old))
    return renamed


def _origin(name: str, file: Path | None) -> str:
    """Where a setting's value comes from: an environment variable or the file."""
    names = [name, *(old for old, current in OLD_NAMES.items() if current == name)]
    variables = [f"{ENVIRONMENT_PREFIX}{each.upper()}" for each in names]
    for variable in variables:
        if variable in os.environ:
            return variable
    in_file = _read(file)
    for each in names:
        if each in in_file:
            return f"{file}: {each}"
    return variables[0]
