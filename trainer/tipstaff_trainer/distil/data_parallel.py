"""Data parallelism among a processor's cores: each takes rows of its own, forward and back.

torch shares the work of single products among threads, and those of a small encoder are too small
for that. Here threads share the rows of a batch, as machines do (Li et al. 2020, "PyTorch
Distributed", section 2.2), and their gradients are summed in a fixed order, so that a run can be
repeated. Where there are many cores, a few of them share a thread's products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor, nn

from tipstaff_server.cpus import usable_cpus

Batch = dict[str, Tensor]
Item = TypeVar("Item")
Result = TypeVar("Result")

# Each has gradients of its own for all weights, which are to be summed.
_MOST_THREADS = 4
# Rows of a part. More pad more; fewer make products that are too small even for one core.
_ROWS_A_PART = 8


class DataParallel:
    """Threads that work on parts of a batch. To be used in a `with`.

    Several threads go through one model at a time, so it must do the same in training and in
    evaluation mode, either of which one may set while another runs: no dropout.

    Args:
        threads: None for as many as it takes to use the processor.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._cores = torch.get_num_threads()
        cores = min(self._cores, max(1, int(usable_cpus())))
        self._count = threads or min(cores, _MOST_THREADS)
        self._threads = ThreadPoolExecutor(
            self._count,
            thread_name_prefix="tipstaff-training",
            initializer=torch.set_num_threads,
            initargs=(max(1, cores // self._count),),
        )

    def __enter__(self) -> DataParallel:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        torch.set_num_threads(self._cores)

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """What `work` gives for each item, in their order."""
        return self._threads.map(work, items)

    def backward(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of a batch; adds its gradients to those of the model, as `Tensor.backward` does.

        Args:
            model: Gives a `loss`, which is a mean by `weights`.
            batch: As `Collator` makes it, with `labels` and `weights`.
        """
        parameters = [each for each in model.parameters() if each.requires_grad]
        weight = batch["weights"].sum()

        def work(parts: Sequence[Batch]) -> tuple[Tensor, tuple[Tensor, ...]]:
            losses = [model(**part)["loss"] * (part["weights"].sum() / weight) for part in parts]
            loss = torch.stack(losses).sum()
            return loss.detach(), torch.autograd.grad(loss, parameters, materialize_grads=True)

        parts = [_taken(batch, rows) for rows in _rows_of_parts(batch)]
        losses, gradients = zip(*self.map(work, _dealt(parts, self._count)), strict=True)
        total = list(gradients[0])
        for more in gradients[1:]:
            torch._foreach_add_(total, list(more))
        for parameter, gradient in zip(parameters, total, strict=True):
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        return torch.stack(losses).sum()

    def forward(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """What a model gives for a batch, without gradients: `loss`, `logit` and `embedding`.

        Args:
            model: As for `backward`.
            batch: As for `backward`.
        """

        def work(rows: Tensor) -> dict[str, Tensor]:
            part = _taken(batch, rows)
            with torch.no_grad():  # which is each thread's own
                found: dict[str, Tensor] = model(**part)
            return found | {"loss": found["loss"] * part["weights"].sum()}

        order = _rows_of_parts(batch)
        found = list(self.map(work, order))
        back = torch.cat(list(order)).argsort()
        return {
            "loss": torch.stack([each["loss"] for each in found]).sum() / batch["weights"].sum(),
            "logit": torch.cat([each["logit"] for each in found])[back],
            "embedding": torch.cat([each["embedding"] for each in found])[back],
        }


def _rows_of_parts(batch: Batch) -> Sequence[Tensor]:
    """Rows of a batch by length, some at a time: each part is padded to its own longest."""
    mask = batch["attention_mask"]
    lengths = mask.sum(dim=-1).reshape(len(mask), -1).amax(dim=1)
    return torch.split(lengths.argsort(), _ROWS_A_PART)


def _taken(batch: Batch, rows: Tensor) -> Batch:
    """Some rows of a batch, without what pads all of them."""
    mask = batch["attention_mask"][rows]
    longest = int(mask.sum(dim=-1).max())
    return {
        name: each[rows] if each.dim() == 1 or name == "parts" else each[rows][..., :longest]
        for name, each in batch.items()
    }


def _dealt(parts: Sequence[Batch], count: int) -> list[list[Batch]]:
    """Parts dealt out, the heaviest first, each to whoever has the least to do."""
    tokens = [part["attention_mask"].numel() for part in parts]
    hands: list[list[Batch]] = [[] for _ in range(min(count, len(parts)))]
    loads = [0] * len(hands)
    for index in sorted(range(len(parts)), key=lambda index: -tokens[index]):
        lightest = loads.index(min(loads))
        hands[lightest].append(parts[index])
        loads[lightest] += tokens[index]
    return hands
