"""The gateway's deployment files name flags and paths that exist, and are what Kubernetes takes."""

from __future__ import annotations

import argparse
import json
import re

import kubernetes_validate
import pytest
import yaml

from tipstaff_gateway.cli import add_arguments as gateway_arguments

VERSION = "1.33"
PROBES = {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"}


@pytest.fixture(scope="module")
def parser():
    parser = argparse.ArgumentParser()
    gateway_arguments(parser)
    return parser


@pytest.fixture
def documents(pytestconfig):
    def read(file):
        path = pytestconfig.rootpath / "deploy" / "kubernetes" / file
        return list(yaml.safe_load_all(path.read_text()))

    return read


def of_kind(documents, kind):
    return [each for each in documents if each["kind"] == kind]


def check_container(parser, container):
    """Checks flags and probes; gives the arguments."""
    args = parser.parse_args(container["args"])
    assert bool(args.target) != bool(args.bundles)
    paths = {probe["httpGet"]["path"] for name, probe in container.items() if "Probe" in name}
    assert paths <= PROBES
    return args


def test_the_gateway_s_manifest_is_valid_and_its_flags_exist(parser, documents):
    found = documents("gateway.yaml")
    for each in found:
        kubernetes_validate.validate(each, VERSION, strict=True)
    (deployment,) = of_kind(found, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    check_container(parser, container)
    (service,) = of_kind(found, "Service")
    # LiteLLM's two requests of one call must reach the same gateway.
    assert service["spec"]["sessionAffinity"] == "ClientIP"


def test_the_flags_that_are_only_suggested_exist_too(parser, pytestconfig):
    text = (pytestconfig.rootpath / "deploy" / "kubernetes" / "gateway.yaml").read_text()
    suggested = re.findall(r"# - (--\S+)", text)
    assert suggested
    parser.parse_args(suggested)


def test_kserve_s_runtimes_serve_each_protocol_on_a_port_of_its_own(parser, documents):
    found = documents("kserve.yaml")
    runtimes = of_kind(found, "ClusterServingRuntime")
    ports = {}
    for runtime in runtimes:
        spec = runtime["spec"]
        (container,) = spec["containers"]
        assert container["name"] == "kserve-container"
        assert str(check_container(parser, container).bundles) == "/mnt/models"
        # KServe's own kinds have no schema here; their containers are those of a pod.
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {}}
        kubernetes_validate.validate(
            pod | {"spec": {"containers": [{"name": "a"} | container]}}, VERSION, strict=True
        )
        (protocol,) = spec["protocolVersions"]
        (port,) = container["ports"]
        ports[protocol] = (port["name"], port["containerPort"])
    assert ports == {"v2": ("http1", 8080), "grpc-v2": ("h2c", 9000)}
    (service,) = of_kind(found, "InferenceService")
    model = service["spec"]["predictor"]["model"]
    assert model["modelFormat"]["name"] == "tipstaff"
    assert model["protocolVersion"] in ports


def test_the_gateway_s_image_listens_where_its_manifests_say(parser, pytestconfig):
    text = (pytestconfig.rootpath / "deploy/gateway/Dockerfile").read_text()
    words = json.loads(re.search(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)[1])
    args = parser.parse_args(words[2:])
    assert (args.listen, args.grpc_listen) == ("0.0.0.0:8080", "0.0.0.0:9000")
