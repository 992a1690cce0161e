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


def setting(container, name):
    """A setting of a container: its argument, its environment, or the default."""
    flag = f"--{name.replace('_', '-')}="
    for argument in container.get("args", []):
        if argument.startswith(flag):
            return float(argument.removeprefix(flag))
    for variable in container.get("env", []):
        if variable["name"] == ENVIRONMENT_PREFIX + name.upper():
            return float(variable["value"])
    return Settings.model_fields[name].default


def pre_stop(container):
    """Seconds that a container's preStop hook sleeps."""
    hook = container.get("lifecycle", {}).get("preStop", {})
    assert set(hook) <= {"sleep"}
    return hook.get("sleep", {}).get("seconds", 0)


@pytest.mark.parametrize("file", MANIFESTS)
def test_pods_outlive_the_whole_of_stopping(file, pytestconfig):
    documents = yaml.safe_load_all((pytestconfig.rootpath / file).read_text())
    specs = [document.get("spec", {}) for document in documents]
    (pod,) = (
        pod
        for pod in (spec.get("template", {}).get("spec", spec) for spec in specs)
        if "containers" in pod
    )
    (server,) = (
        each
        for each in [*pod.get("initContainers", []), *pod["containers"]]
        if each["name"] == "tipstaff"
    )
    stopping = (
        pre_stop(server) + setting(server, "lame_duck_seconds") + setting(server, "drain_seconds")
    )
    # Some seconds for the process to end, and for the clocks of two programs.
    assert stopping + 3 <= pod["terminationGracePeriodSeconds"]


def test_servers_leave_long_enough_for_probes_to_notice(pytestconfig):
    (deployment, _) = yaml.safe_load_all(
        (pytestconfig.rootpath / "deploy/kubernetes/server.yaml").read_text()
    )
    (server,) = containers(deployment)
    probe = server["readinessProbe"]
    unready = probe["periodSeconds"] * probe["failureThreshold"]
    assert setting(server, "lame_duck_seconds") > unready


def test_the_image_keeps_libraries_from_sending_data(pytestconfig):
    text = (pytestconfig.rootpath / "deploy/Dockerfile").read_text()
    assert re.search(r"^ENV (.*\\\n)*.*\bORT_DISABLE_TELEMETRY=1\b", text, re.MULTILINE)


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
