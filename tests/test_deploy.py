"""The deployment kit, rendered and checked offline: overlays, chart, probes, settings."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from scripts_by_path import load_script
from tools import require, unavailable

from tipstaff_server.settings import ENVIRONMENT_PREFIX, Settings

DEPLOY = Path(__file__).parent.parent / "deploy"
OVERLAYS = sorted(path.name for path in (DEPLOY / "kubernetes" / "overlays").iterdir())
# Overlays, and the values of the chart that render the same.
CHART = {
    "server": (),
    "mutual-tls": ("mutualTls.enabled=true",),
    "gpu": ("gpu.enabled=true",),
    "keda": ("keda.enabled=true",),
    "monitoring": ("monitoring.enabled=true",),
    "production": ("mutualTls.enabled=true", "keda.enabled=true", "monitoring.enabled=true"),
}
# Kinds of operators, whose schemas are theirs: what is checked of them is in the tests.
FOREIGN = {"ScaledObject", "PodMonitor", "PrometheusRule"}
VERSION = "1.33"
DOCKERFILES = sorted(str(path.relative_to(DEPLOY)) for path in DEPLOY.rglob("*Dockerfile"))


@cache
def _rendered(*words: str | Path) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def documents(text: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(text) if each]


def overlay(name: str) -> list[dict[str, Any]]:
    folder = DEPLOY / "kubernetes" / "overlays" / name
    return documents(_rendered(require("kubectl"), "kustomize", folder))


def chart(*values: str) -> list[dict[str, Any]]:
    flags = [word for value in values for word in ("--set", value)]
    chart_folder = DEPLOY / "helm" / "tipstaff"
    return documents(_rendered(require("helm"), "template", "tipstaff", chart_folder, *flags))


def pod_of(name: str) -> dict[str, Any]:
    (pod,) = (
        each["spec"].get("template", each)["spec"]
        for each in overlay(name)
        if each["kind"] in ("Deployment", "Pod")
    )
    return pod


def server_of(name: str) -> dict[str, Any]:
    pod = pod_of(name)
    (server,) = (
        each
        for each in [*pod.get("initContainers", []), *pod["containers"]]
        if each["name"] == "tipstaff"
    )
    return server


def setting(container: dict[str, Any], name: str) -> Any:
    """A setting of a container: its argument, its environment, or the default."""
    flag = f"--{name.replace('_', '-')}="
    for argument in container.get("args", []):
        if argument.startswith(flag):
            return argument.removeprefix(flag)
    for variable in container.get("env", []):
        if variable["name"] == ENVIRONMENT_PREFIX + name.upper():
            return variable["value"]
    return Settings.model_fields[name].default


@pytest.mark.parametrize("name", OVERLAYS)
def test_everything_rendered_fits_kubernetes_own_schemas(name):
    for document in overlay(name):
        if document["kind"] not in FOREIGN:
            kubernetes_validate.validate(document, VERSION, strict=True)


@pytest.mark.parametrize("name", CHART)
def test_the_chart_renders_what_the_overlay_does(name):
    def by_name(rendered: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
        for document in rendered:
            if document["kind"] == "Deployment":
                pod = document["spec"]["template"]["spec"]
                for owner, lists in ((pod, ["volumes"]), (pod["containers"][0], ["env"])):
                    for key in lists:
                        owner[key] = sorted(owner[key], key=lambda each: each["name"])
                mounts = pod["containers"][0]["volumeMounts"]
                mounts.sort(key=lambda each: each["name"])
        return {(each["kind"], each["metadata"]["name"]): each for each in rendered}

    assert by_name(chart(*CHART[name])) == by_name(overlay(name))


def test_every_overlay_but_the_sidecar_has_its_values():
    assert set(CHART) == set(OVERLAYS) - {"sidecar"}


def test_helm_has_nothing_to_say_against_the_chart():
    _rendered(require("helm"), "lint", "--strict", DEPLOY / "helm" / "tipstaff")


def test_the_rules_and_the_dashboard_in_the_kit_are_those_of_monitoring():
    module = load_script(DEPLOY / "kubernetes" / "render_monitoring.py")
    for name, content in module.render().items():
        for target in module.TARGETS:
            assert (target / name).read_text(encoding="utf-8") == content


@pytest.mark.parametrize(
    "file",
    [
        "Dockerfile",
        "cuda.Dockerfile",
        "trainer.Dockerfile",
        "kubernetes/base/deployment.yaml",
        "kubernetes/components/mutual-tls/deployment.yaml",
        "kubernetes/components/gpu/deployment.yaml",
        "kubernetes/overlays/sidecar/pod.yaml",
        "helm/tipstaff/templates/deployment.yaml",
    ],
)
def test_environment_variables_are_settings(file):
    text = (DEPLOY / file).read_text()
    names = set(re.findall(rf"\b{ENVIRONMENT_PREFIX}([A-Z_]+)\b", text)) - {"TARGET"}
    assert {name.lower() for name in names} <= set(Settings.model_fields)


@pytest.mark.parametrize("name", OVERLAYS)
def test_arguments_are_flags(name):
    arguments = server_of(name)["args"]
    assert arguments[0] == "serve"
    flags = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
    assert {flag[2:].replace("-", "_") for flag in flags} <= set(Settings.model_fields)


@pytest.mark.parametrize("name", OVERLAYS)
def test_pods_outlive_the_whole_of_stopping(name):
    server = server_of(name)
    stopping = float(setting(server, "lame_duck_seconds")) + float(setting(server, "drain_seconds"))
    assert "lifecycle" not in server
    # Some seconds for the process to end, and for the clocks of two programs.
    assert stopping + 3 <= pod_of(name)["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("name", sorted(CHART))
def test_servers_leave_long_enough_for_probes_to_notice(name):
    server = server_of(name)
    probe = server["readinessProbe"]
    unready = probe["periodSeconds"] * probe["failureThreshold"]
    assert float(setting(server, "lame_duck_seconds")) > unready


@pytest.mark.parametrize("name", OVERLAYS)
def test_probes_reach_a_port_without_tls_and_restart_no_empty_server(name):
    server = server_of(name)
    health = int(setting(server, "health_listen").rpartition(":")[2])
    assert server["readinessProbe"]["grpc"] == {"port": health}
    for probe in ("startupProbe", "livenessProbe"):
        assert "grpc" not in server.get(probe, {})


@pytest.mark.parametrize("name", OVERLAYS)
def test_pods_may_do_no_more_than_they_need(name):
    server = server_of(name)
    context = pod_of(name)["securityContext"] | server["securityContext"]
    assert context["runAsNonRoot"]
    assert context["readOnlyRootFilesystem"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert {"limits", "requests"} <= set(server["resources"])
    # The rest is a memory disk or a secret, which takes no writing.
    for mount in server["volumeMounts"]:
        assert mount.get("readOnly") or mount["mountPath"] == "/run/tipstaff"


def test_secrets_are_not_for_everybody_as_the_server_demands():
    for volume in pod_of("mutual-tls")["volumes"]:
        if "secret" in volume:
            assert volume["secret"]["defaultMode"] == 0o440


def test_the_policy_and_the_budget_choose_the_server_and_its_callers():
    rendered = {each["kind"]: each for each in overlay("server")}
    server = {"app.kubernetes.io/name": "tipstaff"}
    assert rendered["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == server
    policy = rendered["NetworkPolicy"]["spec"]
    assert policy["podSelector"]["matchLabels"] == server
    assert policy["egress"] == []
    (callers,) = policy["ingress"][0]["from"]
    assert callers == {"podSelector": {"matchLabels": {"tipstaff-caller": "true"}}}


def test_the_autoscaler_alone_owns_the_number_of_replicas():
    rendered = {each["kind"]: each for each in overlay("keda")}
    assert "replicas" not in rendered["Deployment"]["spec"]
    (trigger,) = rendered["ScaledObject"]["spec"]["triggers"]
    assert "tipstaff_queue_duration_seconds_bucket" in trigger["metadata"]["query"]
    assert (
        f"/ {Settings.model_fields['default_deadline_seconds'].default}"
        in (trigger["metadata"]["query"])
    )


def test_the_sidecar_is_one_in_kubernetes_own_sense_and_calls_stay_in_the_pod():
    server = server_of("sidecar")
    assert server["restartPolicy"] == "Always"
    assert setting(server, "listen") == "unix:/run/tipstaff/tipstaff.sock"


@pytest.mark.parametrize("file", DOCKERFILES)
def test_hadolint_has_nothing_to_say(file):
    program = Path(sys.executable).with_name("hadolint")
    if not program.exists():
        unavailable("hadolint is not installed")
    done = subprocess.run([program, DEPLOY / file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", DOCKERFILES)
def test_images_copy_what_there_is(file):
    """From the build's folder, less what `.dockerignore` leaves out."""
    ignored = (DEPLOY.parent / ".dockerignore").read_text().split()
    for line in (DEPLOY / file).read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (DEPLOY.parent / source).exists(), source
                assert source not in ignored


