"""What a graph or an evaluator says of many interactions, through the server's own code."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from tipstaff.types import Interaction
from tipstaff_server.cpus import usable_cpus
from tipstaff_server.evaluator import Evaluator, Ruling
from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.session import Session
from tipstaff_server.evaluator.windows import deciding

Logits = npt.NDArray[np.float64]


def graph_logits(session: Session, encoded: Sequence[Encoded], *, what: str) -> Logits:
    """Runs a graph over interactions as the server does, nothing beside another; shape (n,)."""

    def logit(item: Encoded) -> float:
        logits = [float(session.run([tokens]).logits[0]) for tokens in item.runs]
        return logits[deciding(logits, item.parts)]

    with ThreadPoolExecutor(max(1, int(usable_cpus()))) as lanes:
        outputs = lanes.map(logit, encoded)
        return np.fromiter(
            tqdm(outputs, total=len(encoded), desc=what, unit="row", leave=False), dtype=float
        )


def rulings(evaluator: Evaluator, interactions: Sequence[Interaction]) -> list[Ruling]:
    """Scores interactions with a loaded bundle, in order, on all the cores this process may use."""
    with ThreadPoolExecutor(max(1, int(usable_cpus()))) as lanes:
        return list(
            tqdm(
                lanes.map(evaluator.score, interactions),
                total=len(interactions),
                desc="scoring",
                unit="row",
                leave=False,
            )
        )
