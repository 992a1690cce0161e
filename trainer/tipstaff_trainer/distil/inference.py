"""The trained model's logits in torch, to compare the exported graph with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.session import collate
from tipstaff_trainer.distil.data_parallel import DataParallel, by_length
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.evaluation.predict import Logits
from tipstaff_trainer.progress import progress

_BATCH = 32


def torch_logits(model: EvaluatorModel, encoded: Sequence[Encoded], *, pad_id: int) -> Logits:
    """The logits of the trained model in fp32 on the CPU, shape (n,).

    Interactions of similar length share a batch.
    """
    runs = [tokens for one in encoded for tokens in one.runs]
    logits = np.empty(len(runs))
    batches = [some.tolist() for some in by_length(torch.tensor(list(map(len, runs))), _BATCH)]

    def work(chosen: Sequence[int]) -> Logits:
        arrays = collate([runs[index] for index in chosen], pad_id)
        batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
        with torch.inference_mode():  # set per thread
            batch_logits: Logits = model(**batch)["logit"].double().numpy()
        return batch_logits

    with DataParallel() as cores:
        bar = progress(batches, desc="the model in torch", unit="batch", leave=False)
        for chosen, batch_logits in zip(bar, cores.map(work, batches), strict=True):
            logits[chosen] = batch_logits
    ends = np.cumsum([len(one.runs) for one in encoded])
    rows = zip(np.split(logits, ends[:-1]), encoded, strict=True)
    return np.array([each[one.deciding_run(each.tolist())] for each, one in rows])
