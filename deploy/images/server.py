"""The server's image: small, answers over TLS, and answers all while it leaves."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from images.builder import Builder, Image
from images.container import Container, Mount, free_port
from tipstaff import TLS, Client, ScoringError
from tipstaff_server.access.authority import CertificatesRequest, make_certificates

IMAGE = Image("server", "Dockerfile", max_bytes=350e6)


@dataclass(frozen=True)
class Server:
    """A started server.

    Attributes:
        container: It, started.
        address: Where it answers gRPC over TLS.
        certificates: The folder of the authority, and of a certificate for `localhost`.
    """

    container: Container
    address: str
    certificates: Path

    def client(self) -> Client:
        """A client that trusts its certificate."""
        tls = TLS(self.certificates / "ca.pem", server_name="localhost")
        return Client(self.address, tls=tls, timeout=10)


@contextmanager
def serving(builder: Builder, bundle: Path) -> Iterator[Server]:
    """Starts a server of a bundle, and waits until it answers."""
    certificates = builder.folder / "certificates"
    shutil.rmtree(certificates, ignore_errors=True)
    make_certificates(CertificatesRequest(out=certificates))
    port = free_port()
    words = [
        *("serve", "/srv", "--listen", f"127.0.0.1:{port}", "--metrics-listen", "off"),
        *("--tls-certificate", "/mnt/localhost.pem", "--tls-key", "/mnt/localhost.key"),
        *("--lame-duck-seconds", "2"),
    ]
    mounts = [Mount(bundle, "/srv"), Mount(certificates, "/mnt", "private")]
    with Container(builder, IMAGE, words, mounts) as container:
        container.wait_for("ready after")
        yield Server(container, f"localhost:{port}", certificates)


def check(builder: Builder, bundle: Path) -> str:
    """Checks the image; returns what it did."""
    with serving(builder, bundle) as server:
        server.container.check_confined()
        answered, failed, over = [], [], threading.Event()

        def call() -> None:
            with server.client() as client:
                while not over.is_set():
                    try:
                        answered.append(client.score(output="paris", ground_truth="paris").score)
                    except ScoringError as error:
                        failed.append(f"{error.code}: {error}")
                        over.wait(0.05)

        caller = threading.Thread(target=call)
        caller.start()
        try:
            time.sleep(2.0)
            assert answered, failed
            server.container.send(signal.SIGTERM)
            # Until its lame-duck time is over, it answers all.
            time.sleep(1.0)
            before = list(failed)
        finally:
            over.set()
            caller.join()
        assert not before, before
        assert len(set(answered)) == 1, set(answered)
        server.container.finish()
    return f"{len(answered)} answers over TLS, the last ones while it was leaving; ended with 0"
