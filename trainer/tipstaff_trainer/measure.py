"""What graphs and models say of many interactions; the graphs through the server's own code."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from tqdm.auto import tqdm

from tipstaff.types import Interaction
from tipstaff_server.cpus import usable_cpus
from tipstaff_server.evaluator import Evaluator, Ruling
from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.session import Session, collate
from tipstaff_trainer.distil.model import EvaluatorModel

_TORCH_BATCH = 32

Logits = npt.NDArray[np.float64]


def graph_logits(session: Session, encoded: Sequence[Encoded], *, what: str) -> Logits:
    """Runs a graph over interactions, one a run, as the server does; shape (n,)."""
    with ThreadPoolExecutor(max(1, int(usable_cpus()))) as lanes:
        outputs = lanes.map(lambda item: float(session.run([item]).logits[0]), encoded)
        return np.fromiter(
            tqdm(outputs, total=len(encoded), desc=what, unit="row", leave=False), dtype=float
        )


def torch_logits(model: EvaluatorModel, encoded: Sequence[Encoded], *, pad_id: int) -> Logits:
    """Runs the trained model in fp32 on the CPU, in batches of like length; shape (n,)."""
    logits = np.empty(len(encoded))
    by_length = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
    starts = range(0, len(encoded), _TORCH_BATCH)
    with torch.inference_mode():
        for start in tqdm(starts, desc="the model in torch", unit="batch", leave=False):
            chosen = by_length[start : start + _TORCH_BATCH]
            arrays = collate([encoded[index] for index in chosen], pad_id)
            batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
            logits[chosen] = model(**batch)["logit"].double().numpy()
    return logits


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
