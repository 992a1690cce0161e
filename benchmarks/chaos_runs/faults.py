"""The faults. Each does its harm to a site that callers are calling, and undoes it."""

from __future__ import annotations

import random
import resource
import shutil
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from chaos_runs import harm
from chaos_runs.site import NAME, Site, open_files
from tipstaff_server import repository


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: As on the command line and in the table.
        hits: How many of the two servers it harms.
        run: Does it for some seconds, and undoes it.
    """

    name: str
    hits: int
    run: Callable[[Site, float], None]


def _nothing(site: Site, seconds: float) -> None:
    time.sleep(seconds)


def _end(number: int) -> Callable[[Site, float], None]:
    def run(site: Site, seconds: float) -> None:
        server = site.servers[0]
        server.end(number)
        time.sleep(seconds / 2)
        server.start()
        server.wait()
        time.sleep(seconds / 2)

    return run


def _freeze(site: Site, seconds: float) -> None:
    site.servers[0].send(signal.SIGSTOP)
    time.sleep(seconds)
    site.servers[0].send(signal.SIGCONT)


def _restart(site: Site, pause: float = 0.0, clock: Path | None = None) -> None:
    for server in site.servers:
        server.end(signal.SIGTERM)
        server.start(clock=clock)
        server.wait()
        time.sleep(pause)


def _rolling_restart(site: Site, seconds: float) -> None:
    _restart(site, pause=seconds / 4)


def _corrupt_bundle(site: Site, seconds: float) -> None:
    last = max(repository.versions(site.repository, NAME))
    path = repository.bundle_path(site.repository, NAME, last + 1)
    shutil.copytree(repository.bundle_path(site.repository, NAME, 1), path)
    graph = next(path.glob("*.onnx"))
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    repository.set_serving(site.repository, NAME, last + 1)
    time.sleep(seconds)
    repository.set_serving(site.repository, NAME, 1)
    shutil.rmtree(path)


def _promotions(site: Site, seconds: float) -> None:
    end, version = time.monotonic() + seconds, 1
    while time.monotonic() < end:
        version = 3 - version
        repository.set_serving(site.repository, NAME, version)
        time.sleep(1.0)
    repository.set_serving(site.repository, NAME, 1)


def _no_repository(site: Site, seconds: float) -> None:
    away = site.repository.with_name("away")
    site.repository.rename(away)
    time.sleep(seconds)
    away.rename(site.repository)


def _full_disk(site: Site, seconds: float) -> None:
    """Its log can't be written; a server writes nothing else."""
    server = site.servers[0]
    server.end(signal.SIGTERM)
    server.start(log=Path("/dev/full"))
    server.wait()
    time.sleep(seconds)
    server.end(signal.SIGTERM)
    server.start()
    server.wait()


def _limit(
    kind: int, room: Callable[[int], int], harm: Callable[[Site], None]
) -> Callable[[Site, float], None]:
    def run(site: Site, seconds: float) -> None:
        server = site.servers[0]
        assert server.process is not None
        pid = server.process.pid
        before = resource.prlimit(pid, kind)
        resource.prlimit(pid, kind, (room(pid), before[1]))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            harm(site)
            time.sleep(0.1)
        if server.process.poll() is None:
            resource.prlimit(pid, kind, before)
        else:  # what it may do at its limit; then something restarts it
            server.start()
            server.wait()

    return run


def _connect_often(site: Site) -> None:
    sockets = []
    with suppress(OSError):
        for _ in range(50):
            sockets.append(socket.create_connection(("127.0.0.1", site.servers[0].port), timeout=1))
    for each in sockets:
        each.close()


def _ask_much(site: Site) -> None:
    victims = replace(site.victims, target=f"ipv4:{site.servers[0].address}")
    harm.do(harm.ask_much, victims, 1.0)


def _renewals(site: Site, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        site.renew_certificates()
        time.sleep(1.0)


def _revoked(site: Site, seconds: float) -> None:
    site.write_callers(flooder=False)
    time.sleep(0.6)
    harm.do(harm.flood, site.victims, seconds)
    site.write_callers(flooder=True)


def _half_open(site: Site, seconds: float) -> None:
    sockets = []
    for server in site.servers:
        for _ in range(200):
            sockets.append(socket.create_connection(("127.0.0.1", server.port), timeout=2))
            # The beginning of a TLS handshake, and no more.
            sockets[-1].sendall(b"\x16\x03\x01\x02\x00\x01")
    time.sleep(seconds)
    for each in sockets:
        each.close()


def _garbage(site: Site, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for server in site.servers:
            with (
                suppress(OSError),
                socket.create_connection(("127.0.0.1", server.port), timeout=1) as connection,
            ):
                connection.sendall(random.randbytes(4096))
        time.sleep(0.01)


def _harm(what: harm.Harm, *, freeze: bool = False) -> Callable[[Site, float], None]:
    def run(site: Site, seconds: float) -> None:
        harm.do(what, site.victims, seconds, freeze=freeze)

    return run


def _clock_jumps(site: Site, seconds: float) -> None:
    """Servers whose clocks are right, an hour ahead, a day behind, three years ahead, and right."""
    site.shift_clock(0)
    _restart(site, clock=site.clock)
    for shift in (3600, -86_400, 94_608_000, 0):
        site.shift_clock(shift)
        time.sleep(seconds / 4)
    _restart(site)


CLOCK_JUMPS = "clock jumps"
FAULTS = (
    Fault("none", 0, _nothing),
    Fault("kill -9", 1, _end(signal.SIGKILL)),
    Fault("SIGTERM", 1, _end(signal.SIGTERM)),
    Fault("SIGSTOP", 1, _freeze),
    Fault("rolling restart", 1, _rolling_restart),
    Fault("corrupt bundle promoted", 2, _corrupt_bundle),
    Fault("a promotion a second", 2, _promotions),
    Fault("repository away", 2, _no_repository),
    Fault("full disk", 1, _full_disk),
    Fault(
        "no more file descriptors",
        1,
        _limit(resource.RLIMIT_NOFILE, lambda pid: open_files(pid) + 2, _connect_often),
    ),
    Fault(
        "memory at the limit",
        1,
        _limit(
            resource.RLIMIT_AS,
            lambda pid: psutil.Process(pid).memory_info().vms + (16 << 20),
            _ask_much,
        ),
    ),
    Fault(CLOCK_JUMPS, 2, _clock_jumps),
    Fault("certificates renewed", 2, _renewals),
    Fault("token revoked, still used", 2, _revoked),
    Fault("slow readers", 2, _harm(harm.read_slowly, freeze=True)),
    Fault("half-open connections", 2, _half_open),
    Fault("garbage", 2, _garbage),
    Fault("cancels", 2, _harm(harm.cancel)),
    Fault("unknown names", 2, _harm(harm.ask_for_unknown_names)),
    Fault("longest texts", 2, _harm(harm.send_longest_texts)),
    Fault("a caller floods", 2, _harm(harm.flood)),
)
