"""Closed doors, on a real server: TLS, tokens, limits, and what changes while it runs."""

from __future__ import annotations

import argparse
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from running_server import SERVING, Server, command, wait_until
from tiny_bundle import make_bundle

from tipstaff import TLS, AccessError, Client, Interaction, OverloadedError, UnavailableError
from tipstaff.cli import flag
from tipstaff.errors import UsageError
from tipstaff_server import repository
from tipstaff_server.access.authority import CertificatesRequest, make_certificates
from tipstaff_server.access.keeper import AccessFiles
from tipstaff_server.access.tokens import hash_token, new_token
from tipstaff_server.cli import serve
from tipstaff_server.cli.options import given
from tipstaff_server.settings import Settings, load_settings

SHOP, DESK, LATER = (new_token() for _ in range(3))
TEXTS = {"input": "paris", "output": "paris is it", "ground_truth": "paris"}


def write_callers(path: Path, text: str) -> Path:
    staging = path.with_suffix(".new")
    staging.touch(mode=0o600)
    staging.write_text(text)
    staging.replace(path)
    return path


def certificates(folder: Path, days: int = 30) -> Path:
    make_certificates(
        CertificatesRequest(
            out=folder, server=("localhost", "127.0.0.1"), client=("shop",), days=days
        )
    )
    return folder


def tls(folder: Path) -> TLS:
    return TLS(folder / "ca.pem", folder / "shop.pem", folder / "shop.key")


def serving_words(folder: Path) -> list[object]:
    return [
        *("--tls-certificate", folder / "localhost.pem", "--tls-key", folder / "localhost.key"),
        *("--tls-client-ca", folder / "ca.pem", "--poll-seconds", 0.1),
    ]


def scrape(server: Server, folder: Path, *, with_certificate: bool = True) -> str:
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    if with_certificate:
        context.load_cert_chain(folder / "shop.pem", folder / "shop.key")
    with urllib.request.urlopen(server.metrics_url, timeout=5, context=context) as response:
        return response.read().decode()


def sample(text: str, name: str) -> float:
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def serial(address: str, folder: Path) -> str:
    host, port = address.rsplit(":", 1)
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "shop.pem", folder / "shop.key")
    with (
        socket.create_connection((host, int(port)), timeout=5) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as secured,
    ):
        return str(secured.getpeercert()["serialNumber"])  # type: ignore[index]


def test_mutual_tls_on_all_ports_and_renewal_while_it_runs(start, bundle, tmp_path):
    folder = certificates(tmp_path / "certificates")
    server = start(bundle, *serving_words(folder), "--health-listen", "127.0.0.1:0")
    with Client(server.address, tls=tls(folder), timeout=5) as client:
        assert client.score(**TEXTS).score is not None

    # A client without a certificate, and one of another authority.
    other = certificates(tmp_path / "other")
    for files in (TLS(folder / "ca.pem"), TLS(folder / "ca.pem", *tls_pair(other)), None):
        with (
            Client(server.address, tls=files, timeout=2) as client,
            pytest.raises(UnavailableError),
        ):
            client.score(**TEXTS)
    assert sample(scrape(server, folder), "tipstaff_lanes_healthy") == 1
    with pytest.raises((urllib.error.URLError, ssl.SSLError, ConnectionError)):
        scrape(server, folder, with_certificate=False)

    # Kubernetes' probes have neither.
    channel = server.channel(server._logged(r"health on (\S+)"))
    check = health_pb2_grpc.HealthStub(channel).Check
    assert check(health_pb2.HealthCheckRequest(), timeout=5).status == SERVING
    with pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary("/tipstaff.v1.ScoringService/Score")(b"", timeout=5)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED

    ports = (server.address, server.metrics_url.split("/")[2])
    before = [serial(port, folder) for port in ports]
    expiry = sample(scrape(server, folder), "tipstaff_certificate_expiry_timestamp_seconds")
    certificates(folder, days=60)
    server.wait_for_log("new TLS files are in force")
    assert all(serial(port, folder) != old for port, old in zip(ports, before, strict=True))
    renewed = sample(scrape(server, folder), "tipstaff_certificate_expiry_timestamp_seconds")
    assert renewed - expiry == pytest.approx(30 * 86400, abs=600)

    # All files from another authority: a client that was there before follows, too.
    with Client(server.address, tls=tls(folder), timeout=5) as client:
        assert client.score(**TEXTS).score is not None
        (endpoint,) = client._pool._endpoints
        for path in other.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        wait_until(lambda: server.log.count("new TLS files are in force") == 2)
        time.sleep(1.1)
        assert client.score(**TEXTS).score is not None
        assert endpoint.retired

    # A bad pair: the one from before stays, and a metric says so.
    stale = 'tipstaff_access_files_stale{files="tls"}'
    kept = (folder / "localhost.key").read_bytes()
    (folder / "localhost.key").write_bytes((folder / "shop.key").read_bytes())
    server.wait_for_log("is not the key of")
    assert "the TLS files from before stay in force" in server.log
    wait_until(lambda: sample(scrape(server, folder), stale) == 1)
    with Client(server.address, tls=tls(folder), timeout=5) as client:
        assert client.score(**TEXTS).score is not None
    (folder / "localhost.key").write_bytes(kept)
    wait_until(lambda: sample(scrape(server, folder), stale) == 0)


