from __future__ import annotations

import contextlib
import errno
import json
import resource
import shutil
from pathlib import Path

import pytest
from tiny_bundle import make_bundle

from tipstaff_server.errors import BundleError
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle, put_file, read_manifest, write_atomically


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A bundle to damage."""
    return make_bundle(tmp_path / "bundle")


def change_manifest(bundle: Path, **changes: object) -> None:
    file = bundle / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize("name", ["model.fp32.onnx", "tokenizer.json", "card.md"])
def test_a_changed_or_missing_file_is_named(own, name):
    file = own / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match="checksum") as raised:
        Bundle.open(own)
    assert raised.value.path == file
    file.unlink()
    with pytest.raises(BundleError, match="missing") as raised:
        Bundle.open(own)
    assert str(raised.value).startswith(f"{file}: ")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 2}, "schema_version is 2 and this tipstaff reads 1: upgrade"),
        ({"schema_version": None}, "schema_version is None"),
        ({"name": "Not A Name"}, "name: "),
        ({"graphs": []}, "graphs: "),
        ({"checksums": {"../outside": "0" * 64}}, "checksums"),
        ({"checksums": {"card.md": "0" * 64}}, r"no checksum for tokenizer\.json"),
    ],
)
def test_a_manifest_that_is_foreign_or_wrong(own, change, words):
    change_manifest(own, **change)
    with pytest.raises(BundleError, match=words) as raised:
        Bundle.open(own)
    assert raised.value.path == own / "manifest.json"
    assert "\n" not in str(raised.value)


def test_a_folder_that_is_no_bundle_says_what_it_is_instead(own, tmp_path):
    """Once, each was only "no bundle", even a folder that doesn't exist."""

    def why(folder):
        with pytest.raises(BundleError) as raised:
            Bundle.open(folder)
        return str(raised.value)

    nowhere, folder = tmp_path / "nowhere", tmp_path / "folder"
    assert why(nowhere).startswith(f"{nowhere}/manifest.json: missing: there is no such folder; ")
    folder.mkdir()
    assert why(folder) == (
        f"{folder}/manifest.json: missing: this folder is no bundle, or one whose writing was "
        "interrupted; `tipstaff train` writes bundles"
    )
    shutil.copytree(own, folder / "support" / "1")
    assert why(folder).endswith("is no bundle, but looks like a repository of support")
    for number in range(7):
        (folder / f"b{number}").mkdir()
        shutil.copy(own / "manifest.json", folder / f"b{number}")
    assert why(folder).endswith("but holds some: name each of b0, b1, b2, b3, b4, …")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_manifest_that_is_no_manifest(own, content):
    (own / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest\.json: "):
        Bundle.open(own)


def test_a_manifest_that_has_grown_is_read(own):
    change_manifest(own, something_new=[1, 2, 3])
    assert Bundle.open(own).manifest.name == "tiny"


def test_a_file_where_a_bundle_should_be(own):
    with pytest.raises(BundleError, match="a bundle is a folder"):
        Bundle.open(own / "card.md")


def test_what_is_loaded_is_what_was_verified(own):
    bundle = Bundle.open(own)
    (own / "tokenizer.json").write_text("{}")
    with pytest.raises(BundleError, match="changed since the bundle was opened"):
        bundle.tokenizer_json()


@pytest.mark.parametrize("name", ["model.fp32.onnx", "tokenizer.json"])
def test_a_file_that_matches_its_checksum_and_still_is_none_of_its_kind(own, name):
    import hashlib

    (own / name).write_bytes(b"nonsense")
    checksums = json.loads((own / "manifest.json").read_text())["checksums"]
    change_manifest(own, checksums=checksums | {name: hashlib.sha256(b"nonsense").hexdigest()})
    with pytest.raises(BundleError, match="can't load it") as raised:
        Evaluator.load(own)
    assert raised.value.path == own / name


def test_a_manifest_that_does_not_go_with_its_tokenizer(own):
    encoding = json.loads((own / "manifest.json").read_text())["encoding"]
    change_manifest(own, encoding=encoding | {"cls_id": 9999999})
    with pytest.raises(BundleError, match="cls_id in the manifest is not one"):
        Evaluator.load(own)


def test_a_file_that_cannot_be_read(own, monkeypatch):
    # Patched, since a file mode doesn't stop root, and tests may run as root.
    open_file = Path.open

    def opened(path: Path, *args, **kwargs):
        if path.suffix == ".onnx":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open_file(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(BundleError, match=r"onnx: can't be read: Permission denied"):
        Bundle.open(own)


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "made"

    def interrupted(staging: Path) -> None:
        (staging / "half").touch()
        assert not target.exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(target, interrupted)
    assert list(tmp_path.iterdir()) == []
    write_atomically(target, lambda staging: (staging / "whole").touch())
    assert [file.name for file in target.iterdir()] == ["whole"]
    with pytest.raises(FileExistsError):
        write_atomically(target, lambda staging: (staging / "other").touch())
    assert [file.name for file in tmp_path.iterdir()] == ["made"]


@pytest.mark.parametrize(
    ("had", "then"),
    [(None, [None, None, None, b"new"]), (b"old", [b"old", b"old", None, None, b"new"])],
)
def test_a_bundle_is_whole_wherever_the_putting_of_a_file_ends(tmp_path, had, then, monkeypatch):
    """Stops at each of the renamings in turn; the last time, at none."""
    replace, left = Path.replace, 0

    def replaced(source: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return replace(source, target)

    found = []
    for renamings in range(len(then)):
        bundle = Bundle.open(make_bundle(tmp_path / str(renamings)))
        if had is not None:
            bundle = put_file(bundle, "cases.json", had)
        left = renamings
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(Path, "replace", replaced)
            put_file(bundle, "cases.json", b"new")
        # Opening verifies the checksums.
        after = Bundle.open(bundle.path)
        listed = "cases.json" in after.manifest.checksums
        found.append(after.read("cases.json") if listed else None)
    assert found == then


def test_a_file_that_does_not_fit_leaves_the_bundle_as_it_was(own):
    bundle = put_file(Bundle.open(own), "cases.json", b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(BundleError, match=r"bundle: can't be written: File too large"):
            put_file(bundle, "cases.json", bytes(1 << 21))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert Bundle.open(own).read("cases.json") == b"old"
    assert read_manifest(own) == bundle.manifest
    assert not [file.name for file in own.iterdir() if file.name.startswith(".")]
