"""Writes bundles: files first, then the manifest with their checksums.

A folder without a manifest is no bundle, so that a reader never sees half of one. And no manifest
may checksum replaced content: a file that is replaced is unlisted first (`put_file`).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tipstaff_server.evaluator import bundle as bundles
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.cases import CASES, CASES_FILE, Case
from tipstaff_server.evaluator.manifest import CARD_FILE, Manifest
from tipstaff_server.repository import is_published
from tipstaff_trainer.distil.run_folder import run_folder
from tipstaff_trainer.errors import DataError


def write_bundle(folder: Path, manifest: Manifest, added: Mapping[str, bytes]) -> None:
    """Turns a folder into a bundle.

    Args:
        folder: A folder without a manifest.
        manifest: The bundle's manifest, with the checksums of the files that are in the folder.
        added: Contents of further files, by name; they replace files of the same name.
    """
    checksums = dict(manifest.checksums)
    for name, content in added.items():
        (folder / name).write_bytes(content)
        checksums[name] = bundles.sha256_of(folder / name)
    bundles.write_manifest(folder, manifest.model_copy(update={"checksums": checksums}))


def copy_bundle(bundle: Bundle, out: Path, manifest: Manifest, *, card: str) -> Bundle:
    """Copies a bundle to folder `out`, with another manifest and its card.

    The folder of the training run is copied too: it has the learning curve, which reports draw, and
    the weights, which a smaller evaluator learns from. Published bundles have no such folder.

    Raises:
        FileExistsError: `out` exists.
        OSError: It can't be written.
        BundleError: The bundle changed since it was opened.
    """

    def fill(folder: Path) -> None:
        for name in bundle.manifest.checksums:
            (folder / name).write_bytes(bundle.read(name))
        if (run := run_folder(bundle.path)).is_dir():
            shutil.copytree(run, run_folder(folder))
        write_bundle(folder, manifest, {CARD_FILE: card.encode()})

    bundles.write_atomically(out, fill)
    return Bundle.open(out)


def attach_cases(folder: Path, cases: Sequence[Case]) -> None:
    """Puts named cases into a finished bundle, in place of its present cases.

    Raises:
        BundleError: The bundle is damaged, or can't be written.
        DataError: The bundle is a published version, which never changes.
    """
    bundle = Bundle.open(folder)
    if is_published(bundle):
        remedy = "attach the cases to the bundle that it was published from, and publish that"
        raise DataError(f"{folder}: is a published version, which never changes", remedy=remedy)
    bundles.put_file(bundle, CASES_FILE, cases_json(cases))


def attach_probes(bundle: Bundle, manifest: Manifest, *, card: str) -> Bundle:
    """Gives a finished bundle a manifest with probes, and its card.

    Raises:
        BundleError: The bundle can't be written.
        DataError: The bundle is a published version, which never changes.
    """
    if is_published(bundle):
        message = f"{bundle.path}: is a published version, which never changes"
        remedy = "attach them to the bundle that it was published from, and publish that"
        raise DataError(message, remedy=remedy)
    return bundles.put_file(Bundle(bundle.path, manifest), CARD_FILE, card.encode())


def cases_json(cases: Sequence[Case]) -> bytes:
    """The bytes of a bundle's file of named cases."""
    return CASES.dump_json(tuple(cases), indent=2, exclude_defaults=True) + b"\n"