def test_every_image_is_built_by_make_image_or_says_that_it_was_never_built(monkeypatch):
    monkeypatch.syspath_prepend(DEPLOY)
    checks = importlib.import_module("check_image").CHECKS
    built = {image.dockerfile for image, _ in checks.values()}
    unbuilt = set(DOCKERFILES) - built
    assert built <= set(DOCKERFILES)
    assert all("was never built" in (DEPLOY / file).read_text() for file in unbuilt), unbuilt


@pytest.mark.parametrize("file", DOCKERFILES)
def test_images_run_as_nobody_in_particular(file):
    final = (DEPLOY / file).read_text().rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001(:10001)?$", final, re.MULTILINE)


def test_locks_pin_all_of_a_package_by_hash():
    for lock in sorted((DEPLOY / "locks").glob("*.txt")):
        packages = re.split(r"\n(?=[a-zA-Z])", lock.read_text().partition("\n#")[2])[1:]
        assert packages, lock
        assert all("==" in each and "--hash=sha256:" in each for each in packages), lock


def test_locks_are_of_the_versions_that_tests_run():
    pinned = dict(
        line.lower().replace("_", "-").split("==")
        for line in (DEPLOY.parent / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    for name in ("client", "server", "server-gpu", "gateway", "kserve", "trainer"):
        lock = (DEPLOY / "locks" / f"{name}.txt").read_text()
        for package, version in re.findall(r"^([a-z0-9._-]+)==([^ ;]+)", lock, re.MULTILINE):
            assert pinned.get(package, version) == version, (name, package)


CLEAN = {"name": "grpcio", "version": "1.0", "vulns": []}
VULNERABLE = {**CLEAN, "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}
SKIPPED = {"name": "numpy", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([CLEAN], 0, "1 packages looked up, 0 vulnerabilities"),
        ([VULNERABLE, SKIPPED], 1, "grpcio 1.0: PYSEC-1, fixed in 1.1"),
        ([CLEAN, SKIPPED], 3, "1 not looked up, first numpy: not found"),
        (None, 4, "build.txt: no answer, exit code 1"),
    ],
)
def test_an_audit_that_learns_nothing_is_no_clean_bill(tmp_path, packages, code, said):
    """pip-audit says that there are no known vulnerabilities where all packages are skipped."""
    answer = json.dumps({"dependencies": packages})
    program = tmp_path / "pip-audit"
    program.write_text("#!/bin/sh\n" + (f"echo '{answer}'\n" if packages else "exit 1\n"))
    program.chmod(0o755)
    audit = DEPLOY / "locks" / "audit.py"
    done = subprocess.run([sys.executable, audit, program], capture_output=True, text=True)
    assert (done.returncode, said in done.stdout + done.stderr) == (code, True)


def test_an_audit_without_its_program_has_failed():
    audit = DEPLOY / "locks" / "audit.py"
    done = subprocess.run([sys.executable, audit, "/no/such"], capture_output=True, text=True)
    assert done.returncode == 4
    assert "No such file" in done.stderr


def test_the_trainer_has_one_version_of_torch_and_nothing_for_gpus():
    root = DEPLOY.parent
    patterns = {
        "constraints.txt": r"^torch==([0-9.]+)",
        "Makefile": r"^TORCH := ([0-9.]+)",
        "deploy/trainer.Dockerfile": r"^ARG TORCH=torch==([0-9.]+)\+cpu",
        "deploy/locks/uv.toml": r'name = "torch"\nversion = "([0-9.]+)"',
    }
    versions = {
        tuple(re.findall(pattern, (root / file).read_text(), re.MULTILINE))
        for file, pattern in patterns.items()
    }
    assert len(versions) == 1
    assert len(versions.pop()) == 1
    lock = (DEPLOY / "locks" / "trainer.txt").read_text()
    assert not re.search(r"^(nvidia|cuda|triton|torch)\b", lock, re.MULTILINE)


@pytest.mark.parametrize("file", DOCKERFILES)
def test_the_image_keeps_libraries_from_sending_data(file):
    text = (DEPLOY / file).read_text()
    assert re.search(r"^ENV (.*\\\n)*.*\bORT_DISABLE_TELEMETRY=1\b", text, re.MULTILINE)
