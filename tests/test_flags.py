"""Only `cli/` names flags: other modules' errors name a field, which commands word as a flag."""

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

    Docstrings don't count, nor strings that are only a flag: those start another process.
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
    assert not {
        module: named
        for module, path in modules()
        if (named := flags_named(path.read_text(encoding="utf-8"), flags))
    }
