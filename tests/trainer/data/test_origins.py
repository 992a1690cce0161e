from __future__ import annotations

from tipstaff import Interaction
from tipstaff_trainer.data import Row
from tipstaff_trainer.data.origins import label_origins


def row(source: str, **extra: str) -> Row:
    return Row(Interaction("q", "a", None), 1.0, "1", label_source=source, extra=extra)


def test_judges_are_counted_by_prompt_and_people_without_their_names():
    origins = label_origins(
        [
            *[row("judge", judge="gpt", prompt_hash="b")] * 2,
            row("judge", judge="gpt", prompt_hash="a"),
            row("judge"),
            # A judge's label that a person overruled is the person's.
            row("human", judge="gpt", prompt_hash="a", reviewer="ann; bob"),
            row("human", reviewer="bob"),
            row("other", judge="nobody"),
        ]
    )
    assert origins.judges == (("gpt", "b", 2), ("", "", 1), ("gpt", "a", 1))
    assert origins.reviewers == 2


def test_unnamed_people_are_not_counted_as_none():
    assert label_origins([row("human")]).reviewers is None
