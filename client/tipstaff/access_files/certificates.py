"""TLS files: read, and tried before they are used.

A server's files are tried in a handshake in memory, between a server with these files and a client
that trusts this certificate alone. It finds what a client would find: a key of another certificate,
a certificate that has expired, isn't valid yet or isn't for servers.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tipstaff.access_files.files import read_file, read_private
from tipstaff.access_files.watched import Watched
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
        _trust(server, client_ca)
        server.verify_mode = ssl.CERT_REQUIRED
    return Credentials(certificate, key, client_ca, expires, server)


def watch_credentials(
    certificate: Path | None, key: Path | None, client_ca: Path | None
) -> Watched[Credentials] | None:
    """Loads the TLS files of a process's own ports, and follows them; None without TLS.

    Args:
        certificate: As in `TlsFiles`; None without TLS.
        key: As in `TlsFiles`; None without TLS.
        client_ca: As in `TlsFiles`.

    Raises:
        AccessFileError: One can't be read, or they don't work; names the file.
    """
    if certificate is None or key is None:
        return None
    files = TlsFiles(certificate, key, client_ca)
    return Watched("TLS files", (certificate, key, client_ca), lambda: load_credentials(files))


def load_client_files(files: TLS) -> tuple[bytes | None, bytes | None, bytes | None]:
    """Reads a client's TLS files and tries them.

    Returns:
        Authorities, key and certificate, in the order of `grpc.ssl_channel_credentials`; None for
        a file that isn't set.

    Raises:
        AccessFileError: One can't be read, or they don't work; names the file.
    """
    contents = _client_contents(files)
    ca, _, chain = contents
    if files.ca is not None and ca is not None:
        _check_authorities(ca, Path(files.ca), "ca")
    if files.certificate is not None and files.key is not None and chain is not None:
        certificate, key = Path(files.certificate), Path(files.key)
        _first_certificate(chain, certificate, "certificate")
        load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate, key, "key")
        # OpenSSL has read the files anew: what was tried must be what is kept.
        if _client_contents(files) != contents:
            raise AccessFileError(f"{key}: was replaced while it was read", field="key")
    return contents


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


def _client_contents(files: TLS) -> tuple[bytes | None, bytes | None, bytes | None]:
    return (
        None if files.ca is None else read_file(Path(files.ca), "ca"),
        None if files.key is None else read_file(Path(files.key), "key"),
        None if files.certificate is None else read_file(Path(files.certificate), "certificate"),
    )


def _check_authorities(content: bytes, path: Path, setting: str) -> None:
    try:
        _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), content)
    except (ssl.SSLError, ValueError):
        raise AccessFileError(
            f"{path}: has no certificate in PEM, or a broken one", field=setting
        ) from None


def _trust(context: ssl.SSLContext, authorities: bytes) -> None:
    # Only comments, as in lists of public authorities, have other characters than ASCII's.
    context.load_verify_locations(cadata=authorities.decode("ascii", "ignore"))


def _why(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).lower().replace("_", " ")
