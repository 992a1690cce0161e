"""Builds the server's image and runs it, without a registry, a daemon, or root in the container.

    make image

A Debian base is made by mmdebstrap and the Dockerfile is built on it by buildah. runc starts the
image as a random user of a user namespace, whose root is nobody outside, with a read-only root and
no capabilities. Checked: its size, that it answers over TLS, that every call is answered while it
leaves on SIGTERM, and that it ends with 0. Needs root for the build, and Debian's mmdebstrap,
buildah and runc.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tipstaff import TLS, Client, ScoringError
from tipstaff_server.access.authority import CertificatesRequest, make_certificates

ROOT = Path(__file__).parents[1]
TOOLS = ("mmdebstrap", "buildah", "runc")
MOST_BYTES = 350e6
START_SECONDS = 120.0
# The user ids of the namespace are these from the first on, outside.
_FIRST_ID = 1_000_000
_IDS = 65_536
# As small as `python:3.11-slim-bookworm`: no documentation, no translations, no pip.
_EXCLUDED = ("doc", "man", "locale", "info")
_BASES = {
    "base": (
        *("--variant=essential", "--include=python3,ca-certificates,libstdc++6"),
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _EXCLUDED),
        "--dpkgopt=path-exclude=/usr/lib/python3/dist-packages/*",
    ),
    "build-base": ("--variant=minbase", "--include=python3,python3-venv,ca-certificates"),
}


class Images:
    """Images in a folder of their own.

    Args:
        folder: Where they are; bases that are there already are taken.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def buildah(self, *words: str | Path) -> str:
        """Runs buildah; returns what it prints."""
        store = ("--root", self.folder / "store", "--runroot", self.folder / "run")
        command = ("buildah", *store, "--storage-driver", "vfs", *words)
        return _output(*command, env=os.environ | {"BUILDAH_ISOLATION": "chroot"})

    def base(self, name: str) -> str:
        """Makes a base, unless it is there; returns its name."""
        tag = f"localhost/tipstaff-{name}"
        archive = self.folder / f"{name}.tar"
        if not archive.exists():
            partial = archive.with_suffix(".partial.tar")
            recommended = '--aptopt=APT::Install-Recommends "false"'
            _output("mmdebstrap", *_BASES[name], recommended, "bookworm", partial)
            partial.rename(archive)
        if tag not in self.buildah("images", "--format", "{{.Name}}").split():
            container = self.buildah("from", "scratch")
            self.buildah("add", container, archive, "/")
            self.buildah("commit", "--rm", container, tag)
        return tag

    def build(self, dockerfile: Path, tag: str) -> None:
        """Builds a Dockerfile on the bases."""
        pip = self.folder / "pip.conf"
        pip.write_text("[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n")
        self.buildah(
            *("build", "--file", dockerfile, "--tag", tag),
            *("--build-arg", f"BASE={self.base('base')}"),
            *("--build-arg", f"BUILD_BASE={self.base('build-base')}"),
            # The build trusts what this machine trusts, a company's proxy among it.
            *("--secret", f"id=pip,src={pip}", "--volume", "/etc/ssl/certs:/etc/ssl/certs:ro"),
            ROOT,
        )


