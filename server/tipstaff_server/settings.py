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

from tipstaff_server.addresses import check_address, check_distinct, check_host_port
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
        "port 0 takes a free one. The default is this machine alone; use [::]:50051 to be reached "
        "from others, and then tls_certificate and callers, too",
        min_length=1,
        unit="address",
    )
    metrics_listen: str = setting(
        "127.0.0.1:9464",
        "HOST:PORT of the Prometheus metrics over HTTP; port 0 takes a free one, `off` serves none",
        unit="host:port",
    )
    health_listen: str = setting(
        OFF,
        "HOST:PORT of a further gRPC port for probes: health alone, without TLS and tokens; port 0 "
        "takes a free one, `off` serves none",
        unit="host:port",
    )
    tls_certificate: Annotated[Path, BeforeValidator(_not_empty)] | None = setting(
        None,
        "PEM file with the server's certificate and those that lead to its authority: TLS for "
        "gRPC over TCP and for metrics. A renewed file is followed",
        unit="file",
    )
    tls_key: Annotated[Path, BeforeValidator(_not_empty)] | None = setting(
        None, "PEM file with the key of tls_certificate", unit="file"
    )
    tls_client_ca: Annotated[Path, BeforeValidator(_not_empty)] | None = setting(
        None,
        "PEM file with the authorities of clients' certificates: clients without one are turned "
        "away (mutual TLS)",
        unit="file",
    )
    callers: Annotated[Path, BeforeValidator(_not_empty)] | None = setting(
        None,
        "TOML file with who may ask: hashes of tokens, evaluators, weights and limits. A changed "
        "file is followed",
        unit="file",
    )
    caller_key: str = setting(
        "tipstaff-caller",
        "metadata key in which callers name themselves, where tokens don't; for fairness, metrics "
        "and kept traffic among callers that trust each other. Empty to tell nobody apart",
        pattern=r"^([a-z0-9_.-]*[a-z0-9_.])?$",
        unit="key",
    )
    caller_requests_per_second: float = setting(
        0.0, "interactions that one caller may ask a second; 0 for no limit", ge=0, le=10**6
    )
    caller_requests_under_way: int = setting(
        0,
        "interactions that one caller may have under way; 0 for no limit",
        ge=0,
        le=10**6,
    )
    metrics_callers: int = setting(
        20, "callers that metrics name, the busiest ones; the others count together", ge=0, le=1000
    )
    open_reflection: bool = setting(False, "answer reflection without a token where calls need one")
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
    traffic: Annotated[Path, BeforeValidator(_not_empty)] | None = setting(
        None,
        "keep a sample of what is scored in this folder, texts included, for `tipstaff collect`",
        unit="dir",
    )
    traffic_rate: float = setting(
        0.1, "share of answers to keep where no rule says otherwise", ge=0.001, le=1, unit="share"
    )
    traffic_rules: Path | None = setting(
        None, "TOML file with rates by evaluator, verdict and score", unit="file"
    )
    traffic_redact: str = setting(
        "", "module:function that takes each text and returns what may be kept of it", unit="name"
    )
    traffic_max_bytes: int = setting(
        2**30,
        "size of the folder above which the oldest traffic is deleted",
        ge=2**20,
        unit="bytes",
    )
    traffic_max_days: float = setting(
        30.0, "age above which traffic is deleted from the folder", gt=0, le=3650, unit="days"
    )
    traffic_seal_seconds: float = setting(
        60.0, "time until what is kept can be collected", ge=1, le=3600, unit="seconds"
    )
    profile: bool = setting(False, "print how long runs take on this machine, and end")
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "debug writes a line for each request, never its text"
    )
    access_log_share: float = setting(
        0.0,
        "share of the interactions that get a line in the access log: ids, caller, evaluator, "
        "verdict, times, never a text",
        ge=0,
        le=1,
    )
    trace_endpoint: str = setting(
        "",
        "URL to send OpenTelemetry spans to as OTLP over HTTP, as in http://localhost:4318; empty "
        "for none",
        pattern=r"^(https?://\S+)?$",
        unit="url",
    )
    trace_share: float = setting(
        0.01,
        "share of the calls to record spans of, where the caller sends no trace that says so",
        ge=0,
        le=1,
    )
    trace_evaluations: bool = setting(
        False, "send each recorded score as an event `gen_ai.evaluation.result`, too"
    )
    log_format: Literal["text", "json"] = setting("text", "form of the log lines")

    @field_validator("listen")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            check_address(address)
        check_distinct(value)
        return value

    @field_validator("metrics_listen", "health_listen")
    @classmethod
    def _further_address(cls, value: str) -> str:
        if value != OFF:
            check_host_port(value)
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Settings:
        remedy = "give {bundles} or {repository}"
        if self.bundles and self.repository is not None:
            raise SettingsError("a server serves either bundles or a repository", remedy=remedy)
        if not self.bundles and self.repository is None:
            raise SettingsError("there is nothing to serve", remedy=remedy)
        return self

    @model_validator(mode="after")
    def _whole_tls(self) -> Settings:
        pair = {"tls_certificate": self.tls_certificate, "tls_key": self.tls_key}
        missing = [name for name, path in pair.items() if path is None]
        if len(missing) == 1:
            (there,) = pair.keys() - set(missing)
            raise SettingsError(
                "needs the other file of its pair",
                field=there,
                remedy=f"give {{{missing[0]}}}, too",
            )
        if missing and self.tls_client_ca is not None:
            raise SettingsError(
                "clients' certificates are asked for over TLS only",
                field="tls_client_ca",
                remedy="give {tls_certificate} and {tls_key}, too",
            )
        return self

    @model_validator(mode="after")
    def _traced_evaluations(self) -> Settings:
        if self.trace_evaluations and not self.trace_endpoint:
            raise SettingsError(
                "there is nowhere to send events to",
                field="trace_evaluations",
                remedy="give {trace_endpoint}, too",
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