def tls_pair(folder: Path) -> tuple[Path, Path]:
    return folder / "shop.pem", folder / "shop.key"


def test_tokens_evaluators_calls_and_revocation(start, bundle, tmp_path):
    callers = tmp_path / "callers.toml"
    shop = f'[callers.shop]\ntokens = ["{hash_token(SHOP)}"]\nevaluators = ["tiny"]\n'
    desk = f'[callers.desk]\ntokens = ["{hash_token(DESK)}"]\ncalls = ["ListEvaluators"]\n'
    second = make_bundle(tmp_path / "second", name="second")
    server = start(
        *(bundle, second, "--callers", write_callers(callers, shop + desk)),
        *("--poll-seconds", 0.1),
    )
    token_file = tmp_path / "token"
    token_file.write_text(f"{SHOP}\n")
    with Client(server.address, token=token_file, evaluator="tiny", timeout=5) as client:
        assert client.score(**TEXTS).score is not None
        assert [each.name for each in client.evaluators()] == ["tiny"]
        with pytest.raises(AccessError, match="shop may not ask evaluator 'second'"):
            client.score(**TEXTS, evaluator="second")
        one, other = client.score_batch([Interaction(**TEXTS)] * 2, evaluator="second")
        assert isinstance(one, AccessError)
        assert isinstance(other, AccessError)

        # Rotation: the new token is added, the client's file changes, the old one goes.
        both = shop.replace('"]\nev', f'", "{hash_token(LATER)}"]\nev')
        write_callers(callers, both + desk)
        server.wait_for_log("new callers are in force")
        assert client.score(**TEXTS).score is not None
        token_file.write_text(LATER)
        write_callers(callers, both.replace(f'"{hash_token(SHOP)}", ', "") + desk)
        wait_until(lambda: server.log.count("new callers are in force") == 2)
        wait_until(lambda: _scores(client))
    for token, words in ((SHOP, "revoked"), (None, "wants a token"), ("x", "wrong")):
        with (
            Client(server.address, token=token, timeout=5) as client,
            pytest.raises(AccessError, match=words),
        ):
            client.score(**TEXTS)
    with Client(server.address, token=DESK, timeout=5) as client:
        assert len(client.evaluators()) == 2
        with pytest.raises(AccessError, match="desk may not call Score"):
            client.score(**TEXTS)

    # Health is open; reflection wants a token.
    assert server.health() == SERVING
    with pytest.raises(grpc.RpcError) as raised:
        ProtoReflectionDescriptorDatabase(server.channel()).get_services()
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert server.metric("tipstaff_refusals_total", reason="unauthenticated") >= 4
    assert server.metric("tipstaff_caller_requests_total", caller="shop", code="OK") >= 3

    # A file that names an evaluator that is not there: what was stays in force.
    write_callers(callers, '[callers.shop]\nevaluators = ["third"]')
    server.wait_for_log("there is no such evaluator")
    assert server.metric("tipstaff_access_files_stale", files="callers") == 1
    with Client(server.address, token=LATER, evaluator="tiny", timeout=5) as client:
        assert client.score(**TEXTS).score is not None
    assert SHOP not in server.log
    assert SHOP not in server.scrape()


def _scores(client: Client) -> bool:
    try:
        return client.score(**TEXTS).score is not None
    except AccessError:
        return False


def test_callers_name_themselves_and_have_limits(start, bundle, tmp_path):
    callers = write_callers(tmp_path / "callers.toml", "[callers.slow]\nrequests_per_second = 2\n")
    server = start(
        *(bundle, "--callers", callers, "--caller-key", "x-app", "--metrics-callers", 2),
        "--open-reflection",
    )
    services = ProtoReflectionDescriptorDatabase(server.channel()).get_services()
    assert "tipstaff.v1.ScoringService" in services
    with Client(server.address, metadata={"X-App": "slow"}, timeout=5) as client:
        results = client.score_batch([Interaction(**TEXTS)] * 5)
    refused = [each for each in results if isinstance(each, OverloadedError)]
    assert len(refused) == 3
    assert "2 interactions a second" in str(refused[0])
    assert refused[0].retry_after > 0
    with Client(server.address, metadata=lambda: {"x-app": "quick"}, timeout=5) as client:
        assert all(
            not isinstance(each, Exception)
            for each in client.score_batch([Interaction(**TEXTS)] * 5)
        )
    with Client(server.address, metadata={"x-app": "third"}, timeout=5) as client:
        client.score(**TEXTS)
    count = "tipstaff_caller_requests_total"
    assert server.metric(count, caller="slow", code="RESOURCE_EXHAUSTED") == 3
    assert server.metric(count, caller="quick", code="OK") == 5
    assert server.metric(count, caller="other", code="OK") == 1
    assert server.metric("tipstaff_refusals_total", reason="caller_rate") == 3


