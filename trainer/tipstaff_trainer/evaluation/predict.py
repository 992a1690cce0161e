"""Runs a graph or an evaluator over many interactions, with the server's code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tipstaff.types import Interaction
from tipstaff_server.cpus import usable_cpus
from tipstaff_server.evaluator import Evaluator, Prediction
from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.session import Session
from tipstaff_trainer.progress import progress

Logits = npt.NDArray[np.float64]
Embeddings = npt.NDArray[np.float32]
Item = TypeVar("Item")
Result = TypeVar("Result")


def graph_outputs(
    session: Session, encoded: Sequence[Encoded], *, what: str
) -> tuple[Logits, Embeddings]:
    """Runs a graph over interactions as the server does, one run at a time.

    Returns:
        Logits, shape (n,), and embeddings, shape (n, hidden), of the runs that decide.
    """

    def decide(item: Encoded) -> tuple[float, npt.NDArray[np.float32]]:
        outputs = [session.run([tokens]) for tokens in item.runs]
        run = item.deciding_run([float(output.logits[0]) for output in outputs])
        return float(outputs[run].logits[0]), outputs[run].embeddings[0]

    logits, embeddings = zip(*_map(decide, encoded, what=what), strict=True)
    return np.array(logits), np.stack(embeddings)


def predict_all(evaluator: Evaluator, interactions: Sequence[Interaction]) -> list[Prediction]:
    """Scores interactions with a loaded bundle, in order, on all the cores this process may use."""
    return _map(evaluator.score, interactions, what="scoring")


def _map(function: Callable[[Item], Result], items: Sequence[Item], *, what: str) -> list[Result]:
    """The function's results in order, on all the cores, with a progress bar."""
    with ThreadPoolExecutor(max(1, int(usable_cpus()))) as threads:
        results = threads.map(function, items)
        return list(progress(results, total=len(items), desc=what, unit="row", leave=False))
