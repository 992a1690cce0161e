"""What the docs name exists: links, anchors, commands, flags, make targets, files and metrics."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from scripts_by_path import load_script

from tipstaff import AsyncClient, Client
from tipstaff.cli import COMMANDS
from tipstaff.types import FIELDS
from tipstaff_gateway.mapping import default_mapping
from tipstaff_gateway.mapping.sources import parse_source
from tipstaff_gateway.metrics import Metrics as GatewayMetrics
from tipstaff_server.metrics import Metrics
from tipstaff_server.request_fields import fields_of
from tipstaff_server.settings import Settings
from tipstaff_trainer import Workspace

ROOT = Path(__file__).parent.parent
# Frozen releases keep their own words.
NOT_OURS = {"build", "dist", "demo-out", "node_modules", "frozen"}
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part in NOT_OURS or part.startswith(".") for part in path.relative_to(ROOT).parts)
)
# Pages about the current commands; a log and a changelog may name removed ones.
CURRENT = [page for page in PAGES if page.name not in ("LOG.md", "CHANGELOG.md")]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
FLAG = re.compile(r"--[a-z][a-z-]*")
REPOSITORY_PATH = re.compile(
    r"(?:client|server|trainer|gateway|integrations|protos|docs|benchmarks|deploy|examples|tests)/[\w./-]+"
)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def prose(page: Path) -> str:
    """A page without its code blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub and most site generators make them."""
    seen: dict[str, int] = {}
    found = set()
    for heading in re.findall(r"^#+ +(.+?) *#*$", prose(page), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        count = seen.get(anchor, 0)
        seen[anchor] = count + 1
        found.add(f"{anchor}-{count}" if count else anchor)
    return frozenset(found)


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each command that a page shows, from `tipstaff` or `make` on."""
    text = page.read_text(encoding="utf-8")
    lines = [
        line.removeprefix("$ ")
        for language, block in FENCE.findall(text)
        if language in ("console", "sh", "bash", "")
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith(("$ ", "tipstaff ", "make "))
    ]
    for line in [*lines, *SPAN.findall(FENCE.sub("", text))]:
        for part in re.split(r"&&|\|(?!\|)|;", line):
            words = shlex.split(part, comments=True)
            if words and words[0] in ("tipstaff", "make"):
                yield words


@cache
def parser(command: str) -> argparse.ArgumentParser:
    module = importlib.import_module(next(each.module for each in COMMANDS if each.name == command))
    result = argparse.ArgumentParser(prog=command)
    module.add_arguments(result)
    return result


@cache
def flags(command: str) -> frozenset[str]:
    return frozenset(flag for action in parser(command)._actions for flag in action.option_strings)


