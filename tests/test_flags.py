"""Only `cli/` names command-line flags: elsewhere an error names a field, which a command words."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_arrows import PACKAGES

from tipstaff.cli import COMMANDS

FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")

# Modules whose messages still name flags; take a module off as soon as it is clean.
NOT_YET_CLEAN = frozenset(
    {
        "tipstaff_trainer.certification.certify",
        "tipstaff_trainer.certification.eligible",
        "tipstaff_trainer.certification.promise",
        "tipstaff_trainer.data.columns",
        "tipstaff_trainer.data.held_out",
        "tipstaff_trainer.desk.process",
        "tipstaff_trainer.desk.routing",
        "tipstaff_trainer.desk.settings",
        "tipstaff_trainer.distil.run_folder",
        "tipstaff_trainer.distil.student",
        "tipstaff_trainer.distil.teacher",
        "tipstaff_trainer.distil.window_sizes",
        "tipstaff_trainer.evaluation.reference_metrics",
        "tipstaff_trainer.judge.batch_files",
        "tipstaff_trainer.judge.criteria",
        "tipstaff_trainer.judge.endpoint",
        "tipstaff_trainer.judge.estimate",
        "tipstaff_trainer.judge.job",
        "tipstaff_trainer.judge.live",
        "tipstaff_trainer.label_quality.relabelling",
        "tipstaff_trainer.operations.train",
        "tipstaff_trainer.workspace.datasets.formats",
        "tipstaff_trainer.workspace.jobs.label_job",
    }
)


@pytest.fixture(scope="module")
def flags() -> set[str]:
    """The flags of all commands."""
    declared: set[str] = set()
    for command in COMMANDS:
        parser = argparse.ArgumentParser()
        importlib.import_module(command.module).add_arguments(parser)
        declared |= {flag for action in parser._actions for flag in action.option_strings}
    return {flag for flag in declared if flag.startswith("--")}


def modules() -> Iterator[tuple[str, Path]]:
    """Every module outside `cli/`, by its full name."""
    for package, root in PACKAGES.items():
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if "cli" not in parts:
                yield ".".join((package, *parts)).removesuffix(".__init__"), path


def docstrings(tree: ast.AST) -> Iterator[ast.expr]:
    """The docstrings of a module, its classes and functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr):
                yield first.value


def flags_named(source: str, flags: set[str]) -> set[str]:
    """The declared flags in a module's strings.

    Docstrings don't count, nor strings that are nothing but a flag: they start another process.
    """
    tree = ast.parse(source)
    left_out = set(docstrings(tree))
    in_f_strings = {
        part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
    }
    return {
        flag
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in left_out
        for flag in FLAG.findall(node.value)
        if flag in flags and (flag != node.value or node in in_f_strings)
    }


def test_the_flags_of_all_packages_are_found(flags):
    assert {"--target", "--max-queue", "--lanes", "--force", "--epochs"} <= flags


def test_a_flag_in_a_message_is_found_and_one_in_a_docstring_is_not():
    source = '"""Says --out."""\nraise ValueError(f"{name}: give --out or --outer")'
    assert flags_named(source, {"--out"}) == {"--out"}
    assert flags_named('f"--out{value}"', {"--out"}) == {"--out"}
    assert not flags_named('def f():\n    """Says --out."""\n    run("--out", path)', {"--out"})


def test_no_message_outside_cli_names_a_flag(flags):
    offences = {
        module: named
        for module, path in modules()
        if (named := flags_named(path.read_text(encoding="utf-8"), flags))
    }
    new = {module: named for module, named in offences.items() if module not in NOT_YET_CLEAN}
    assert not new
    assert offences.keys() >= NOT_YET_CLEAN, "clean by now: take it off the list"
