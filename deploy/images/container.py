"""Runs an image as a random user who may do nothing, on a read-only root."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from images.builder import Builder, Image

_START_SECONDS = 120.0
_STOP_SECONDS = 60.0
# The user ids of the namespace are these from the first on, outside.
_FIRST_ID = 1_000_000
_IDS = 65_536
_SCRATCH = {
    "type": "tmpfs",
    "source": "tmpfs",
    "options": ["nosuid", "nodev", "mode=1777"],
}


@dataclass(frozen=True)
class Mount:
    """A folder of this machine in a container.

    Attributes:
        source: The folder here.
        target: The folder there, which the image must have.
        access: `read`; `private` for a copy that the container's user alone owns, as secrets are;
            `write` to give the folder to that user.
    """

    source: Path
    target: str
    access: Literal["read", "private", "write"] = "read"


class Container:
    """An image, started; a context manager that ends it.

    Attributes:
        user: The user's id in the namespace.
        process: The runtime, which ends with the container's code.

    Args:
        builder: Has the image.
        image: The image.
        words: What follows the image's entrypoint; its own command if empty.
        mounts: Folders to mount.
        environment: Further variables, NAME=VALUE.
        scratch: Whether /tmp is a memory disk; otherwise it is read-only, as all is.
    """

    def __init__(
        self,
        builder: Builder,
        image: Image,
        words: Sequence[str] = (),
        mounts: Sequence[Mount] = (),
        *,
        environment: Sequence[str] = (),
        scratch: bool = False,
    ) -> None:
        built = builder.get(image)
        self.user = random.randint(20_000, 60_000)
        self._id = f"tipstaff-{image.name}-{self.user}"
        self._folder = builder.folder / self._id
        self._folder.mkdir()
        self._runc = ("runc", "--root", str(self._folder / "runc"))
        self._log_file = self._folder / "log"
        config = self._config(
            root={"path": str(built.root), "readonly": True},
            words=[*built.entrypoint, *(words or built.command)],
            environment=[*built.environment, *environment],
            folder=built.folder,
            mounts=[self._mounted(mount) for mount in mounts],
            scratch=scratch,
        )
        (self._folder / "config.json").write_text(json.dumps(config))
        with self._log_file.open("wb") as log:
            self.process = subprocess.Popen(
                (*self._runc, "run", "--bundle", str(self._folder), self._id),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            # The runtime's whole session, the container among it.
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self._folder)

    @property
    def log(self) -> str:
        """What it has printed."""
        return self._log_file.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The process id of its first process, outside."""
        state = subprocess.run(
            (*self._runc, "state", self._id), capture_output=True, text=True, check=True
        )
        return int(json.loads(state.stdout)["pid"])

    def wait_for(self, text: str) -> None:
        """Waits until it has printed a text."""
        self.wait_until(lambda: text in self.log)

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Waits until something holds, while it runs."""
        give_up = time.monotonic() + _START_SECONDS
        while not holds():
            if self.process.poll() is not None or time.monotonic() > give_up:
                sys.exit(f"{self._id} doesn't start:\n{self.log}")
            time.sleep(0.1)

    def send(self, number: signal.Signals) -> None:
        """Sends its first process a signal."""
        os.kill(self.pid, number)

    def finish(self, seconds: float = _STOP_SECONDS) -> str:
        """Waits until it has ended with 0; returns what it has printed."""
        code = self.process.wait(timeout=seconds)
        assert code == 0, f"{self._id} ended with {code}:\n{self.log}"
        return self.log

    def check_confined(self) -> None:
        """Checks that it runs as its user, without capabilities, on a read-only root."""
        process = Path(f"/proc/{self.pid}")
        status = (process / "status").read_text()
        assert f"Uid:\t{_FIRST_ID + self.user}\t" in status, status
        assert "CapEff:\t0000000000000000" in status, status
        (root,) = (
            line.split()[5].split(",")
            for line in (process / "mountinfo").read_text().splitlines()
            if line.split()[4] == "/"
        )
        assert "ro" in root, root

    def _mounted(self, mount: Mount) -> dict[str, Any]:
        source, access = mount.source, mount.access
        if access == "private":
            source = shutil.copytree(source, self._folder / mount.target.strip("/"))
        if access != "read":
            for path in (source, *source.rglob("*")):
                os.chown(path, _FIRST_ID + self.user, _FIRST_ID + self.user)
        return {
            "destination": mount.target,
            "type": "none",
            "source": str(source),
            "options": ["rbind", "rw" if access == "write" else "ro"],
        }

    def _config(
        self,
        *,
        root: dict[str, Any],
        words: list[str],
        environment: list[str],
        folder: str,
        mounts: list[dict[str, Any]],
        scratch: bool,
    ) -> dict[str, Any]:
        """The runtime's configuration, for a user who is nobody outside."""
        none: list[str] = []
        mapping = [{"containerID": 0, "hostID": _FIRST_ID, "size": _IDS}]
        return {
            "ociVersion": "1.0.0",
            "process": {
                "user": {"uid": self.user, "gid": self.user},
                "args": words,
                "env": environment,
                "cwd": folder,
                "noNewPrivileges": True,
                "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), none),
            },
            "root": root,
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]},
                {"destination": "/dev/shm", **_SCRATCH},
                *([{"destination": "/tmp", **_SCRATCH}] if scratch else []),
                *mounts,
            ],
            # The network is this machine's: the checks call on loopback.
            "linux": {
                "namespaces": [{"type": each} for each in ("user", "pid", "mount", "ipc", "uts")],
                "uidMappings": mapping,
                "gidMappings": mapping,
            },
        }


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