def test_there_are_pages():
    assert {"README.md", "CONTRIBUTING.md", "docs/README.md"} <= {name_of(page) for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_and_anchors_resolve(page):
    broken = []
    for link in LINK.findall(SPAN.sub("", prose(page))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / unquote(path)).resolve() if path else page
        if not target.exists() or (
            anchor and target.suffix == ".md" and unquote(anchor) not in anchors(target)
        ):
            broken.append(link)
    assert not broken


def test_every_page_of_the_docs_is_in_an_index():
    for index in (ROOT / "docs" / "README.md", ROOT / "docs" / "decisions" / "README.md"):
        linked = {
            (index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(prose(index))
        }
        folder = index.parent
        pages = {page for page in PAGES if page.is_relative_to(folder) and page != index}
        if folder.name == "docs":
            decisions = folder / "decisions"
            pages = {page for page in pages if page.parent != decisions}
        assert not {name_of(page) for page in pages - linked}


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_commands_and_their_flags_exist(page):
    known = {command.name for command in COMMANDS}
    for words in commands(page):
        if words[0] != "tipstaff" or len(words) == 1 or not re.fullmatch(r"[a-z-]+", words[1]):
            continue
        assert words[1] in known, " ".join(words)
        named = {word.partition("=")[0] for word in words[2:] if word.startswith("--")}
        assert named <= flags(words[1]), " ".join(words)


@pytest.mark.parametrize(
    "page", [page for page in CURRENT if "benchmarks" not in page.parts], ids=name_of
)
def test_flags_that_the_text_names_exist(page):
    known = frozenset().union(*(flags(command.name) for command in COMMANDS), {"--version"})
    spans = [span for span in SPAN.findall(prose(page)) if span.startswith("--")]
    assert {flag for span in spans for flag in FLAG.findall(span)} <= known


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_make_targets_exist(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {word for words in commands(page) if words[0] == "make" for word in words[1:]}
    assert named <= targets


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_files_of_the_repository_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    spans = SPAN.findall(prose(page))
    # Indented code, which the benchmarks' pages use.
    spans += re.findall(r"^ +(?:sudo )?(python .+)$", text, re.MULTILINE)
    spans += [line for _, block in FENCE.findall(text) for line in block.splitlines()]
    named = {
        word.rstrip(".,:")
        for span in spans
        for word in span.split()
        if REPOSITORY_PATH.fullmatch(word.rstrip(".,:"))
    }
    assert not {path for path in named if not (ROOT / path).exists()}


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_python_examples_call_what_there_is(page):
    """Checks names and signatures of `client.…`, `workspace.…` and their classes."""
    found = [
        node
        for language, block in FENCE.findall(page.read_text(encoding="utf-8"))
        if language == "python"
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Call)
    ]
    for call in found:
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
            owner = {"client": Client, "workspace": Workspace}.get(call.func.value.id)
            function = owner and getattr(owner, call.func.attr)
            first = [None]
        else:
            classes = {"Client": Client, "AsyncClient": AsyncClient, "Workspace": Workspace}
            function = classes.get(ast.unparse(call.func))
            first = []
        if function is not None:
            named = {keyword.arg: None for keyword in call.keywords}
            inspect.signature(function).bind(*first, *call.args, **named)


def test_the_listed_metrics_are_those_of_the_server():
    families = text_string_to_metric_families(generate_latest(Metrics().registry).decode())
    offered = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in families
        if family.name.startswith("tipstaff_")
    }
    # These exist only with a dispatcher.
    offered |= {"tipstaff_lanes", "tipstaff_lanes_healthy", "tipstaff_queue_depth"}
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(tipstaff_\w+)`", page, re.MULTILINE)) == offered


def test_the_listed_metrics_are_those_of_the_gateway():
    families = GatewayMetrics().registry.collect()
    offered = {
        f"{family.name}_total" if family.type == "counter" else family.name for family in families
    }
    page = (ROOT / "docs" / "reference" / "gateway.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(tipstaff_gateway_\w+)`", page, re.MULTILINE)) == offered


def test_the_listed_sources_are_those_of_the_gateway():
    page = (ROOT / "docs" / "reference" / "gateway.md").read_text(encoding="utf-8")
    table = page.partition("### Sources")[2].partition("The defaults:")
    listed = re.findall(r"^\| `([^`]+)` \|", table[0], re.MULTILINE)
    for name in listed:
        parse_source(name.replace("/POINTER", "/pointer"))
    for protocol, mapping in default_mapping().items():
        (row,) = [
            line
            for line in table[2].partition("## Metrics")[0].splitlines()
            if line.startswith("|") and f"`{protocol}`" in line.split("|")[1]
        ]
        cells = [re.findall(r"`([^`]+)`", cell) for cell in row.split("|")[2:5]]
        assert cells == [[each.name for each in mapping.sources(field)] for field in FIELDS]


def test_the_listed_settings_are_those_of_the_server():
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{field.name}` | {field.default_text} | {field.description} |"
        for field in fields_of(Settings)
    ]


def test_the_chart_and_the_figures_beside_it_are_those_of_the_records():
    script = ROOT / "docs" / "images" / "throughput.py"
    chart = load_script(script)
    records = chart.read_records()
    assert script.with_suffix(".svg").read_text(encoding="utf-8") == chart.draw(records)

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rates = chart.throughput(records)
    assert f"**{chart.latency(records)[0]:.0f} ms**" in readme
    assert f"**{rates['tipstaff']:.0f} a second**" in readme
    assert f"{rates['fastapi']:.0f} with FastAPI" in readme
    assert f"{rates['infinity-torch']:.0f} with Infinity" in readme

    record = tomllib.loads((ROOT / "benchmarks/results/quality-test.toml").read_text("utf-8"))
    mean = dict(zip(record["columns"], record["rows"][-2], strict=True))
    assert mean["seed"] == "mean"
    assert f"**{mean['AUROC']}**; accuracy {mean['accuracy']}" in readme
    assert f"accuracy {record['rows'][-1][1]} by string matching" in readme
