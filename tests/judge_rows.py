"""Rows that the server of `judge_server.py` has an opinion on."""

from __future__ import annotations

from tipstaff import Interaction
from tipstaff_trainer.data import Row


def row(output, *, id, truth="Paris", label=float("nan"), **rest):
    return Row(Interaction("What is the capital of France?", output, truth), label, id, **rest)


def capitals(count):
    """Rows of which every other one is good, each with words of its own."""
    return [
        row(f"It is {'Paris' if index % 2 == 0 else 'Lyon'}, no. {index}.", id=str(index))
        for index in range(count)
    ]
