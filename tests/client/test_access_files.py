"""TLS files: tried, replaced while they are read, and followed by a client."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tipstaff import TLS
from tipstaff.access_files import (
    TlsFiles,
    Watched,
    certificates,
    load_client_files,
    load_credentials,
    watch_credentials,
)
from tipstaff.errors import AccessFileError
from tipstaff.security import ChannelCredentials
from tipstaff_server.access.authority import CertificatesRequest, make_certificates


def test_a_pair_of_which_one_half_is_replaced_meanwhile_is_not_kept(tmp_path, monkeypatch):
    request = CertificatesRequest(out=tmp_path)
    make_certificates(request)
    files = TlsFiles(tmp_path / "localhost.pem", tmp_path / "localhost.key")
    before = files.key.read_bytes()
    make_certificates(request)
    renewed = files.key.read_bytes()
    files.key.write_bytes(before)
    read = certificates.read_private

    def read_and_replace(path, setting):
        content = read(path, setting)
        files.key.write_bytes(renewed)
        return content

    monkeypatch.setattr(certificates, "read_private", read_and_replace)
    with pytest.raises(AccessFileError, match="was replaced while it was read"):
        certificates.load_credentials(files)
    assert certificates.load_credentials(files).key == renewed


@pytest.fixture
def folder(tmp_path) -> Path:
    for part in ("now", "later"):
        make_certificates(CertificatesRequest(out=tmp_path / part, client=("shop", "desk")))
    return tmp_path


def client_files(folder: Path) -> TLS:
    return TLS(folder / "ca.pem", folder / "shop.pem", folder / "shop.key")


def test_authorities_may_have_comments_in_any_language(folder):
    """As lists of public authorities have."""
    ca = folder / "now" / "ca.pem"
    ca.write_text(f"# Főtanúsítvány\n{ca.read_text()}", encoding="utf-8")
    assert load_client_files(client_files(folder / "now"))[0] == ca.read_bytes()
    pair = folder / "now" / "localhost.pem", folder / "now" / "localhost.key"
    assert load_credentials(TlsFiles(*pair, ca)).client_ca == ca.read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("ca.pem", b"-----BEGIN CERTIFICATE-----", "no certificate in PEM"),
        ("ca.pem", "ű".encode(), "no certificate in PEM"),
        ("shop.pem", b"", "is empty"),
        ("shop.key", b"-----BEGIN PRIVATE KEY-----", "is not a key in PEM"),
        ("shop.key", None, "can't be read: No such file"),
    ],
)
def test_a_client_s_files_are_tried_when_it_is_made(folder, name, content, why):
    path = folder / "now" / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(AccessFileError, match=why):
        ChannelCredentials(client_files(folder / "now"), None)


def test_a_client_follows_its_files_and_knows_when_they_are_bad(folder, caplog):
    caplog.set_level(logging.INFO)
    now = 0.0
    credentials = ChannelCredentials(client_files(folder / "now"), None, clock=lambda: now)
    first = credentials.current
    key = folder / "now" / "shop.key"
    key.write_bytes((folder / "now" / "desk.key").read_bytes())

    def look() -> tuple[bool, bool]:
        nonlocal now
        now += 1
        return credentials.renew(), credentials.stale

    assert (credentials.renew(), credentials.stale) == (False, False), "looked at a moment ago"
    assert look() == (False, False), "the certificate may follow"
    assert look() == (False, True)
    assert "shop.key: is not the key of" in caplog.text
    assert credentials.current is first

    for path in (folder / "later").iterdir():
        (folder / "now" / path.name).write_bytes(path.read_bytes())
    assert look() == (True, False)
    assert credentials.current is not first
    assert "new TLS files for the server are in force" in caplog.text
    assert look() == (False, False)


def test_without_a_certificate_there_is_nothing_to_watch(folder):
    assert watch_credentials(None, None, None) is None
    pair = folder / "now" / "localhost.pem", folder / "now" / "localhost.key"
    watched = watch_credentials(*pair, None)
    assert watched is not None
    assert watched.current.client_ca is None


def test_an_error_that_nobody_foresaw_leaves_the_value_and_is_logged_once(tmp_path, caplog):
    file = tmp_path / "file"
    file.write_text("1")
    error: Exception | None = None

    def load() -> str:
        if error is not None:
            raise error
        return file.read_text()

    watched = Watched("numbers", (file,), load)
    file.write_text("2")
    for error in [MemoryError("at 1"), MemoryError("at 1"), RuntimeError("2")]:  # noqa: B007
        watched.poll()
        watched.poll()
    assert (watched.current, watched.stale) == ("1", True)
    messages = [each.message for each in caplog.records]
    assert messages == [
        "MemoryError: at 1; the numbers from before stay in force",
        "RuntimeError: 2; the numbers from before stay in force",
    ]
    assert all(each.exc_info for each in caplog.records)
    # The same files, and now they can be loaded: as a certificate that wasn't valid yet.
    error = None
    watched.poll()
    assert (watched.current, watched.stale) == ("2", False)
