"""Files of TLS that are replaced while they are read."""

from __future__ import annotations

import pytest

from tipstaff.access_files import TlsFiles, certificates
from tipstaff.errors import AccessFileError
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
