"""The deployment files name only settings and flags that exist."""

from __future__ import annotations

import re

import pytest
import yaml

from tipstaff_server.settings import ENVIRONMENT_PREFIX, Settings

MANIFESTS = ("deploy/kubernetes/server.yaml", "deploy/kubernetes/sidecar.yaml")
FILES = ("deploy/Dockerfile", *MANIFESTS)


def containers(document):
    spec = document.get("spec", {})
    pod = spec.get("template", {}).get("spec", spec)
    return [*pod.get("initContainers", []), *pod.get("containers", [])]


@pytest.mark.parametrize("file", FILES)
def test_environment_variables_are_settings(file, pytestconfig):
    text = (pytestconfig.rootpath / file).read_text()
    names = set(re.findall(rf"\b{ENVIRONMENT_PREFIX}([A-Z_]+)\b", text)) - {"TARGET"}
    assert {name.lower() for name in names} <= set(Settings.model_fields)


@pytest.mark.parametrize("file", MANIFESTS)
def test_arguments_are_flags(file, pytestconfig):
    documents = list(yaml.safe_load_all((pytestconfig.rootpath / file).read_text()))
    arguments = [
        argument
        for document in documents
        for container in containers(document)
        for argument in container.get("args", [])
    ]
    assert "serve" in arguments
    flags = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
    assert {flag[2:].replace("-", "_") for flag in flags} <= set(Settings.model_fields)


def test_pods_outlive_the_drain(pytestconfig):
    for file in MANIFESTS:
        for document in yaml.safe_load_all((pytestconfig.rootpath / file).read_text()):
            spec = document.get("spec", {})
            pod = spec.get("template", {}).get("spec", spec)
            if "containers" in pod:
                drain = Settings.model_fields["drain_seconds"].default
                assert pod["terminationGracePeriodSeconds"] > drain


@pytest.mark.parametrize("file", MANIFESTS)
def test_a_server_without_evaluators_is_not_ready_but_is_not_restarted(file, pytestconfig):
    (server,) = (
        container
        for document in yaml.safe_load_all((pytestconfig.rootpath / file).read_text())
        for container in containers(document)
        if container["name"] == "tipstaff"
    )
    assert "grpc" in server["readinessProbe"]
    for probe in ("startupProbe", "livenessProbe"):
        assert "grpc" not in server.get(probe, {})
