"""Predicts how long a run takes: measured at warm-up, interpolated, corrected by observed runs."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from tipstaff_server.scheduling.model import Item, Model

# Weight of an observed run in the current estimate; about the last twenty runs count.
_WEIGHT = 0.1
# An observed run counts as at most this many times slower or faster than predicted: a page fault or
# a descheduled thread says little about the next run.
_OUTLIER = 2.0
# Seconds without runs after which a slowdown starts to be forgotten; each further second leaves a
# third of it. Otherwise a server that refuses everything because it was slow would never find out
# that it no longer is.
_MEMORY = 1.0
# The best batch is the smallest whose cost per request is within this factor of the least: larger
# ones make all requests wait longer and save hardly anything.
_NEARLY_BEST = 1.1


class Measurement(NamedTuple):
    """How long a run of one shape takes.

    Attributes:
        batch: Items in the run, at least 1.
        length: Tokens of each item, at least 1.
        seconds: Wall time of the run.
    """

    batch: int
    length: int
    seconds: float


class Profile:
    """How long one model's runs take, from at least one measurement of a single item."""

    def __init__(self, measurements: Sequence[Measurement]) -> None:
        self.measurements = tuple(sorted(measurements))
        self._batches = sorted({point.batch for point in self.measurements})
        self._curves = [
            _Curve({p.length: p.seconds for p in self.measurements if p.batch == batch})
            for batch in self._batches
        ]
        self._best = {length: self._find_best(length) for length in self._curves[0].lengths}
        self._ratio = 1.0
        self._observed_at = -math.inf

    def seconds(self, batch: int, length: int, now: float) -> float:
        """Predicted seconds of a run of `batch` requests padded to `length` tokens."""
        return self._measured(batch, length) * self.ratio(now)

    def best_batch(self, length: int) -> int:
        """The smallest batch at which a request of this length costs nearly the least."""
        lengths = self._curves[0].lengths
        return self._best[lengths[min(bisect_left(lengths, length), len(lengths) - 1)]]

    def ratio(self, now: float) -> float:
        """How many times slower runs have been lately than at warm-up."""
        if self._ratio <= 1.0:
            return self._ratio
        silence = max(0.0, now - self._observed_at - _MEMORY)
        return 1.0 + (self._ratio - 1.0) * math.exp(-silence / _MEMORY)

    def observe(self, batch: int, length: int, seconds: float, now: float) -> None:
        """Corrects the estimate by a run that ended now."""
        measured = self._measured(batch, length)
        if measured <= 0:
            return
        current = self.ratio(now)
        observed = min(max(seconds / measured, current / _OUTLIER), current * _OUTLIER)
        self._ratio = current + _WEIGHT * (observed - current)
        self._observed_at = now

    def _measured(self, batch: int, length: int) -> float:
        if batch == 1:
            return self._curves[0].at(length)
        upper = min(bisect_left(self._batches, batch), len(self._batches) - 1)
        high, high_seconds = self._batches[upper], self._curves[upper].at(length)
        if batch > high:
            return high_seconds * batch / high
        if batch == high:
            return high_seconds
        low, low_seconds = self._batches[upper - 1], self._curves[upper - 1].at(length)
        return low_seconds + (high_seconds - low_seconds) * (batch - low) / (high - low)

    def _find_best(self, length: int) -> int:
        # Only batches measured at this length: the limits forbid all others.
        return nearly_cheapest([p for p in self.measurements if p.length == length]).batch


def nearly_cheapest(runs: Sequence[Measurement]) -> Measurement:
    """Of some batches of one length, the smallest with nearly the least cost per request."""
    least = min(run.seconds / run.batch for run in runs)
    near = (run for run in runs if run.seconds / run.batch <= _NEARLY_BEST * least)
    return min(near, key=lambda run: run.batch)


class _Curve:
    """Seconds over length, linear between measurements, proportional beyond the longest."""

    def __init__(self, seconds: Mapping[int, float]) -> None:
        self.lengths = sorted(seconds)
        self._seconds = [seconds[length] for length in self.lengths]
        self._slopes = [
            (seconds[longer] - seconds[shorter]) / (longer - shorter)
            for shorter, longer in pairwise(self.lengths)
        ]

    def at(self, length: int) -> float:
        index = bisect_left(self.lengths, length)
        if index == 0:
            return self._seconds[0]
        if index == len(self.lengths):
            return self._seconds[-1] * length / self.lengths[-1]
        since = length - self.lengths[index - 1]
        return self._seconds[index - 1] + self._slopes[index - 1] * since


class CostModel:
    """The profiles of all models. For an unknown model it predicts zero, which admits everything.

    Only `learn` makes a profile: a run that ends after `forget` must not bring back a model that
    was swapped out.
    """

    def __init__(self) -> None:
        self._profiles: dict[Model[Any], Profile] = {}

    def learn(self, model: Model[Any], measurements: Sequence[Measurement]) -> None:
        """Makes a model's profile, replacing the one it had."""
        self._profiles[model] = Profile(measurements)

    def forget(self, model: Model[Any]) -> None:
        """Drops a model's profile."""
        self._profiles.pop(model, None)

    def seconds(self, model: Model[Any], batch: int, length: int, now: float) -> float:
        """Predicted seconds of a run of `batch` requests padded to `length` tokens."""
        profile = self._profiles.get(model)
        return profile.seconds(batch, length, now) if profile else 0.0

    def best_batch(self, model: Model[Any], length: int) -> int:
        """The smallest batch at which a request of this length costs nearly the least."""
        profile = self._profiles.get(model)
        return profile.best_batch(length) if profile else 1

    def observe(
        self, model: Model[Any], batch: int, length: int, seconds: float, now: float
    ) -> None:
        """Corrects the estimate by a run that ended now."""
        if profile := self._profiles.get(model):
            profile.observe(batch, length, seconds, now)

    def profile(self, model: Model[Any], now: float) -> tuple[Measurement, ...]:
        """How long runs of the measured shapes take now; empty for an unknown model."""
        profile = self._profiles.get(model)
        if profile is None:
            return ()
        ratio = profile.ratio(now)
        return tuple(
            point._replace(seconds=point.seconds * ratio) for point in profile.measurements
        )


def measure(
    model: Model[Item],
    make: Callable[[int], Item],
    lengths: Sequence[int],
    *,
    max_size: int,
    max_tokens: int,
    clock: Callable[[], float],
) -> Iterator[Measurement]:
    """Times a model's runs, in this thread.

    Each shape runs at least twice and, if it is quick, up to five times. The least time counts,
    since other load on the machine can only add to it.

    Args:
        model: The model to run.
        make: Makes an item of about the given number of tokens; the item may be shorter if the
            model takes no more.
        lengths: Numbers of tokens to try.
        max_size: The largest batch to try, in items.
        max_tokens: The largest batch to try, in tokens; single items are tried at any length.
        clock: Seconds.

    Raises:
        Exception: Whatever the model raises.
    """
    items = {len(item): item for item in map(make, lengths)}
    for length, item in sorted(items.items()):
        batch = 1
        while batch == 1 or (
            model.batchable and batch <= max_size and batch * length <= max_tokens
        ):
            times: list[float] = []
            while len(times) < 2 or (len(times) < 5 and sum(times) < 0.02):
                started = clock()
                model.run([item] * batch)
                times.append(clock() - started)
            yield Measurement(batch, length, min(times))
            batch *= 2