class Running:
    """The server's image, started.

    Attributes:
        user: Its user's id in the namespace.
        port: Where it listens.
        size: The image's size in bytes, without compression.

    Args:
        images: Where it is.
        tag: Its name.
        bundle: The bundle to serve.
    """

    def __init__(self, images: Images, tag: str, bundle: Path) -> None:
        self.user = random.randint(20_000, 60_000)
        self.port = _free_port()
        self._folder = images.folder / f"bundle-{self.user}"
        self._images, self._id = images, f"tipstaff-{self.user}"
        self._container = images.buildah("from", tag)
        root = images.buildah("mount", self._container)
        self.size = int(_output("du", "--summarize", "--bytes", root).split()[0])
        # The namespace's root is nobody here, and must reach it.
        for folder in (Path(root), *Path(root).parents):
            if folder.is_relative_to(images.folder):
                folder.chmod(folder.stat().st_mode | 0o011)
        image = json.loads(images.buildah("inspect", "--type", "image", tag))["OCIv1"]["config"]
        self.certificates = self._folder / "certs"
        self._folder.mkdir()
        make_certificates(CertificatesRequest(out=self.certificates))
        for path in (self.certificates, *self.certificates.iterdir()):
            os.chown(path, _FIRST_ID + self.user, _FIRST_ID + self.user)
        words = [
            *image["Entrypoint"],
            *("serve", "/srv", "--listen", f"127.0.0.1:{self.port}", "--metrics-listen", "off"),
            *("--tls-certificate", "/mnt/localhost.pem", "--tls-key", "/mnt/localhost.key"),
            *("--lame-duck-seconds", "2"),
        ]
        mounts = {"/srv": bundle, "/mnt": self.certificates}
        config = _runtime_config(root, words, image["Env"], self.user, mounts)
        (self._folder / "config.json").write_text(json.dumps(config))
        self.log = self._folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                (
                    *("runc", "--root", self._folder / "runc", "run"),
                    *("--bundle", self._folder, self._id),
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def client(self) -> Client:
        """A client that trusts its certificate."""
        tls = TLS(self.certificates / "ca.pem", server_name="localhost")
        return Client(f"localhost:{self.port}", tls=tls, timeout=10)

    def wait(self) -> None:
        """Waits until it answers."""
        give_up = time.monotonic() + START_SECONDS
        while b"ready after" not in self.log.read_bytes():
            if self.process.poll() is not None or time.monotonic() > give_up:
                sys.exit(f"the image doesn't start:\n{self.log.read_text()}")
            time.sleep(0.1)

    def close(self) -> None:
        """Ends and removes it."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._images.buildah("rm", self._container)
        shutil.rmtree(self._folder)


def _runtime_config(
    root: str, words: list[str], variables: list[str], user: int, mounts: dict[str, Path]
) -> dict[str, Any]:
    """The runtime's configuration, for a user who is nobody outside."""
    none: list[str] = []
    mapping = [{"containerID": 0, "hostID": _FIRST_ID, "size": _IDS}]
    binds = [
        {"destination": target, "type": "none", "source": str(source), "options": ["rbind", "ro"]}
        for target, source in mounts.items()
    ]
    return {
        "ociVersion": "1.0.0",
        "process": {
            "user": {"uid": user, "gid": user},
            "args": words,
            "env": variables,
            "cwd": "/",
            "noNewPrivileges": True,
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), none),
        },
        "root": {"path": root, "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]},
            *binds,
        ],
        # The network is this machine's: the test calls it on loopback.
        "linux": {
            "namespaces": [{"type": each} for each in ("user", "pid", "mount", "ipc", "uts")],
            "uidMappings": mapping,
            "gidMappings": mapping,
        },
    }


def check(running: Running) -> None:
    """Checks that a started image does what it should."""
    running.wait()
    server = _server_of(running.process.pid)
    status = Path(f"/proc/{server}/status").read_text()
    assert f"Uid:\t{_FIRST_ID + running.user}\t" in status, status
    assert "CapEff:\t0000000000000000" in status, status
    root = next(
        line.split()
        for line in Path(f"/proc/{server}/mountinfo").read_text().splitlines()
        if line.split()[4] == "/"
    )
    assert "ro" in root[5].split(","), root
    answered, failed, over = [], [], threading.Event()

    def call() -> None:
        with running.client() as client:
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
        os.kill(server, signal.SIGTERM)
        # Until its lame-duck time is over, it answers all.
        time.sleep(1.0)
        before = list(failed)
    finally:
        over.set()
        caller.join()
    assert not before, before
    code = running.process.wait(timeout=60)
    assert code == 0, running.log.read_text()
    assert len(set(answered)) == 1, set(answered)
    print(
        f"started read-only as user {running.user} without capabilities; {len(answered)} answers "
        "over TLS, the last ones while it was leaving; ended with 0"
    )


def _server_of(runtime: int) -> int:
    """The process id of the server, the runtime's child."""
    children = Path(f"/proc/{runtime}/task/{runtime}/children").read_text().split()
    for task in Path(f"/proc/{runtime}/task").iterdir():
        children += (task / "children").read_text().split()
    return int(next(each for each in children if "serve" in _words(each)))


def _words(process: str) -> list[str]:
    return Path(f"/proc/{process}/cmdline").read_text().split("\0")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _output(*words: str | Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(words, capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout.strip()


def main() -> int:
    """Builds, measures and runs the image."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(".images"), help="keeps bases, layers")
    parser.add_argument("--built", metavar="IMAGE", help="check this image of the folder instead")
    args = parser.parse_args()
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        print(f"not installed: {', '.join(missing)} (apt-get install)", file=sys.stderr)
        return 2
    images = Images(args.folder.resolve())
    tag = args.built or "localhost/tipstaff-server"
    if not args.built:
        images.build(ROOT / "deploy" / "Dockerfile", tag)
    sys.path.append(str(ROOT / "tests"))
    from tiny_bundle import make_bundle

    running = Running(images, tag, make_bundle(images.folder / "bundle"))
    try:
        print(f"size: {running.size / 1e6:.0f} MB; {MOST_BYTES / 1e6:.0f} MB are allowed")
        check(running)
    finally:
        running.close()
    return int(running.size > MOST_BYTES)


if __name__ == "__main__":
    sys.exit(main())
