"""A tiny evaluator, a question, and answers on both sides of its threshold."""

from __future__ import annotations

from pathlib import Path

from tiny_bundle import make_bundle

from tipstaff_server.evaluator.manifest import Policy

QUESTION = "open sunday"
FACTS = "open monday closed sunday"
GOOD = "closed sunday"
BAD = "open sunday"
NAME = "hours"
UNSURE = "unsure"
WORDS = "words"


def make_bundles(folder: Path) -> tuple[Path, ...]:
    """Bundles that pass GOOD and block BAD, or say REVIEW, or need no more than the answer."""
    return (
        make_bundle(
            folder / NAME, name=NAME, seed=28, policy=Policy(pass_at=0.55, block_below=0.55)
        ),
        make_bundle(
            folder / UNSURE, name=UNSURE, seed=28, policy=Policy(pass_at=1.0, block_below=0.0)
        ),
        make_bundle(
            folder / WORDS,
            name=WORDS,
            seed=28,
            order=("output",),
            policy=Policy(pass_at=0.66, block_below=0.66),
        ),
    )