def test_callers_that_became_good_by_themselves_are_followed(start, bundle, tmp_path):
    """A caller that is limited to an evaluator which is published later."""
    repo, path = tmp_path / "repo", tmp_path / "callers.toml"
    repository.publish(bundle, repo, promote=True)
    write_callers(path, f'[callers.shop]\ntokens = ["{hash_token(SHOP)}"]\n')
    server = start("--repository", repo, "--callers", path, "--poll-seconds", 0.05)
    later = f'[callers.desk]\ntokens = ["{hash_token(DESK)}"]\nevaluators = ["other"]\n'
    write_callers(path, path.read_text() + later)
    server.wait_for_log("and there is no such evaluator")
    repository.publish(make_bundle(tmp_path / "other", name="other"), repo, promote=True)
    server.wait_for_log("new callers are in force")
    assert server.log.count("there is no such evaluator") == 1
    assert server.metric("tipstaff_access_files_stale", files="callers") == 0


def test_callers_nested_too_deeply_end_no_server(start, bundle, tmp_path):
    """Once, the error that Python raises for these was nobody's, and ended the server."""
    path = write_callers(tmp_path / "callers.toml", "[callers.shop]\nweight = 2\n")
    server = start(bundle, "--callers", path, "--poll-seconds", 0.05)
    write_callers(path, f"a = {'[' * 10_000}")
    server.wait_for_log("callers.toml: nested too deeply; the callers from before stay in force")
    assert server.metric("tipstaff_access_files_stale", files="callers") == 1
    with Client(server.address, timeout=5) as client:
        assert client.score(**TEXTS).score is not None
    done = subprocess.run(
        command("serve", bundle, "--listen", "127.0.0.1:0", "--callers", path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "nested too deeply" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory) -> Path:
    folder = certificates(tmp_path_factory.mktemp("bad"))
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "localhost")])
    expired = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now - timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "old.pem").write_bytes(expired.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_callers(folder / "old.key", secret.decode())
    (folder / "open.toml").write_text("[callers.shop]")
    write_callers(folder / "empty.toml", "")
    write_callers(folder / "tokens.toml", f'[callers.shop]\ntokens = ["{hash_token(SHOP)}"]')
    return folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tls-certificate", "localhost.pem"], "--tls-certificate: needs the other file"),
        (["--tls-client-ca", "ca.pem"], "--tls-client-ca: clients' certificates are asked for"),
        (
            ["--tls-certificate", "localhost.pem", "--tls-key", "shop.key"],
            "--tls-key: shop.key: is not the key of localhost.pem",
        ),
        (
            ["--tls-certificate", "old.pem", "--tls-key", "old.key"],
            "--tls-certificate: old.pem: certificate has expired",
        ),
        (
            ["--tls-certificate", "shop.pem", "--tls-key", "shop.key"],
            "--tls-certificate: shop.pem: unsuitable certificate purpose",
        ),
        (
            ["--tls-certificate", "none.pem", "--tls-key", "shop.key"],
            "--tls-certificate: none.pem: can't be read: No such file",
        ),
        (
            ["--tls-certificate", "ca.key", "--tls-key", "shop.key"],
            "--tls-certificate: ca.key: has no certificate in PEM",
        ),
        (
            ["--callers", "open.toml"],
            "--callers: open.toml: every user of this machine may read it",
        ),
        (["--callers", "empty.toml"], "--callers: empty.toml: is empty"),
        (
            ["--callers", "tokens.toml", "--caller-key", "x-app"],
            "--caller-key: callers with tokens are known by them",
        ),
        (["--caller-key", "X App"], "--caller-key X App: "),
    ],
)
def test_what_cannot_work_names_setting_and_file(words, message, bad_files, monkeypatch):
    monkeypatch.chdir(bad_files)
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    with pytest.raises(UsageError) as raised:
        AccessFiles(load_settings(given(Settings, parser.parse_args(["bundle", *words]))))
    assert raised.value.describe(flag).startswith(message)
    assert "\n" not in str(raised.value)


def test_it_is_said_in_one_line_at_start(bundle, bad_files):
    words = ("--callers", bad_files / "open.toml")
    done = subprocess.run(
        command("serve", bundle, "--listen", "127.0.0.1:0", *words),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("tipstaff: error: --callers: ")


def test_a_limit_to_an_unknown_evaluator_ends_the_start(bundle, tmp_path):
    callers = write_callers(tmp_path / "c.toml", '[callers.shop]\nevaluators = ["third"]')
    done = subprocess.run(
        command(
            *("serve", bundle, "--listen", "127.0.0.1:0", "--metrics-listen", "off"),
            *("--callers", callers),
        ),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "there is no such evaluator; there are tiny" in done.stderr
    assert "Traceback" not in done.stderr
