"""Opens the sampler that a server's settings describe."""

from __future__ import annotations

import importlib
import logging
import math
import secrets
from collections.abc import Callable
from pathlib import Path

from tipstaff.types import Score
from tipstaff_server.errors import SettingsError
from tipstaff_server.repository.registry import Registry
from tipstaff_server.settings import Settings
from tipstaff_server.traffic.policy import SamplingPolicy, read_rules
from tipstaff_server.traffic.records import Redact
from tipstaff_server.traffic.sampler import TrafficSampler
from tipstaff_server.traffic.writer import Limits

log = logging.getLogger(__name__)

SALT_FILE = "salt"
_SALT_BYTES = 16


def open_sampler(settings: Settings, registry: Registry) -> TrafficSampler:
    """The sampler of a server whose settings name a folder.

    Raises:
        SettingsError: The rules or the redaction can't be used.
    """
    assert settings.traffic is not None
    rules, redact = read_rules(settings.traffic_rules), load_redact(settings.traffic_redact)
    policy = SamplingPolicy(settings.traffic_rate, rules, load_salt(settings.traffic))
    limits = Limits(
        segment_seconds=settings.traffic_seal_seconds,
        max_bytes=settings.traffic_max_bytes,
        max_days=settings.traffic_max_days,
    )
    return TrafficSampler(
        settings.traffic, policy, limits, redact=redact, logit_of=_logit_of(registry)
    )


def _logit_of(registry: Registry) -> Callable[[Score], float | None]:
    """Undoes the calibration of scores of the versions in service."""

    def logit_of(score: Score) -> float | None:
        served = {each.name: each for each in registry.all()}.get(score.evaluator)
        if served is None or served.version != score.version or score.score is None:
            return None
        calibration = served.evaluator.graph.calibration
        if not 0 < score.score < 1 or not calibration.slope:
            return None
        z = math.log(score.score) - math.log1p(-score.score)
        return (z - calibration.intercept) / calibration.slope

    return logit_of


def load_salt(folder: Path) -> bytes:
    """The folder's salt, made with the first server that keeps traffic there.

    Where it can't be stored, a new one serves until the end of the process; rows name the policy's
    version, which depends on it.
    """
    path = folder / SALT_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("x", encoding="ascii") as file:
                file.write(secrets.token_hex(_SALT_BYTES))
            path.chmod(0o600)
        except FileExistsError:
            pass
        salt = bytes.fromhex(path.read_text(encoding="ascii").strip())
        if len(salt) == _SALT_BYTES:
            return salt
        log.warning("traffic: %s is damaged, so draws use a new salt", path)
    except (OSError, ValueError) as error:
        log.warning("traffic: %s can't be used, so draws use a new salt: %s", path, error)
    return secrets.token_bytes(_SALT_BYTES)


def load_redact(name: str) -> Redact | None:
    """The function that a setting names as `module:function`; None for an empty name.

    Raises:
        SettingsError: There is no such function.
    """
    if not name:
        return None
    module, _, function = name.partition(":")
    try:
        redact = getattr(importlib.import_module(module), function or "redact")
    except (ImportError, AttributeError) as error:
        raise SettingsError(str(error), field="traffic_redact", value=name) from error
    if not callable(redact):
        raise SettingsError("can't be called", field="traffic_redact", value=name)
    return redact  # type: ignore[no-any-return]
