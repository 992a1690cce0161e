"""No command looks a name up, or leaves a file that nobody named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tools import require, unavailable

COMMANDS = ("label", "train", "evaluate", "serve", "desk")


@pytest.fixture(scope="module")
def steps():
    """What each step looked up and left, in namespaces of its own."""
    unshare = [require("unshare"), "--net", "--mount"]
    if os.getuid() != 0:
        unshare.append("--map-root-user")
    if subprocess.run([*unshare, "mount", "--make-rprivate", "/"], capture_output=True).returncode:
        unavailable("namespaces are not permitted here")
    script = Path(__file__).with_name("closed_room.py")
    done = subprocess.run(
        [*unshare, sys.executable, str(script)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_what_they_must_not_do_would_be_seen(steps):
    seen = steps["control"]
    assert seen["lookups"] == ["telemetry.example"]
    names = [Path(file).name for file in seen["files"]]
    assert {"here", ".telemetry"} <= set(names)
    assert any(name.startswith("tmp") for name in names)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_sends_nothing_and_leaves_only_what_is_named(steps, command):
    step = steps[command]
    assert step["code"] == 0, step["log"]
    assert step["lookups"] == []
    assert step["files"] == []


VARIABLES = {"tipstaff_server": ["ORT_DISABLE_TELEMETRY"]}
VARIABLES["tipstaff_trainer"] = [
    *VARIABLES["tipstaff_server"],
    *("DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY", "MLFLOW_DISABLE_TELEMETRY"),
    *("WANDB_ERROR_REPORTING", "MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR", "WANDB_CACHE_DIR"),
]


@pytest.mark.parametrize(("package", "names"), VARIABLES.items())
def test_what_a_person_has_set_stays(package, names):
    script = f"import os, {package}.errors; print(*(os.environ[name] for name in {names}))"
    bare = {name: value for name, value in os.environ.items() if name not in names}
    own = dict.fromkeys(names, "own")
    for environment, all_own in ((bare, False), ({**bare, **own}, True)):
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert (done.stdout.split() == ["own"] * len(names)) is all_own
