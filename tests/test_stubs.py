"""The committed stubs match the committed protos."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STUBS = ROOT / "client" / "tipstaff" / "v1"
# A folder of protos, those of one package in it, and the folder that the package's stubs are in.
CONTRACTS = (
    ("protos", ("tipstaff/v1/scoring.proto",), "client"),
    (
        "gateway/protos",
        ("tipstaff_gateway/stubs/open_inference.proto", "tipstaff_gateway/stubs/ext_proc.proto"),
        "gateway",
    ),
)


@pytest.mark.parametrize(("protos", "contracts", "package"), CONTRACTS)
def test_stubs_are_not_stale(tmp_path, protos, contracts, package):
    # A dev dependency: if it is missing or of another version, the environment is not set up.
    assert importlib.metadata.version("grpcio-tools") == _pinned_generator()

    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={ROOT / protos}"),
            *(f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"),
            *(f"--grpc_python_out={tmp_path}", *contracts),
        ],
        check=True,
    )

    place = Path(contracts[0]).parent
    generated = {path.name: path.read_bytes() for path in (tmp_path / place).iterdir()}
    committed = {path.name: path.read_bytes() for path in (ROOT / package / place).glob("*_pb2*")}
    assert sorted(generated) == sorted(committed)
    for name, content in generated.items():
        assert committed[name] == content, f"{name} is stale: `make protos`"


def test_the_stubs_generator_is_the_oldest_runtime_we_support():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [runtime] = [each for each in project["dependencies"] if each.startswith("grpcio>=")]
    oldest = runtime.removeprefix("grpcio>=")
    assert _pinned_generator().startswith(oldest)
    stub = (STUBS / "scoring_pb2_grpc.py").read_text()
    assert re.search(rf"GRPC_GENERATED_VERSION = '{re.escape(oldest)}", stub)


def _pinned_generator() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [pin] = [
        each for each in project["optional-dependencies"]["dev"] if each.startswith("grpcio-tools")
    ]
    return pin.removeprefix("grpcio-tools==")
