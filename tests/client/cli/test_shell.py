"""The shell around the commands: what it lists, how it fails, and how it leaves."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tipstaff import cli

WORDS = {
    "preview": ["data.csv"],
    "train": ["data.csv", "--name", "faithful", "--out", "bundle"],
    "evaluate": ["bundle", "data.csv"],
    "probe": ["bundle", "data.csv"],
    "certify": ["bundle", "data.csv"],
    "label": ["data.csv", "--criterion", "criterion.toml", "--out", "labels.jsonl"],
    "review-queue": ["data.csv"],
    "agreement": ["data.csv"],
    "relabel": ["data.csv", "--reviewed", "reviewed.csv", "--out", "rows.jsonl"],
    "label-errors": ["data.csv", "--out", "errors.csv"],
    "compare": ["bundle", "newer", "data.csv"],
    "inspect": ["bundle"],
    "publish": ["bundle", "repository"],
    "promote": ["repository", "faithful", "1"],
    "serve": ["bundle"],
    "token": [],
    "certificates": ["certs"],
    "desk": ["workspace"],
    "gateway": ["--target", "localhost:1"],
    "collect": ["traffic", "--workspace", "workspace"],
    "erase": ["r-1", "--workspace", "workspace"],
    "score": ["--target", "localhost:1", "--output", "A"],
    "score-file": ["data.csv", "--bundle", "bundle", "--out", "scored.csv"],
}
# An interpreter that can import only what the client needs, without any extra.
BARE = """
import sys
from pathlib import Path

class OnlyTheClient:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in {"numpy", "pydantic", "pydantic_settings", "onnxruntime", "tokenizers", "torch",
                   "transformers", "prometheus_client", "grpc_health", "pyarrow", "sklearn",
                   "sqlalchemy", "starlette", "uvicorn"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, OnlyTheClient())
from tipstaff.cli import main
sys.exit(main())
"""


def test_help_lists_every_command_with_or_without_extras(tipstaff):
    with_extras = tipstaff("--help")
    without = subprocess.run(
        [sys.executable, "-c", BARE, "--help"], capture_output=True, text=True, check=False
    )
    for result in (with_extras, without):
        assert (result.returncode, result.stderr) == (0, "")
        for command in cli.COMMANDS:
            assert re.search(rf"^ +{command.name}\s", result.stdout, re.MULTILINE)
            assert command.summary in " ".join(result.stdout.split())
    assert sorted(WORDS) == sorted(command.name for command in cli.COMMANDS)


def test_no_command_shows_the_help(tipstaff):
    result = tipstaff()
    assert result.returncode == 2
    assert result.stdout == tipstaff("--help").stdout


def test_version(tipstaff):
    result = tipstaff("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("tipstaff 0.")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["trian"], "tipstaff: error: no command 'trian': did you mean 'train'?"),
        (["x"], "tipstaff: error: no command 'x': choose from preview, "),
        (["--verbose"], "tipstaff: error: unrecognized arguments: --verbose (see tipstaff --help)"),
        (["score"], "tipstaff score: error: the following arguments are required: --target (see"),
    ],
)
def test_a_mistake_in_the_words_is_one_line(tipstaff, words, line):
    result = tipstaff(*words)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith(line)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command", [each for each in cli.COMMANDS if each.extra], ids=lambda command: command.name
)
def test_a_command_whose_extra_is_missing_says_how_to_get_it(command, tmp_path):
    (tmp_path / "data.csv").write_text("output,label\nA,1\n")
    result = subprocess.run(
        [sys.executable, "-c", BARE, command.name, *WORDS[command.name]],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith(f"tipstaff: error: `tipstaff {command.name}` needs the module")
    assert result.stderr.endswith(f": pip install 'tipstaff[{command.extra}]'\n")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.name)
def test_every_command_explains_itself(tipstaff, command):
    result = tipstaff(command.name, "--help")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"usage: tipstaff {command.name} ")
    assert f"{command.summary[1:]}." in " ".join(result.stdout.split())


@pytest.mark.parametrize("words", [["--help"], ["score", "--help"], []])
def test_who_leaves_before_reading_the_help_sees_no_error(words, command_path):
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run(
        [command_path, *words],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )
    os.close(write)
    assert (result.returncode, result.stderr) == (141, "")


@pytest.mark.parametrize("buffered", ["", "1"])
def test_output_onto_a_full_disk_is_one_line(command_path, buffered):
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [command_path, "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": buffered},
        )
    assert result.returncode == 1
    assert result.stderr == (
        "tipstaff: error: the output can't be written: No space left on device; make room there, "
        "and run it again\n"
    )


@pytest.fixture
def run_body(tmp_path, monkeypatch):
    """Runs a command whose `run` has the given body."""

    def run(body: str) -> int:
        module = f"command_{abs(hash(body))}"
        (tmp_path / f"{module}.py").write_text(
            "from tipstaff.errors import TipstaffError, UsageError\n"
            "def add_arguments(parser): parser.add_argument('version', nargs='?')\n"
            f"def run(args): {body}\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(cli, "COMMANDS", (cli.Command("act", "act", module, "server"),))
        return cli.main(["act", "1"])

    return run


@pytest.mark.parametrize(
    ("body", "code", "line"),
    [
        ("return 0", 0, ""),
        ("return 7", 7, ""),
        ("raise TipstaffError('row 3: no label')", 1, "tipstaff: error: row 3: no label\n"),
        ("raise UsageError('--a or --b')", 2, "tipstaff: error: --a or --b\n"),
        ("raise KeyboardInterrupt", 130, ""),
        (
            "import no_such_module.part",
            2,
            "tipstaff: error: `tipstaff act` needs the module 'no_such_module': "
            "pip install 'tipstaff[server]'\n",
        ),
    ],
)
def test_how_a_command_ends(run_body, capsys, body, code, line):
    assert run_body(body) == code
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("1 / 0", ZeroDivisionError),
        ("import tipstaff_server.no_such_module", ModuleNotFoundError),
        ("raise BrokenPipeError", BrokenPipeError),
        ("raise OSError(28, 'No space left on device')", OSError),
    ],
)
def test_a_bug_keeps_its_traceback(run_body, body, error):
    with pytest.raises(error):
        run_body(body)
