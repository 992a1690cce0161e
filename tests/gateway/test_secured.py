"""Closed doors on both sides of a real gateway: TLS, tokens, and files that are renewed."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import httpx
import pytest
from opening_hours import BAD, FACTS, GOOD, NAME, QUESTION
from running_server import Starter, command, wait_until
from tiny_bundle import make_bundle

from tipstaff_gateway.stubs import open_inference_pb2 as pb
from tipstaff_gateway.stubs import open_inference_pb2_grpc
from tipstaff_server.access.authority import CertificatesRequest, make_certificates
from tipstaff_server.access.tokens import hash_token, new_token
from tipstaff_server.evaluator.manifest import Policy

SERVER = "tipstaff.internal"
SHOP, DESK = new_token(), new_token()
POLICY = Policy(pass_at=0.55, block_below=0.55)
REQUEST = {"input": QUESTION, "output": GOOD, "ground_truth": FACTS}


def make(folder: Path) -> Path:
    """Certificates of one authority for the server, the gateway and a caller."""
    make_certificates(CertificatesRequest(out=folder, server=(SERVER,)))
    hosts = ("localhost", "127.0.0.1")
    make_certificates(CertificatesRequest(out=folder, server=hosts, client=("gateway", "shop")))
    return folder


def replace(file: Path, content: bytes, mode: int = 0o600) -> None:
    staging = file.with_suffix(".new")
    staging.touch(mode=mode)
    staging.write_bytes(content)
    staging.replace(file)


def as_caller(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "shop.pem", folder / "shop.key")
    return context


def serial(address: str, folder: Path) -> str:
    """The number of a port's certificate; empty if it doesn't fit the folder's files."""
    host, port = address.rsplit(":", 1)
    try:
        with (
            socket.create_connection((host, int(port)), timeout=5) as connection,
            as_caller(folder).wrap_socket(connection, server_hostname="localhost") as secured,
        ):
            return str(secured.getpeercert()["serialNumber"])
    except ssl.SSLError:
        return ""


def sample(text: str, name: str) -> float:
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secured(folder, tmp_path_factory):
    """A server that wants certificates and tokens."""
    place = tmp_path_factory.mktemp("secured")
    callers = place / "callers.toml"
    replace(
        callers,
        f"""
        [callers.shop]
        tokens = ["{hash_token(SHOP)}"]
        evaluators = ["{NAME}"]
        [callers.desk]
        tokens = ["{hash_token(DESK)}"]
        calls = ["ListEvaluators"]
        """.encode(),
    )
    starter = Starter(place)
    server = starter(
        *(
            make_bundle(place / NAME, name=NAME, seed=28, policy=POLICY),
            "--callers",
            callers,
            "--default-deadline-seconds",
            5,
        ),
        *("--tls-certificate", folder / f"{SERVER}.pem", "--tls-key", folder / f"{SERVER}.key"),
        *("--tls-client-ca", folder / "ca.pem", "--poll-seconds", 0.1),
        wait_for="",
    )
    try:
        server.wait_for_log("ready after", 180)
        yield server
    finally:
        starter.stop()


