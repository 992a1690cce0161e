"""A small certificate authority, to try TLS with; production has its own.

`cryptography` makes the certificates, since the `openssl` program differs from system to system. It
is an extra, because a server needs none of it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tipstaff_server.errors import SettingsError
from tipstaff_server.requests import Request, setting

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256

CA = "ca"
# Clocks of two machines differ.
_EARLIER = timedelta(minutes=5)
_CA_DAYS = 3650


class CertificatesRequest(Request):
    """What to make certificates for."""

    out: Path = setting(
        ..., "folder for ca.pem and for a certificate and key of each name", unit="folder"
    )
    server: tuple[str, ...] = setting(
        ("localhost",),
        "name or IP address of the server, may be given several times; the first names the files",
        min_length=1,
        unit="host",
    )
    client: tuple[str, ...] = setting(
        (), "name of a client, for mutual TLS; may be given several times", unit="name"
    )
    days: int = setting(30, "days that the certificates are valid", ge=1, le=825, unit="days")


@dataclass(frozen=True)
class _Signer:
    certificate: x509.Certificate
    key: EllipticCurvePrivateKey


def make_certificates(request: CertificatesRequest) -> list[Path]:
    """Makes certificates, and the authority if the folder has none yet.

    Certificates of before are replaced, so that running it again renews them.

    Returns:
        The files written, each certificate before its key.

    Raises:
        SettingsError: The folder can't be written, or has half of an authority.
    """
    folder = request.out
    try:
        folder.mkdir(parents=True, exist_ok=True)
        signer, written = _authority(folder)
        names = [(request.server[0], request.server, True)]
        names += [(name, (name,), False) for name in request.client]
        for file, hosts, is_server in names:
            written += _issue(folder, file, hosts, signer, request.days, is_server=is_server)
    except OSError as error:
        raise SettingsError(
            f"can't be written: {error.strerror}", field="out", value=str(folder)
        ) from error
    return written


def _authority(folder: Path) -> tuple[_Signer, list[Path]]:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    certificate_file, key_file = folder / f"{CA}.pem", folder / f"{CA}.key"
    if certificate_file.exists() != key_file.exists():
        raise SettingsError(
            f"has only one of {certificate_file.name} and {key_file.name}",
            field="out",
            value=str(folder),
            remedy="give another folder",
        )
    if certificate_file.exists():
        key = load_pem_private_key(key_file.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return _Signer(x509.load_pem_x509_certificate(certificate_file.read_bytes()), key), []
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Tipstaff, for trying TLS")
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    certificate = (
        _builder(name, name, key, _CA_DAYS)
        .add_extension(constraints, critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(key, _hash())
    )
    files = _write(folder, CA, certificate, key)
    return _Signer(certificate, key), files


def _issue(
    folder: Path, file: str, hosts: Sequence[str], signer: _Signer, days: int, *, is_server: bool
) -> list[Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key = ec.generate_private_key(ec.SECP256R1())
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if is_server else ExtendedKeyUsageOID.CLIENT_AUTH
    certificate = (
        _builder(_name(hosts[0]), signer.certificate.subject, key, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName(list(map(_host, hosts))), critical=False)
        .sign(signer.key, _hash())
    )
    return _write(folder, file, certificate, key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=days))
    )


def _write(
    folder: Path, file: str, certificate: x509.Certificate, key: EllipticCurvePrivateKey
) -> list[Path]:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    paths = [folder / f"{file}.pem", folder / f"{file}.key"]
    for path, content, mode in zip(
        paths, (certificate.public_bytes(Encoding.PEM), secret), (0o644, 0o600), strict=True
    ):
        # By renaming: a server that watches the file never sees half of it.
        staging = path.with_name(f".{path.name}.new")
        staging.touch(mode=mode)
        staging.write_bytes(content)
        staging.replace(path)
    return paths


def _name(text: str) -> x509.Name:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, text[:64])])


def _host(text: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        return x509.DNSName(text)
    except ValueError:
        raise SettingsError("not a host's name", field="server", value=text) from None


def _usage(*, signs: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _hash() -> SHA256:
    from cryptography.hazmat.primitives import hashes

    return hashes.SHA256()
