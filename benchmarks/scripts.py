"""Measures which scripts an encoder reads, on two made-up sentences in each.

    python benchmarks/scripts.py [--base all-MiniLM-L6-v2]

Prints a table in Markdown: the share of each text's characters that the encoder reads, and how many
characters a token holds. About one means that words are spelled letter by letter: the encoder sees
every letter, but has learnt little about their words.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path

from tipstaff_server.evaluator.manifest import Policy
from tipstaff_server.evaluator.unread import UnreadMeter
from tipstaff_trainer.encoders.base import DEFAULT_BASE, find_base

_SAMPLES = Path(__file__).with_name("script_samples.toml")
# Words are in pieces of several letters from here on.
_PIECES = 1.8


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default=DEFAULT_BASE, help="encoder: folder or hub id")
    print("\n".join(table(parser.parse_args().base)))


def table(base: str) -> list[str]:
    """The table's lines, for one encoder."""
    tokenizer = find_base(base).tokenizer
    meter = UnreadMeter(tokenizer)
    lines = [
        "| script | language | read | characters a token | an output in it is |",
        "|" + " --- |" * 5,
    ]
    for sample in tomllib.loads(_SAMPLES.read_text(encoding="utf-8"))["sample"]:
        text = sample["text"]
        encoding = tokenizer.encode(text, add_special_tokens=False)
        characters = meter.characters(text, encoding.ids, encoding.offsets)
        density = int(characters.counted.sum()) / len(encoding.ids)
        lines.append(
            f"| {sample['script']} | {sample['language']} | {1 - characters.share:.0%} "
            f"| {density:.1f} | {_verdict(characters.share, density)} |"
        )
    return lines


def _verdict(unread: float, density: float) -> str:
    if unread > Policy().max_unread_output:
        return "not read: never PASS"
    return "read" if density >= _PIECES else "spelled letter by letter"


if __name__ == "__main__":
    main()