def target_words(secured, folder):
    return [
        *("--target", secured.address, "--target-server-name", SERVER, "--timeout", 5),
        *("--target-ca", folder / "ca.pem", "--target-certificate", folder / "gateway.pem"),
        *("--target-key", folder / "gateway.key", "--evaluator", NAME, "--poll-seconds", 0.1),
    ]


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def test_the_caller_s_own_token_decides_and_all_certificates_are_renewed(
    secured, folder, start_gateway, tmp_path
):
    gateway = start_gateway(
        *target_words(secured, folder),
        *("--tls-certificate", folder / "localhost.pem", "--tls-key", folder / "localhost.key"),
        *("--tls-client-ca", folder / "ca.pem", "--grpc-listen", "127.0.0.1:0"),
        verify=as_caller(folder),
    )
    statuses = {
        who: [
            gateway.post("/v1/score", REQUEST, headers=headers).status_code,
            gateway.get("/v1/evaluators", headers=headers).status_code,
            gateway.post(
                "/v1/score", {**REQUEST, "evaluator": "words"}, headers=headers
            ).status_code,
        ]
        for who, headers in (
            ("shop", bearer(SHOP)),
            ("desk", bearer(DESK)),
            ("stranger", bearer(new_token())),
            ("nobody", {}),
        )
    }
    assert statuses == {
        "shop": [200, 200, 403],
        "desk": [403, 200, 403],
        "stranger": [401, 401, 401],
        "nobody": [401, 401, 401],
    }
    # Health needs no token.
    assert gateway.get("/readyz").status_code == 200

    # LiteLLM's key is the token.
    path = "/beta/litellm_basic_guardrail_api"
    prompt = {"input_type": "request", "litellm_call_id": "1"}
    messages = [{"role": "user", "content": QUESTION}, {"role": "tool", "content": FACTS}]
    gateway.post(path, prompt | {"structured_messages": messages})
    answer = {"input_type": "response", "litellm_call_id": "1", "texts": [BAD]}
    blocked = gateway.post(path, answer, headers={"x-api-key": SHOP})
    assert blocked.json()["action"] == "BLOCKED"
    assert gateway.post(path, answer, headers={"x-api-key": DESK}).status_code == 403

    # Over gRPC as well, where callers need a certificate, too.
    files = [(folder / name).read_bytes() for name in ("ca.pem", "shop.key", "shop.pem")]
    for credentials, codes in (
        (grpc.ssl_channel_credentials(*files), (None, "PERMISSION_DENIED", "UNAUTHENTICATED")),
        (grpc.ssl_channel_credentials(files[0]), ("UNAVAILABLE",) * 3),
    ):
        with grpc.secure_channel(gateway.grpc_address, credentials) as channel:
            stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
            assert [infer(stub, token) for token in (SHOP, DESK, "")] == list(codes)
    with pytest.raises(httpx.TransportError):
        httpx.get(
            f"{gateway.url}/healthz", verify=ssl.create_default_context(cafile=folder / "ca.pem")
        )

    # A bad pair leaves the one from before in force, and a metric says so.
    stale = 'tipstaff_gateway_files_stale{files="tls"}'
    kept = (folder / "localhost.key").read_bytes()
    replace(folder / "localhost.key", (folder / "shop.key").read_bytes())
    wait_until(lambda: sample(gateway.get("/metrics").text, stale) == 1)
    assert "is not the key of" in gateway.log
    replace(folder / "localhost.key", kept)
    wait_until(lambda: sample(gateway.get("/metrics").text, stale) == 0)
    # So with the files for the server, which the client looks at with its calls.
    stale = 'tipstaff_gateway_files_stale{files="target_tls"}'

    def ask():
        assert gateway.get("/readyz").status_code == 200
        return sample(gateway.get("/metrics").text, stale)

    kept = (folder / "gateway.key").read_bytes()
    replace(folder / "gateway.key", (folder / "shop.key").read_bytes())
    wait_until(lambda: ask() == 1)
    assert "the TLS files for the server from before stay in force" in gateway.log
    replace(folder / "gateway.key", kept)
    wait_until(lambda: ask() == 0)

    expiry = "tipstaff_gateway_certificate_expiry_timestamp_seconds"
    assert sample(gateway.get("/metrics").text, expiry) > 1e9

    # Another authority for everybody, while calls go on.
    ports = (urlsplit(gateway.url).netloc, gateway.grpc_address)
    before = [serial(port, folder) for port in ports]
    for file in make(tmp_path / "others").iterdir():
        shutil.copy(file, folder / f"{file.name}.next")
        (folder / f"{file.name}.next").replace(folder / file.name)
    # File by file, so that they fit only in the end.
    for port, old in zip(ports, before, strict=True):
        wait_until(lambda port=port, old=old: serial(port, folder) not in ("", old))
    secured.wait_for_log("new TLS files are in force")
    with httpx.Client(base_url=gateway.url, verify=as_caller(folder)) as renewed:

        def score() -> int:
            return renewed.post("/v1/score", json=REQUEST, headers=bearer(SHOP)).status_code

        in_force = "new TLS files for the server are in force"
        wait_until(lambda: score() and in_force in gateway.log)
        wait_until(lambda: score() == 200)
    assert "Traceback" not in gateway.log


def infer(stub, token):
    request = pb.ModelInferRequest(model_name=NAME)
    for name, text in REQUEST.items():
        request.inputs.add(name=name, datatype="BYTES", shape=[1]).contents.bytes_contents.append(
            text.encode()
        )
    metadata = [("authorization", f"Bearer {token}")] if token else []
    try:
        stub.ModelInfer(request, timeout=10, metadata=metadata)
    except grpc.RpcError as error:
        return error.code().name
    return None


def test_the_gateway_s_own_token_is_for_callers_that_have_none(
    secured, folder, start_gateway, tmp_path
):
    token = tmp_path / "token"
    replace(token, DESK.encode())
    gateway = start_gateway(*target_words(secured, folder), "--target-token", token)

    def ask(**headers):
        return gateway.post("/v1/score", REQUEST, headers=headers).status_code

    assert gateway.get("/v1/evaluators").status_code == 200
    assert ask() == 403
    assert ask(**bearer(SHOP)) == 200
    assert ask(**bearer(new_token())) == 401
    replace(token, SHOP.encode())
    wait_until(lambda: ask() == 200)
    assert ask(**bearer(DESK)) == 403


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (
            ["--target-key", "key.pem"],
            "--target-certificate: a certificate and its key go together",
        ),
        (["--tls-client-ca", "ca.pem"], "--tls-certificate: callers need a certificate only"),
        (["--target-server-name", "a"], "--target-server-name: is of use only with TLS"),
        (["--target-ca", "nowhere"], "--target-ca: nowhere: can't be read: No such file"),
        (["--target-ca", __file__], "has no certificate in PEM"),
        (["--target-token", "/dev/null"], "--target-token: /dev/null: is empty"),
        (
            ["--target-certificate", "/etc/passwd", "--target-key", "/etc/passwd"],
            "--target-key: /etc/passwd: every user",
        ),
    ],
)
def test_what_can_t_work_is_one_line_at_start(words, why):
    words = ["--target", "127.0.0.1:9", "--listen", "127.0.0.1:0", *words]
    done = subprocess.run(command("gateway", *words), capture_output=True, text=True)
    assert done.returncode == 2
    assert why in done.stderr
    assert done.stderr.count("\n") == 1
