"""The results pages come from the records; their commands parse and their links resolve."""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError
from render_results import Record, read_page, read_records, render_pages

from tipstaff.cli import main as tipstaff

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
RECORDS = read_records()
PAGES = sorted([FOLDER / "README.md", FOLDER / "LOG.md", *(FOLDER / "studies").glob("*.md")])
COMMANDS = sorted({command for record in RECORDS.values() for command in record.commands})


class _ParsedError(Exception):
    """A command's words were accepted."""


def _record_names(text: str) -> list[str]:
    return re.findall(r"<!-- result: (\S+) -->", text)


def _words(command: str) -> list[str]:
    words = shlex.split(command.replace("\\\n", " "))
    return words[1:] if words[0] == "sudo" else words


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_pages_are_what_the_records_say():
    stale = [page.name for page, text in render_pages() if page.read_text() != text]
    assert stale == [], "run `python benchmarks/render_results.py`"


def test_every_record_is_in_a_study():
    names = [name for page in PAGES for name in _record_names(page.read_text())]
    assert sorted(names) == sorted(RECORDS)


def test_every_study_has_its_section():
    sections = read_page().sections
    assert sorted(section.study for section in sections) == sorted(
        file.name for file in (FOLDER / "studies").glob("*.md")
    )
    for section in sections:
        assert set(section.records) <= set(
            _record_names((FOLDER / "studies" / section.study).read_text())
        )


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_understood(command, monkeypatch):
    """The script or command exists, and its parser accepts these words."""
    program, *words = _words(command)
    parse_args = argparse.ArgumentParser.parse_args

    def parse_only(parser, args=None, namespace=None):
        parse_args(parser, args, namespace)
        raise _ParsedError

    if program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
            "optional-dependencies"
        ]
        assert set(re.findall(r"\w+", words[1])) <= set(extras)
        return
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    if program == "tipstaff":
        with pytest.raises(_ParsedError):
            tipstaff(words)
        return
    assert program == "python"
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(_ParsedError):
        runpy.run_path(str(ROOT / words[0]), run_name="__main__")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), target
        assert not anchor or anchor in _anchors(linked), target


def test_links_to_sections_resolve():
    """Other pages link to sections of the results page, which is generated."""
    anchors = _anchors(FOLDER / "README.md")
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    links = [
        (page.name, anchor)
        for page in pages
        for anchor in re.findall(r"benchmarks/README\.md#([\w-]+)", page.read_text())
    ]
    assert [link for link in links if link[1] not in anchors] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_cited_scripts_exist(page):
    folders = ("benchmarks", "client", "server", "trainer", "examples", "deploy", "tests")
    scripts = {file.name for folder in folders for file in (ROOT / folder).rglob("*.py")}
    assert set(re.findall(r"\b(\w+\.py)\b", page.read_text())) <= scripts


def test_log_is_newest_first():
    days = re.findall(r"^## (.+)$", (FOLDER / "LOG.md").read_text(), re.MULTILINE)
    assert days == sorted(days, reverse=True)
    assert all(re.fullmatch(r"\d{4}-\d{2}-\d{2}", day) for day in days)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": [["0"]]}, "2 columns, but a row of 1"),
        ({"commands": []}, "needs a note"),
        ({"commit": "yesterday"}, "pattern"),
        ({"date": "yesterday"}, "date"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_a_record_is_checked(change, message):
    values = {
        "claim": "It is fast",
        "commands": ["python benchmarks/load.py DATA"],
        "commit": "0194bac",
        "date": "2026-11-22",
        "processor": "2 cores",
        "columns": ["callers", "answers a second"],
        "rows": [["1", "83"]],
    }
    Record.model_validate(values)
    with pytest.raises(ValidationError, match=message):
        Record.model_validate(values | change)
