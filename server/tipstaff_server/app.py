"""The server as a whole: connects its parts, starts it and stops it."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

from tipstaff.errors import TipstaffError
from tipstaff.polling import keep_polling
from tipstaff_server.access.gate import Gate
from tipstaff_server.access.keeper import AccessFiles
from tipstaff_server.cpus import default_workers, usable_cpus
from tipstaff_server.errors import BundleError, SettingsError
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.session import Device, available_devices
from tipstaff_server.memory import return_freed_memory
from tipstaff_server.metrics import Metrics
from tipstaff_server.metrics_server import MetricsServer
from tipstaff_server.process import configure_logging, stop_signals
from tipstaff_server.repository import names as repository_names
from tipstaff_server.repository.registry import Registry
from tipstaff_server.rpc.doors import Doors
from tipstaff_server.rpc.health import HealthServicer
from tipstaff_server.rpc.health_port import HealthPort
from tipstaff_server.rpc.malformed import MalformedMessages
from tipstaff_server.rpc.server import RpcServer
from tipstaff_server.rpc.servicer import ScoringServicer
from tipstaff_server.scheduling import Dispatcher
from tipstaff_server.scoring.cache import ScoreCache
from tipstaff_server.scoring.explain import Explainer
from tipstaff_server.scoring.pending import EncoderPool
from tipstaff_server.scoring.profile import describe
from tipstaff_server.scoring.scorer import Scorer
from tipstaff_server.settings import OFF, Settings
from tipstaff_server.telemetry.observer import Telemetry
from tipstaff_server.traffic.exporter import TrafficCollector
from tipstaff_server.traffic.open import open_sampler
from tipstaff_server.traffic.sampler import TrafficSampler

log = logging.getLogger("tipstaff_server")

# More batches at a time don't make a GPU faster; two hide the transfers.
_CUDA_WORKERS = 2
# gRPC cancels calls that arrive while it stops. Refused before, by UNAVAILABLE, clients retry them.
_REFUSING_SECONDS = 0.1
# Pause between two updates of the health service.
_HEALTH_SECONDS = 1.0


def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, then answers accepted requests; or prints the profile.

    Raises:
        TipstaffError: The server can't start.
    """
    configure_logging(settings)
    return_freed_memory()
    app = App(settings)
    if settings.profile:
        print(app.profile())
    else:
        asyncio.run(app.run())


