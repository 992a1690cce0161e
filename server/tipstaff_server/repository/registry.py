"""The evaluators in service, and how a version comes into service: load, verify, warm up, swap.

A request holds on to its `Served`, so a swap never takes an evaluator away from it. If a promotion
can't be followed, the previous version goes on serving.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tipstaff.errors import TipstaffError
from tipstaff_server import repository
from tipstaff_server.errors import (
    BundleError,
    EvaluatorNotFound,
    InvalidRequest,
    NotReady,
    SettingsError,
)
from tipstaff_server.evaluator import Evaluator

log = logging.getLogger(__name__)

# A bundle that could not be loaded is tried again, in case the disk was at fault. The pauses grow,
# since each try reads the whole bundle.
_FIRST_RETRY_SECONDS = 5.0
_LONGEST_RETRY_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Served:
    """One evaluator in service.

    Attributes:
        name: The evaluator's name.
        version: Its version in the repository; 0 for a bundle served directly.
        evaluator: The evaluator, loaded and warm.
    """

    name: str
    version: int
    evaluator: Evaluator


class Observer(Protocol):
    """Receives what comes into service and what fails to."""

    def swapped(self, old: Served | None, new: Served) -> None:
        """`new` serves in place of `old`."""

    def failed(self, name: str) -> None:
        """A promotion of `name` could not be followed; empty if the repository can't be read."""


@dataclass(frozen=True, slots=True)
class _Failure:
    version: int
    retry_at: float
    pause: float


class Registry:
    """Looks evaluators up by name and version, and follows a repository's promotions.

    `load_bundles` and `follow` block: call them from one background thread at a time. Everything
    else may be called from any thread.
    """

    def __init__(
        self,
        load: Callable[[Path], Evaluator],
        retire: Callable[[Evaluator], None],
        observer: Observer,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts empty.

        Args:
            load: Loads and warms up the evaluator in a bundle's folder; raises a TipstaffError.
            retire: Called with an evaluator that gets no more requests.
            observer: Receives swaps and failures, on the calling thread.
            clock: Seconds.
        """
        self._load = load
        self._retire = retire
        self._observer = observer
        self._clock = clock
        self._served: Mapping[str, Served] = {}  # replaced as a whole, never changed
        self._expected: frozenset[str] = frozenset()
        self._failures: dict[str, _Failure] = {}

    def all(self) -> tuple[Served, ...]:
        """The evaluators in service, sorted by name."""
        served = self._served
        return tuple(served[name] for name in sorted(served))

    def readiness(self) -> dict[str, bool]:
        """Whether each evaluator serves that should."""
        served = self._served
        return {name: name in served for name in sorted(self._expected | served.keys())}

    def known(self, name: str) -> str:
        """The name of the evaluator in service that a request means, or an empty string."""
        served = self._served
        if not name and len(served) == 1:
            return next(iter(served))
        return name if name in served else ""

    def find(self, name: str, version: int) -> Served:
        """The evaluator that a request asks for.

        Args:
            name: The evaluator's; may be empty if only one serves.
            version: Its version; 0 for the one that serves.

        Raises:
            InvalidRequest: The name is empty and several evaluators serve.
            EvaluatorNotFound: Nothing serves by that name or version; the message lists what does.
            NotReady: Nothing serves yet, or that evaluator is not loaded yet.
        """
        served = self._served
        if not served:
            raise NotReady("no evaluator is ready yet: it is loading, or none was promoted")
        match = served.get(self.known(name))
        if match is None:
            if not name:
                raise InvalidRequest("evaluator", f"empty, and several serve: {_listed(served)}")
            if name in self._expected:
                raise NotReady(f"evaluator {name!r} is not loaded yet")
            raise EvaluatorNotFound(f"no evaluator {name[:64]!r} here; served: {_listed(served)}")
        if version not in (0, match.version):
            raise EvaluatorNotFound(
                f"{match.name} serves version {match.version} here, not {version}"
            )
        return match

    def load_bundles(self, bundles: tuple[Path, ...]) -> None:
        """Takes bundles into service as version 0.

        Raises:
            TipstaffError: One can't be loaded, or two have the same name.
        """
        for path in bundles:
            evaluator = self._load(path)
            name = evaluator.manifest.name
            if name in self._served:
                raise SettingsError(f"{path}: another bundle of the name {name} is served already")
            self._swap(Served(name, 0, evaluator))

    def follow(self, folder: Path) -> None:
        """Brings promoted versions of a repository into service.

        Failures are logged and sent to the observer, and the previous version goes on serving. So
        does an evaluator that is no longer in the repository.
        """
        try:
            names = repository.names(folder)
        except TipstaffError as error:
            self._note_failure("", 0, error)
            return
        self._failures.pop("", None)
        self._expected &= self._served.keys() | set(names)
        for name in names:
            self._follow_one(folder, name)

    def _follow_one(self, folder: Path, name: str) -> None:
        version = 0
        try:
            promoted = repository.serving_version(folder, name)
            if promoted is None:
                return
            version = promoted
            self._expected |= {name}
            serving = self._served.get(name)
            if (serving and serving.version == version) or self._waits(name, version):
                return
            path = repository.bundle_path(folder, name, version)
            evaluator = self._load(path)
            if evaluator.manifest.name != name:
                raise BundleError(path, f"is a bundle of {evaluator.manifest.name}, not of {name}")
        except Exception as error:  # whatever it is, the version that serves is better than none
            self._note_failure(name, version, error)
            return
        self._failures.pop(name, None)
        self._swap(Served(name, version, evaluator))

    def _swap(self, new: Served) -> None:
        old = self._served.get(new.name)
        self._served = {**self._served, new.name: new}
        if old is not None:
            self._retire(old.evaluator)
        self._observer.swapped(old, new)
        log.info(_introduction(new, old))

    def _waits(self, name: str, version: int) -> bool:
        failure = self._failures.get(name)
        return (
            failure is not None and failure.version == version and self._clock() < failure.retry_at
        )

    def _note_failure(self, name: str, version: int, error: Exception) -> None:
        if self._waits(name, version):
            return
        last = self._failures.get(name)
        pause = _FIRST_RETRY_SECONDS
        if last is not None and last.version == version:
            pause = min(last.pause * 2, _LONGEST_RETRY_SECONDS)
        self._expected |= {name} - {""}
        self._failures[name] = _Failure(version, self._clock() + pause, pause)
        serving = self._served.get(name)
        keeps = f"; version {serving.version} goes on serving" if serving else ""
        unforeseen = None if isinstance(error, TipstaffError) else error
        log.error("%s%s (next try in %.0f s)", error, keeps, pause, exc_info=unforeseen)
        self._observer.failed(name)


def _introduction(new: Served, old: Served | None) -> str:
    evaluator, policy = new.evaluator, new.evaluator.graph.policy
    was = f" (was version {old.version})" if old else ""
    certified = "uncertified" if policy.certificate is None else "certified"
    degraded = f"; degraded: {evaluator.degraded}" if evaluator.degraded else ""
    return (
        f"{new.name} version {new.version} serves{was}: {evaluator.engine}, "
        f"reads {', '.join(evaluator.manifest.fields)}, pass at {policy.pass_at:.3g}, "
        f"block below {policy.block_below:.3g}, {certified}{degraded}"
    )


def _listed(served: Mapping[str, Served]) -> str:
    return ", ".join(sorted(served))
