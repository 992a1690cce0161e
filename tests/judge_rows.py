"""Rows that the server of `judge_server.py` can judge, and a reporter that records."""

from __future__ import annotations

from tipstaff import Interaction
from tipstaff_trainer.data import Row
from tipstaff_trainer.progress import Reporter


def row(output, *, id, truth="Paris", label=float("nan"), **rest):
    return Row(Interaction("What is the capital of France?", output, truth), label, id, **rest)


def capitals(count):
    """Rows with distinct texts, every other one good."""
    return [
        row(f"It is {'Paris' if index % 2 == 0 else 'Lyon'}, no. {index}.", id=str(index))
        for index in range(count)
    ]


class Recorder(Reporter):
    """Records what an operation reports."""

    def __init__(self):
        self.notes = []
        self.warnings = []
        self.steps = []

    def note(self, message, *, remedy=""):
        self.notes.append(message)

    def warn(self, message, *, remedy=""):
        self.warnings.append(message)

    def step(self, done, total, message=""):
        self.steps.append(done)
