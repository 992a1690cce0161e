"""TLS files: read, and tried before they are used; those of a server in a handshake.

The handshake runs in memory, between a server with these files and a client that trusts this
certificate alone. It finds what a client would find: a key of another certificate, one that has
expired or isn't valid yet, one that isn't for servers.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tipstaff.access_files.files import read_file, read_private
from tipstaff.errors import AccessFileError
from tipstaff.tls import TLS

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"


@dataclass(frozen=True)
class TlsFiles:
    """Where the server's TLS files are.

    Attributes:
        certificate: PEM, the server's first, then those between it and the authority.
        key: PEM, without a passphrase.
        client_ca: PEM, the authorities of clients' certificates; None to ask clients for none.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True)
class Credentials:
    """TLS files that were found to work.

    Attributes:
        certificate: As in `TlsFiles`, in bytes.
        key: As well.
        client_ca: As well; None to ask clients for no certificate.
        expires: When the certificate expires, in seconds since 1970.
        context: For servers in Python, such as the metrics port.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None = field(repr=False)
    expires: float
    context: ssl.SSLContext = field(compare=False, repr=False)


def load_credentials(files: TlsFiles) -> Credentials:
    """Reads TLS files and tries them.

    Raises:
        AccessFileError: One can't be read, or they don't work; names the file.
    """
    certificate = read_file(files.certificate, "tls_certificate")
    key = read_private(files.key, "tls_key")
    client_ca = None
    if files.client_ca is not None:
        client_ca = read_file(files.client_ca, "tls_client_ca")
        _check_authorities(client_ca, files.client_ca, "tls_client_ca")
    first = _first_certificate(certificate, files.certificate, "tls_certificate")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.minimum_version = ssl.TLSVersion.TLSv1_2
    load_pair(server, files.certificate, files.key, "tls_key")
    expires = _try_handshake(server, first, files.certificate)
    # OpenSSL has read the files anew: what was tried must be what is kept.
    again = read_file(files.certificate, "tls_certificate"), read_private(files.key, "tls_key")
    if again != (certificate, key):
        why = "was replaced while it was read"
        raise AccessFileError(f"{files.certificate}: {why}", field="tls_certificate")
    if client_ca is not None:
        server.load_verify_locations(cadata=client_ca.decode("ascii"))
        server.verify_mode = ssl.CERT_REQUIRED
    return Credentials(certificate, key, client_ca, expires, server)


def check_client_files(files: TLS, fields: Mapping[str, str]) -> None:
    """Tries a client's TLS files.

    Args:
        files: The files.
        fields: The settings that name its `ca`, `certificate` and `key`, for errors.

    Raises:
        AccessFileError: One can't be read, or they don't work; names the file.
    """
    if files.ca is not None:
        ca = Path(files.ca)
        _check_authorities(read_file(ca, fields["ca"]), ca, fields["ca"])
    if files.certificate is not None and files.key is not None:
        certificate, key = Path(files.certificate), Path(files.key)
        content = read_file(certificate, fields["certificate"])
        _first_certificate(content, certificate, fields["certificate"])
        read_private(key, fields["key"])
        load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate, key, fields["key"])


def load_pair(context: ssl.SSLContext, certificate: Path, key: Path, setting: str) -> None:
    """Loads a certificate and its key into a context.

    Raises:
        AccessFileError: They don't belong together, or one can't be used; names the file.
    """
    try:
        # Without a password, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        why = f"can't be used: {_why(error)}"
        if error.reason is None:
            why = "is not a key in PEM without a passphrase"
        elif error.reason == "KEY_VALUES_MISMATCH":
            why = f"is not the key of {certificate}"
        raise AccessFileError(f"{key}: {why}", field=setting) from None


def _try_handshake(server: ssl.SSLContext, certificate: str, path: Path) -> float:
    """When the server's certificate expires.

    Raises:
        AccessFileError: The handshake fails.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cadata=certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = server.wrap_bio(to_server, to_client, server_side=True)
    asking = client.wrap_bio(to_client, to_server)
    try:
        for _ in range(4):
            for side in (asking, serving):
                with suppress(ssl.SSLWantReadError):
                    side.do_handshake()
        found = asking.getpeercert()
    except ssl.SSLCertVerificationError as error:
        raise AccessFileError(f"{path}: {error.verify_message}", field="tls_certificate") from None
    except ssl.SSLError as error:
        raise AccessFileError(f"{path}: {_why(error)}", field="tls_certificate") from None
    assert found is not None
    return float(ssl.cert_time_to_seconds(str(found["notAfter"])))


def _first_certificate(content: bytes, path: Path, setting: str) -> str:
    start, end = content.find(_BEGIN), content.find(_END)
    if start < 0 or end < start:
        raise AccessFileError(f"{path}: has no certificate in PEM", field=setting)
    return content[start : end + len(_END)].decode("latin-1")


def _check_authorities(content: bytes, path: Path, setting: str) -> None:
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=content.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise AccessFileError(
            f"{path}: has no certificate in PEM, or a broken one", field=setting
        ) from None


def _why(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).lower().replace("_", " ")
