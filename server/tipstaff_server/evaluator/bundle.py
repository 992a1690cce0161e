"""A bundle on disk: one evaluator version, verified before anything of it is used.

`write_atomically` moves a finished folder into place in one step, so that a reader sees a whole
bundle or none.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from tipstaff_server.disk import sync
from tipstaff_server.errors import BundleError
from tipstaff_server.evaluator.manifest import (
    MANIFEST_FILE,
    SCHEMA_VERSION,
    TOKENIZER_FILE,
    Graph,
    Manifest,
)

Loaded = TypeVar("Loaded")

_NAMED_BUNDLES = 5


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose manifest has been read and whose files match their checksums."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path) -> Bundle:
        """Reads the manifest and verifies every file it lists.

        Raises:
            BundleError: A file is missing or damaged, or the schema version is unknown.
        """
        manifest = read_manifest(path)
        for name, expected in manifest.checksums.items():
            file = path / name
            try:
                actual = sha256_of(file)
            except (FileNotFoundError, IsADirectoryError):
                raise BundleError(
                    file, "missing, but in the manifest: copy the bundle again"
                ) from None
            except OSError as error:
                raise BundleError(file, f"can't be read: {error.strerror}") from error
            if actual != expected:
                raise BundleError(
                    file,
                    f"checksum {actual[:12]}… is not the manifest's {expected[:12]}…: "
                    "the file was damaged or changed, copy the bundle again",
                )
        return cls(path, manifest)

    def read(self, name: str) -> bytes:
        """The bytes of one listed file, verified again.

        Raises:
            BundleError: The file changed since the bundle was opened.
        """
        file = self.path / name
        try:
            data = file.read_bytes()
        except OSError as error:
            raise BundleError(file, f"can't be read: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != self.manifest.checksums[name]:
            raise BundleError(file, "changed since the bundle was opened")
        return data

    def load(self, name: str, parse: Callable[[bytes], Loaded]) -> Loaded:
        """Parses one listed file.

        Raises:
            BundleError: The file changed, or `parse` can't read it.
        """
        data = self.read(name)
        try:
            return parse(data)
        except Exception as error:  # from zip, NumPy or json, or from the file's content
            raise BundleError(self.path / name, f"it can't be loaded: {error}") from error

    def tokenizer_json(self) -> str:
        """The tokenizer, as `tokenizers.Tokenizer.from_str` takes it.

        Raises:
            BundleError: The file changed since the bundle was opened, or is no text.
        """
        try:
            return self.read(TOKENIZER_FILE).decode("utf-8")
        except UnicodeDecodeError as error:
            raise BundleError(self.path / TOKENIZER_FILE, f"not UTF-8: {error}") from None

    def graph_bytes(self, graph: Graph) -> bytes:
        """One graph, as onnxruntime takes it."""
        return self.read(graph.file)


def read_manifest(path: Path) -> Manifest:
    """Reads the manifest of the bundle in folder `path`, and none of its other files.

    Raises:
        BundleError: The manifest is missing or invalid.
    """
    file = path / MANIFEST_FILE
    try:
        raw = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise _no_bundle(path) from None
    except NotADirectoryError:
        raise BundleError(path, "a bundle is a folder, and this is a file") from None
    except OSError as error:
        raise BundleError(file, f"can't be read: {error.strerror}") from error
    except ValueError as error:
        raise BundleError(file, f"not JSON: {error}") from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise BundleError(
            file,
            f"schema_version is {version!r} and this tipstaff reads {SCHEMA_VERSION}: "
            "upgrade tipstaff, or train the evaluator again",
        )
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise BundleError(file, f"{where}: {first['msg']}") from error


def _no_bundle(path: Path) -> BundleError:
    """The error of a folder without a manifest, with what is in it instead."""
    why = "missing: this folder is no bundle"
    if not path.exists():
        why = "missing: there is no such folder; `tipstaff train` writes bundles"
    elif bundles := {each.parent.name for each in path.glob(f"*/{MANIFEST_FILE}")}:
        why += f", but holds some: name each of {_some(bundles)}"
    elif names := {each.parent.parent.name for each in path.glob(f"*/*/{MANIFEST_FILE}")}:
        why += f", but looks like a repository of {_some(names)}"
    else:
        why += ", or one whose writing was interrupted; `tipstaff train` writes bundles"
    return BundleError(path / MANIFEST_FILE, why)


def _some(names: set[str]) -> str:
    shown = sorted(names)[:_NAMED_BUNDLES]
    return ", ".join(shown) + (", …" if len(names) > len(shown) else "")


def write_atomically(target: Path, fill: Callable[[Path], None]) -> None:
    """Makes folder `target` appear whole: `fill` writes a hidden folder, which is then renamed.

    Raises:
        FileExistsError: `target` is there already and is not an empty folder.
        OSError: It can't be written, or its parent is missing.
    """
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        fill(staging)
        for file in staging.iterdir():
            sync(file)
        sync(staging)
        staging.chmod(0o755)
        try:
            staging.rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            raise FileExistsError(f"{target} is there already") from error
        sync(target.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def put_file(bundle: Bundle, name: str, content: bytes) -> Bundle:
    """Adds a file to a finished bundle, or replaces the file of that name.

    The bundle stays valid whatever fails: everything is written to a folder of its own first, and
    only renames are left. If the process ends between these, the bundle has neither the old nor the
    new file.

    Args:
        bundle: The bundle.
        name: The file's name; not one that the bundle needs.
        content: The file's bytes.

    Raises:
        BundleError: The folder can't be written.
    """
    folder, manifest = bundle.path, bundle.manifest
    others = {file: known for file, known in manifest.checksums.items() if file != name}
    checksums = others | {name: hashlib.sha256(content).hexdigest()}
    new = manifest.model_copy(update={"checksums": checksums})
    try:
        with tempfile.TemporaryDirectory(prefix=".put.", dir=folder) as staging:
            staged = Path(staging)
            (staged / name).write_bytes(content)
            sync(staged / name)
            write_manifest(staged, new)
            if name in manifest.checksums:
                # Unlist the old file first: no manifest may checksum replaced content.
                write_manifest(folder, manifest.model_copy(update={"checksums": others}))
            (staged / name).replace(folder / name)
            sync(folder)
            (staged / MANIFEST_FILE).replace(folder / MANIFEST_FILE)
            sync(folder)
    except OSError as error:
        raise BundleError(folder, f"can't be written: {error.strerror}") from error
    return Bundle(folder, new)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Writes the manifest into folder `path`, atomically."""
    temporary = path / f".{MANIFEST_FILE}"
    temporary.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    sync(temporary)
    temporary.replace(path / MANIFEST_FILE)
    sync(path)
