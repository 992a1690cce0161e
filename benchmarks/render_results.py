"""Writes README.md and the tables of the studies from the records in `results/`.

    python benchmarks/render_results.py           writes the pages
    python benchmarks/render_results.py --check   exits with 1 where a page differs from the records

A record is one table: a TOML file with the claim it supports, the commands that printed it, and the
commit, date and processor it comes from. `results/page.toml` lists README's sections and their
records. A study is written by hand, except between `<!-- result: NAME -->` and `<!-- end -->`,
where this script writes the record NAME.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

FOLDER = Path(__file__).parent
_BLOCK = re.compile(r"<!-- result: (\S+) -->\n.*?<!-- end -->", re.DOTALL)

NotRecorded = Literal["not recorded"]
Commit = Annotated[str, Field(pattern="^[0-9a-f]{7,40}$")]
Text = Annotated[str, Field(min_length=1)]


class Record(BaseModel):
    """One table and where it comes from.

    Attributes:
        claim: What the table shows, in one sentence.
        commands: The commands that printed it; if empty, `note` must say why.
        commit: The commit that recorded the numbers.
        measured_commit: The commit that was measured, if known to be a different one.
        date: The day the numbers were recorded.
        processor: The processor they were measured on.
        older_code: The rows that older code printed, and what has changed since.
        target: The target, and whether it was met.
        note: What else a reader must know.
        columns: The table's head.
        rows: The table's cells, as text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    claim: Text
    commands: tuple[Text, ...]
    commit: Commit | NotRecorded
    measured_commit: Commit | None = None
    date: date | NotRecorded
    processor: Text
    older_code: str = ""
    target: str = ""
    note: str = ""
    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    rows: Annotated[tuple[tuple[str, ...], ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _rows_fit_columns(self) -> Self:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{len(self.columns)} columns, but a row of {len(row)}: {row}")
        if not self.commands and not self.note:
            raise ValueError("a record without commands needs a note that says why")
        return self


class Section(BaseModel):
    """One section of README: its study, and the records that it shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Text
    study: Text
    records: Annotated[tuple[str, ...], Field(min_length=1)]


class Page(BaseModel):
    """README's text before the tables, and its sections."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    introduction: Text
    sections: tuple[Section, ...]


def read_records() -> dict[str, Record]:
    """Reads the records in `results/`, by file name."""
    files = sorted((FOLDER / "results").glob("*.toml"))
    return {
        file.stem: Record.model_validate(tomllib.loads(file.read_text()))
        for file in files
        if file.stem != "page"
    }


def read_page() -> Page:
    """Reads README's plan."""
    return Page.model_validate(tomllib.loads((FOLDER / "results" / "page.toml").read_text()))


def render_record(record: Record, study: str = "") -> str:
    """Renders a record as Markdown.

    Args:
        record: The record.
        study: A link to the record's study, for README, which leaves the note to the study.
    """
    parts = []
    if record.commands:
        parts.append("\n".join(f"    {line}" for line in "\n".join(record.commands).splitlines()))
    lines = [record.columns, ("---",) * len(record.columns), *record.rows]
    parts.append("\n".join(f"| {' | '.join(cells)} |" for cells in lines))
    if record.target:
        parts.append(_wrap(f"Target: {record.target}"))
    if record.note and not study:
        parts.append(_wrap(record.note))
    if record.older_code:
        parts.append(_wrap(f"**Older code:** {record.older_code}"))
    measured = f" (measured at {record.measured_commit})" if record.measured_commit else ""
    processor = f"Processor: {record.processor}"
    provenance = f"*Commit {record.commit}{measured}, {record.date}. {processor}.*"
    parts.append(_wrap(f"{provenance} {study}".rstrip()))
    return "\n\n".join(parts)


def _wrap(paragraph: str) -> str:
    return textwrap.fill(
        " ".join(paragraph.split()), 100, break_long_words=False, break_on_hyphens=False
    )


def render_readme(page: Page, records: Mapping[str, Record]) -> str:
    """Renders README: the introduction, then a section per study and a table per claim."""
    parts = ["# Benchmarks", page.introduction.strip()]
    for section in page.sections:
        parts.append(f"## {section.title}")
        study = f"[Study](studies/{section.study})"
        for name in section.records:
            parts += [_wrap(f"**{records[name].claim}.**"), render_record(records[name], study)]
    return "\n\n".join(parts) + "\n"


def render_study(text: str, records: Mapping[str, Record]) -> str:
    """Replaces a study's tables with the records' tables."""

    def block(match: re.Match[str]) -> str:
        name = match[1]
        return f"<!-- result: {name} -->\n\n{render_record(records[name])}\n\n<!-- end -->"

    return _BLOCK.sub(block, text)


def render_pages() -> Iterator[tuple[Path, str]]:
    """Yields each page with the text that it should have."""
    records = read_records()
    yield FOLDER / "README.md", render_readme(read_page(), records)
    for study in sorted((FOLDER / "studies").glob("*.md")):
        yield study, render_study(study.read_text(), records)


def main() -> int:
    """Writes or checks the pages; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, name stale pages")
    args = parser.parse_args()
    stale = [
        (page, text)
        for page, text in render_pages()
        if not page.exists() or page.read_text() != text
    ]
    for page, text in stale:
        print(f"{page.relative_to(FOLDER)} {'is stale' if args.check else 'written'}")
        if not args.check:
            page.write_text(text)
    return 1 if args.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
