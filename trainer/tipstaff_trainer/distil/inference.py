"""What the trained model says of interactions, in torch: what a graph is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from tqdm.auto import tqdm

from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.session import collate
from tipstaff_server.evaluator.windows import deciding
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.measure import Logits

_BATCH = 32


def torch_logits(model: EvaluatorModel, encoded: Sequence[Encoded], *, pad_id: int) -> Logits:
    """Runs the trained model in fp32 on the CPU, in batches of like length; shape (n,)."""
    runs = [tokens for one in encoded for tokens in one.runs]
    logits = np.empty(len(runs))
    by_length = sorted(range(len(runs)), key=lambda index: len(runs[index]))
    starts = range(0, len(runs), _BATCH)
    with torch.inference_mode():
        for start in tqdm(starts, desc="the model in torch", unit="batch", leave=False):
            chosen = by_length[start : start + _BATCH]
            arrays = collate([runs[index] for index in chosen], pad_id)
            batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
            logits[chosen] = model(**batch)["logit"].double().numpy()
    ends = np.cumsum([len(one.runs) for one in encoded])
    by_row = np.split(logits, ends[:-1])
    return np.array(
        [own[deciding(own.tolist(), one.parts)] for own, one in zip(by_row, encoded, strict=True)]
    )
