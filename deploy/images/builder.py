"""Builds images on bases that are made here."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
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
# What pip is told on this machine about where packages are.
_PIP_SETTINGS = ("index-url", "extra-index-url", "find-links", "trusted-host", "timeout")


@dataclass(frozen=True)
class Image:
    """An image to build.

    Attributes:
        name: Its name, without `tipstaff-`.
        dockerfile: Its Dockerfile, a path in `deploy`.
        arguments: Build arguments, beside the bases.
        max_bytes: The most bytes that it may take.
    """

    name: str
    dockerfile: str
    arguments: dict[str, str] = field(default_factory=dict)
    max_bytes: float | None = None


@dataclass(frozen=True)
class Built:
    """An image that was built.

    Attributes:
        root: The folder of its files.
        size: Its bytes, without compression.
        entrypoint: The first words of its command.
        command: The other words, unless others are given.
        environment: Its variables, NAME=VALUE.
        folder: Where its processes start.
    """

    root: Path
    size: int
    entrypoint: list[str]
    command: list[str]
    environment: list[str]
    folder: str


class Builder:
    """Images in a folder of their own.

    Args:
        folder: Where they are; bases that are there already are taken.
        build: Whether to build; otherwise images that are there are taken, too.
    """

    def __init__(self, folder: Path, *, build: bool = True) -> None:
        self.folder = folder
        self._build = build
        self._built: dict[str, Built] = {}
        folder.mkdir(parents=True, exist_ok=True)
        # What a run that was broken off has left.
        self._buildah("rm", "--all")

    def get(self, image: Image) -> Built:
        """The image, built at the first call."""
        if image.name not in self._built:
            tag = f"localhost/tipstaff-{image.name}"
            if self._build:
                self._run_build(image, tag)
            self._built[image.name] = self._mounted(tag)
        return self._built[image.name]

    def close(self) -> None:
        """Removes what was mounted; images stay."""
        self._buildah("rm", "--all")

    def _run_build(self, image: Image, tag: str) -> None:
        settings = _pip_settings()
        pip = self.folder / "pip.conf"
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        pip.write_text("".join(["[global]\n", *lines]))
        bases = {"BASE": self._base("base"), "BUILD_BASE": self._base("build-base")}
        # The build trusts what this machine trusts, a company's proxy among it.
        folders = [Path("/etc/ssl/certs"), *_local_folders(settings)]
        self._buildah(
            *("build", "--file", ROOT / "deploy" / image.dockerfile, "--tag", tag),
            *(f"--build-arg={name}={value}" for name, value in (bases | image.arguments).items()),
            *(f"--volume={folder}:{folder}:ro" for folder in folders),
            *("--secret", f"id=pip,src={pip}"),
            ROOT,
        )
        # The one before has lost its name.
        self._buildah("rmi", "--prune")

    def _base(self, name: str) -> str:
        """Makes a base, unless it is there; returns its tag."""
        tag = f"localhost/tipstaff-{name}"
        archive = self.folder / f"{name}.tar"
        if not archive.exists():
            partial = archive.with_suffix(".partial.tar")
            recommended = '--aptopt=APT::Install-Recommends "false"'
            _output("mmdebstrap", *_BASES[name], recommended, "bookworm", partial)
            partial.rename(archive)
        if tag not in self._buildah("images", "--format", "{{.Name}}").split():
            container = self._buildah("from", "scratch")
            self._buildah("add", container, archive, "/")
            self._buildah("commit", "--rm", container, tag)
        return tag

    def _mounted(self, tag: str) -> Built:
        root = Path(self._buildah("mount", self._buildah("from", tag)))
        # The namespace's root is nobody here, and must reach it.
        for folder in (root, *root.parents):
            if folder.is_relative_to(self.folder):
                folder.chmod(folder.stat().st_mode | 0o011)
        image = json.loads(self._buildah("inspect", "--type", "image", tag))["OCIv1"]["config"]
        return Built(
            root=root,
            size=int(_output("du", "--summarize", "--bytes", root).split()[0]),
            entrypoint=image["Entrypoint"],
            command=image.get("Cmd") or [],
            environment=image["Env"],
            folder=image.get("WorkingDir") or "/",
        )

    def _buildah(self, *words: str | Path) -> str:
        store = ("--root", self.folder / "store", "--runroot", self.folder / "run")
        command = ("buildah", *store, "--storage-driver", "vfs", *words)
        return _output(*command, env=os.environ | {"BUILDAH_ISOLATION": "chroot"})


def _pip_settings() -> dict[str, str]:
    """What pip is told on this machine, for the build: its indexes, and folders of wheels."""
    settings = {"cert": "/etc/ssl/certs/ca-certificates.crt"}
    for line in _output(sys.executable, "-m", "pip", "config", "list").splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in _PIP_SETTINGS:
            # An option of several lines is one of several words.
            settings[name] = " ".join(str(ast.literal_eval(value)).split())
    return settings


def _local_folders(settings: dict[str, str]) -> list[Path]:
    """The folders of this machine that pip's settings name, which the build must see.

    Of an index the folder above: its pages lead to files beside it.
    """
    words = [word for name, value in settings.items() if name != "cert" for word in value.split()]
    folders = {
        Path(path).parent if word.startswith("file:") else Path(path)
        for word in words
        if (path := word.removeprefix("file://")).startswith("/")
    }
    return sorted(folder for folder in folders if folder.is_dir())


def _output(*words: str | Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(words, capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout.strip()
