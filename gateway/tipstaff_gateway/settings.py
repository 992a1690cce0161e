"""The settings of a gateway."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tipstaff.channel import LONGEST_TIMEOUT, checked_target
from tipstaff.errors import UsageError
from tipstaff.host_ports import split_host_port

OFF = "off"
LARGEST_BODY = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Settings:
    """What `tipstaff gateway` runs with, checked once.

    Attributes:
        target: Address of the Tipstaff server; empty if `bundles` is set.
        bundles: A bundle, a folder of bundles or a repository, for which the gateway starts a
            server of its own; None if `target` is set.
        listen: HOST:PORT for HTTP; port 0 takes a free one.
        grpc_listen: HOST:PORT for the Open Inference Protocol and Envoy over gRPC; `off` for none.
        evaluator: The evaluator if neither the request nor the mapping names one; may be empty.
        mapping: The file that says how requests become interactions; None for the defaults.
        timeout: Seconds for a request that names no deadline.
        max_body_bytes: Largest request body, in bytes.
        max_calls: Requests at a time; more are refused as overload.
        max_joins: Prompts that wait for their answer.
        join_seconds: How long a prompt waits for its answer.
        tls_certificate: Chain of certificates in PEM; None for plain HTTP and gRPC.
        tls_key: The certificate's private key in PEM.
        tls_client_ca: Authorities in PEM; callers then need a certificate from one of them.
        target_tls: Whether the server speaks TLS. `target_ca` and `target_certificate` imply it.
        target_ca: Authorities in PEM of the server's certificate; None for those of gRPC.
        target_certificate: The gateway's own certificate in PEM, where the server wants one.
        target_key: That certificate's private key in PEM.
        target_server_name: The name in the server's certificate; empty for the target's.
        target_token: File with a token for the calls of callers that have none.
        poll_seconds: Pause between two looks for renewed TLS files of the gateway's own ports.

    Raises:
        UsageError: A value is invalid; names the field.
    """

    target: str = ""
    bundles: Path | None = None
    listen: str = "127.0.0.1:8080"
    grpc_listen: str = OFF
    evaluator: str = ""
    mapping: Path | None = None
    timeout: float = 1.0
    max_body_bytes: int = 2**20
    max_calls: int = 256
    max_joins: int = 10_000
    join_seconds: float = 600.0
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    target_tls: bool = False
    target_ca: Path | None = None
    target_certificate: Path | None = None
    target_key: Path | None = None
    target_server_name: str = ""
    target_token: Path | None = None
    poll_seconds: float = 2.0

    def __post_init__(self) -> None:
        if bool(self.target) == (self.bundles is not None):
            raise UsageError(
                "there is no server to ask" if not self.target else "there are two servers to ask",
                remedy="give either {target} or {bundles}",
            )
        if self.target:
            try:
                checked_target(self.target)
            except ValueError as error:
                raise UsageError(str(error), field="target") from None
        _check_address("listen", self.listen)
        if self.grpc_listen != OFF:
            _check_address("grpc_listen", self.grpc_listen)
        _check_range("timeout", self.timeout, 0.001, LONGEST_TIMEOUT)
        _check_range("max_body_bytes", self.max_body_bytes, 1, LARGEST_BODY)
        _check_range("max_calls", self.max_calls, 1, 100_000)
        _check_range("max_joins", self.max_joins, 1, 10_000_000)
        _check_range("join_seconds", self.join_seconds, 0.001, LONGEST_TIMEOUT)
        _check_range("poll_seconds", self.poll_seconds, 0.01, 3600)
        for side in ("tls", "target"):
            certificate, key = f"{side}_certificate", f"{side}_key"
            if (getattr(self, certificate) is None) != (getattr(self, key) is None):
                missing = key if getattr(self, key) is None else certificate
                raise UsageError("a certificate and its key go together", field=missing)
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise UsageError("callers need a certificate only with TLS", field="tls_certificate")
        if self.target_server_name and not self.secures_target:
            raise UsageError("is of use only with TLS to the server", field="target_server_name")
        if self.bundles is not None and (self.secures_target or self.target_token):
            field = "target_token" if self.target_token else "target_tls"
            raise UsageError(
                "the gateway's own server has neither TLS nor callers",
                field=field,
                remedy="leave it out, or give {target} in place of {bundles}",
            )

    @property
    def secures_target(self) -> bool:
        """Whether the gateway speaks TLS to the server."""
        return self.target_tls or bool(self.target_ca or self.target_certificate)


def _check_address(field: str, address: str) -> None:
    try:
        split_host_port(address)
    except ValueError as error:
        raise UsageError(str(error), field=field, value=repr(address)) from None


def _check_range(field: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"must be from {low:g} to {high:g}", field=field, value=f"{value:g}")
