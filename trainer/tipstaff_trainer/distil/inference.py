"""What the trained model says in torch, in fp32 on the CPU, of all runs of interactions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.session import collate
from tipstaff_trainer.distil.data_parallel import DataParallel, Tensors, by_length
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.evaluation.predict import Logits
from tipstaff_trainer.progress import progress

_BATCH = 32


def torch_logits(model: EvaluatorModel, encoded: Sequence[Encoded], *, pad_id: int) -> Logits:
    """The logits of the trained model, shape (n,), to compare the exported graph with."""
    by_row = _of_runs(lambda batch: model(**batch)["logit"], encoded, pad_id)
    return np.array(
        [each[one.deciding_run(each.tolist())] for each, one in zip(by_row, encoded, strict=True)]
    )


def torch_logit_parts(
    model: EvaluatorModel, encoded: Sequence[Encoded], *, pad_id: int
) -> list[npt.NDArray[np.float64]]:
    """What the encoder and the lexical evidence say of each row's runs, shape (runs, 2) each."""
    return _of_runs(lambda batch: torch.stack(model.logit_parts(**batch), dim=-1), encoded, pad_id)


def _of_runs(
    compute: Callable[[Tensors], Tensor], encoded: Sequence[Encoded], pad_id: int
) -> list[npt.NDArray[np.float64]]:
    """The outputs for each row's runs, shape (runs, …); runs of similar length share a batch."""
    runs = [tokens for one in encoded for tokens in one.runs]
    batches = by_length(torch.tensor([len(run) for run in runs]), _BATCH)

    def work(places: Tensor) -> Tensor:
        arrays = collate([runs[place] for place in places.tolist()], pad_id)
        with torch.inference_mode():  # set per thread
            return compute({name: torch.from_numpy(array) for name, array in arrays.items()})

    with DataParallel() as cores:
        bar = progress(
            cores.map(work, batches),
            total=len(batches),
            desc="the model in torch",
            unit="batch",
            leave=False,
        )
        outputs = torch.cat(list(bar))[torch.cat(batches).argsort()].double().numpy()
    ends = np.cumsum([len(one.runs) for one in encoded])
    return np.split(outputs, ends[:-1])