class App:
    """One server, put together from its settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._access = AccessFiles(settings)
        self._telemetry = Telemetry.of(settings)
        self._devices: tuple[Device, ...] = (
            available_devices() if settings.device == "auto" else (settings.device,)
        )
        cpus = usable_cpus()
        self._workers = settings.workers or (
            # With `auto`, a bundle may turn out to run on the CPU, which needs more workers.
            _CUDA_WORKERS if settings.device == "cuda" else default_workers(cpus / settings.threads)
        )
        self._encoder_threads = ThreadPoolExecutor(
            max_workers=math.ceil(cpus), thread_name_prefix="encode"
        )
        self._long_encoder_threads = ThreadPoolExecutor(
            max_workers=max(1, math.floor(cpus / 2)), thread_name_prefix="encode-long"
        )
        self._metrics = Metrics(named_callers=settings.metrics_callers)
        for name, files in self._access.watched().items():
            self._metrics.access.watch(name, partial(getattr, files, "stale"))
        if (tls := self._access.credentials) is not None:
            self._metrics.access.watch_expiry(lambda: tls.current.expires)
        self._dispatcher = Dispatcher(
            workers=self._workers, max_queue=settings.max_queue, observe=self._metrics.observe
        )
        self._registry = Registry(self._load, self._dispatcher.forget, self._metrics)
        self._encoders = EncoderPool(
            self._encoder_threads,
            self._dispatcher,
            max_waiting=settings.max_queue,
            long_threads=self._long_encoder_threads,
        )
        cache = ScoreCache(settings.cache_entries)
        self._scorer = Scorer(
            self._registry,
            self._dispatcher,
            self._encoders,
            cache,
            default_deadline_seconds=settings.default_deadline_seconds,
            max_request_bytes=settings.max_request_bytes,
        )
        self._explainer = Explainer(
            self._dispatcher, self._encoders, cache, self._metrics, max_queue=settings.max_queue
        )

    def profile(self) -> str:
        """Loads the evaluators to serve, and describes how long their runs take.

        Raises:
            TipstaffError: An evaluator can't be loaded.
        """
        self._load_all()
        if not self._registry.all():
            raise SettingsError("there is nothing to profile: nothing promoted could be loaded")
        return describe(
            self._registry.all(),
            self._dispatcher.profile,
            workers=self._workers,
            threads=self._settings.threads,
        )

    async def run(self) -> None:
        """Starts, serves and drains.

        Raises:
            TipstaffError: The server can't start.
        """
        settings, started = self._settings, time.monotonic()
        leave, drain = stop_signals()
        health = HealthServicer()
        traffic = self._traffic_sampler()
        servicer = ScoringServicer(
            self._scorer,
            self._explainer,
            self._registry,
            self._metrics,
            Gate(
                workers=self._workers,
                requests_per_second=settings.caller_requests_per_second,
                requests_under_way=settings.caller_requests_under_way,
            ),
            self._telemetry,
            max_batch_items=settings.max_batch_items,
            traffic=traffic,
        )
        doors = Doors(
            lambda: self._access.callers,
            self._metrics,
            caller_key=settings.caller_key,
            open_reflection=settings.open_reflection,
        )
        malformed, tls = MalformedMessages(self._metrics), self._access.credentials
        server = RpcServer(servicer, health, malformed, settings, doors, tls)
        health_port = HealthPort(health)
        self._metrics.watch(
            workers=self._workers,
            depth=lambda: self._dispatcher.depth,
            healthy=lambda: self._dispatcher.healthy,
        )
        metrics_server: MetricsServer | None = None
        try:
            if settings.metrics_listen != OFF:
                metrics_server = MetricsServer(self._metrics.registry, settings.metrics_listen, tls)
            self._dispatcher.start()
            for address in await server.start(settings.listen):
                log.info("gRPC on %s", address)
            if settings.health_listen != OFF:
                log.info("health on %s", await health_port.start(settings.health_listen))
            if metrics_server:
                log.info("metrics on %s", metrics_server.url)
            keeper = asyncio.create_task(self._keep_serving(health, started))
            await self._until(leave, keeper, asyncio.create_task(server.wait_for_end()))
            if health.withdraw():
                await self._lame_duck(drain)
            log.info("draining: no new requests, %.0f s for the rest", settings.drain_seconds)
        finally:
            health.close()
            self._scorer.close()
            await asyncio.sleep(_REFUSING_SECONDS)
            await server.stop(settings.drain_seconds)
            await health_port.stop()
            self._dispatcher.stop()
            await asyncio.to_thread(self._telemetry.close)
            for threads in (self._encoder_threads, self._long_encoder_threads):
                threads.shutdown(wait=False, cancel_futures=True)
            if traffic:
                await asyncio.to_thread(traffic.close)
            if metrics_server:
                metrics_server.stop()
        log.info("stopped")

    def _traffic_sampler(self) -> TrafficSampler | None:
        """What keeps traffic, if the settings name a folder for it."""
        settings = self._settings
        if settings.traffic is None:
            return None
        sampler = open_sampler(settings, self._registry)
        self._metrics.registry.register(TrafficCollector(sampler))
        log.info("traffic: keeping a sample in %s", settings.traffic)
        return sampler

    async def _lame_duck(self, drain: asyncio.Event) -> None:
        """Answers on until callers have had time to notice that health says NOT_SERVING."""
        seconds = self._settings.lame_duck_seconds
        if seconds and not drain.is_set():
            log.info("leaving: health says NOT_SERVING, calls are answered for %g s", seconds)
            with suppress(TimeoutError):
                await asyncio.wait_for(drain.wait(), seconds)

    async def _until(
        self, stop: asyncio.Event, keeper: asyncio.Task[None], rpc_end: asyncio.Task[None]
    ) -> None:
        """Waits for `stop`, or raises what `keeper` raises before, or that gRPC has ended."""
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait({waiting, keeper, rpc_end}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if keeper.done():
            keeper.result()
        keeper.cancel()
        if rpc_end.done():
            # Probes of the health port would find nothing wrong.
            why = rpc_end.exception() or "without an error"
            raise TipstaffError(f"the gRPC server ended: {why}")

    async def _keep_serving(self, health: HealthServicer, started: float) -> None:
        """Loads the evaluators to serve, then follows promotions and updates the health service."""
        settings = self._settings
        await asyncio.to_thread(self._load_all)
        self._access.expect(self._known_evaluators)
        # The objects made at start-up stay for good. Without freezing them, each full collection
        # would stop all threads for tens of milliseconds.
        gc.collect()
        gc.freeze()
        self._show(health)
        self._announce(time.monotonic() - started)
        async with asyncio.TaskGroup() as tasks:

            def keep(name: str, poll: Callable[[], Awaitable[None]], seconds: float) -> None:
                on_failure = self._metrics.poll_failures(name)
                tasks.create_task(keep_polling(name, poll, seconds, on_failure=on_failure))

            keep("health", partial(self._update_health, health), _HEALTH_SECONDS)
            if self._access.watched():
                keep("access_files", self._follow_access, settings.poll_seconds)
            if settings.repository:
                follow = partial(self._follow_repository, health, settings.repository)
                keep("repository", follow, settings.poll_seconds)

    async def _follow_repository(self, health: HealthServicer, repository: Path) -> None:
        await asyncio.to_thread(self._registry.follow, repository)
        self._show(health)

    async def _follow_access(self) -> None:
        await asyncio.to_thread(self._access.poll)

    async def _update_health(self, health: HealthServicer) -> None:
        self._show(health)

    def _known_evaluators(self) -> set[str]:
        """Those in service, and all of the repository, which may be promoted later."""
        known = set(self._registry.readiness())
        if (repository := self._settings.repository) is not None:
            with suppress(TipstaffError):
                known |= set(repository_names(repository))
        return known

    def _show(self, health: HealthServicer) -> None:
        ready = self._registry.readiness()
        health.show(ready if self._dispatcher.healthy else dict.fromkeys(ready, False))

    def _announce(self, seconds: float) -> None:
        threads = self._settings.threads
        readiness = self._registry.readiness()
        missing = [name for name, ready in readiness.items() if not ready]
        log.info(
            "%s after %.1f s, with %d %s of %d %s",
            "ready" if readiness and not missing else "started",
            seconds,
            self._workers,
            "worker" if self._workers == 1 else "workers",
            threads,
            "thread" if threads == 1 else "threads",
        )
        if not readiness:
            repository = self._settings.repository
            log.warning(
                "nothing serves yet: waiting for `tipstaff promote %s NAME VERSION`", repository
            )
        elif missing:
            log.warning("health says NOT_SERVING until these serve too: %s", ", ".join(missing))

    def _load_all(self) -> None:
        """Loads the bundles or the repository that the settings name."""
        if self._settings.bundles:
            self._registry.load_bundles(self._settings.bundles)
        if self._settings.repository:
            self._registry.follow(self._settings.repository)

    def _load(self, path: Path) -> Evaluator:
        """Loads, verifies and warms up one bundle, and measures how long its runs take."""
        *preferred, last = self._devices
        for device in preferred:
            try:
                return self._load_on(path, device)
            except BundleError as error:
                log.warning("%s; trying %s instead", error, last)
        return self._load_on(path, last)

    def _load_on(self, path: Path, device: Device) -> Evaluator:
        settings = self._settings
        evaluator = Evaluator.load(
            path, device=device, precision=settings.precision, threads=settings.threads
        )
        try:
            evaluator.warm_up()
            self._dispatcher.learn(evaluator, evaluator.filler)
            self._encoders.learn(evaluator)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # onnxruntime's have no common base, and tokenizers panics
            raise BundleError(path / evaluator.graph.file, f"can't be run: {error}") from error
        return evaluator
