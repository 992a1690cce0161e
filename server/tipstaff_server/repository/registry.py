"""What is being served, and its way into service: load, verify, warm, swap.

A request holds the `Served` it was given, so a swap never takes an evaluator from under it. When a
promotion can't be followed, the version that served goes on serving.
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

# A bundle that could not be loaded is tried again, for it may have been the disk's fault; the
# pauses grow, since every try reads the whole bundle.
_FIRST_RETRY_SECONDS = 5.0
_LONGEST_RETRY_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Served:
    """One evaluator in service.

    Attributes:
        name: The evaluator's.
        version: In the repository; 0 for a bundle served directly.
        evaluator: Loaded and warm.
    """

    name: str
    version: int
    evaluator: Evaluator


class Observer(Protocol):
    """Told of what comes into service and what fails to."""

    def swapped(self, old: Served | None, new: Served) -> None:
        """`new` serves in place of `old`."""

    def failed(self, name: str) -> None:
        """A promotion of evaluator `name` could not be followed; empty: the repository's fault."""


@dataclass(frozen=True, slots=True)
class _Failure:
    version: int
    retry_at: float
    pause: float


class Registry:
    """Looks evaluators up by name and version, and follows a repository's promotions.

    `load_bundles` and `follow` block and are meant for a worker thread, one at a time; everything
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
        """Starts out empty.

        Args:
            load: Turns a bundle's folder into a warm evaluator; raises a TipstaffError.
            retire: Told of an evaluator that gets no more requests.
            observer: Told of swaps and failures, on the calling thread.
            clock: Seconds.
        """
        self._load = load
        self._retire = retire
        self._observer = observer
        self._clock = clock
        self._served: Mapping[str, Served] = {}  # replaced as a whole, never changed
        self._wanted: frozenset[str] = frozenset()
        self._failures: dict[str, _Failure] = {}

    def all(self) -> tuple[Served, ...]:
        """Everything in service, by name."""
        served = self._served
        return tuple(served[name] for name in sorted(served))

    def readiness(self) -> dict[str, bool]:
        """For each evaluator that should serve, whether it does."""
        served = self._served
        return {name: name in served for name in sorted(self._wanted | served.keys())}

    def known(self, name: str) -> str:
        """The evaluator in service that a request's `name` means; empty when there is none."""
        served = self._served
        if not name and len(served) == 1:
            return next(iter(served))
        return name if name in served else ""

    def find(self, name: str, version: int) -> Served:
        """The evaluator that a request asks for.

        Args:
            name: May be empty when only one is served.
            version: 0 for the one that serves.

        Raises:
            InvalidRequest: The name is empty and several are served.
            EvaluatorNotFound: None by that name or version; the message lists what is served.
            NotReady: Nothing is served yet, or that evaluator is not yet loaded.
        """
        served = self._served
        if not served:
            raise NotReady("no evaluator is ready yet: it is loading, or none was promoted")
        found = served.get(self.known(name))
        if found is None:
            if not name:
                raise InvalidRequest("evaluator", f"empty, and several serve: {_listed(served)}")
            if name in self._wanted:
                raise NotReady(f"evaluator {name!r} is not loaded yet")
            raise EvaluatorNotFound(f"no evaluator {name[:64]!r} here; served: {_listed(served)}")
        if version not in (0, found.version):
            raise EvaluatorNotFound(
                f"{found.name} serves version {found.version} here, not {version}"
            )
        return found

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
        """Brings into service what is promoted in a repository and doesn't serve yet.

        Failures are logged and told to the observer, and the version that serves goes on serving;
        so does an evaluator that has gone from the repository.
        """
        try:
            found = repository.names(folder)
        except TipstaffError as error:
            self._note_failure("", 0, error)
            return
        self._failures.pop("", None)
        self._wanted &= self._served.keys() | set(found)
        for name in found:
            self._follow_one(folder, name)

    def _follow_one(self, folder: Path, name: str) -> None:
        version = 0
        try:
            promoted = repository.serving_version(folder, name)
            if promoted is None:
                return
            version = promoted
            self._wanted |= {name}
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
        self._wanted |= {name} - {""}
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
