"""Data parallelism among a processor's cores: each runs part of the rows, forward and backward.

torch shares the work of a single matrix product among threads, and the products of a small encoder
are too small for that. Here threads share the rows of a batch, as machines do (Li et al. 2020,
"PyTorch Distributed", section 2.2), and their gradients are summed in a fixed order, so that a run
can be repeated. With many cores, several of them share the products of one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor, nn

from tipstaff_server.cpus import usable_cpus

Tensors = dict[str, Tensor]
Item = TypeVar("Item")
Result = TypeVar("Result")

# Each holds gradients of all weights, and these have to be summed.
_MOST_THREADS = 4
# More rows in a part need more padding; fewer make products that are too small for one core.
_ROWS_A_PART = 8
# Rows times the square of their length. With 12 heads, the attention of more takes over 32 MiB,
# which the C library maps anew for each product: 8 rows of 512 tokens would take 1.8 times as long.
_MOST_PAIRS = 600_000

# The tensors of a batch whose last dimension is the tokens.
_BY_TOKEN = ("input_ids", "attention_mask", "marks")


class DataParallel:
    """Threads that work on parts of a batch; a context manager.

    The threads share one model, and one of them may switch between training and evaluation mode
    while another runs, so the model must compute the same in both modes: without dropout.

    Args:
        threads: The number of threads; None to use the whole processor.
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
        """The results of `work` for each item, in the items' order."""
        return self._threads.map(work, items)

    def backward(self, model: nn.Module, batch: Tensors) -> Tensor:
        """The loss of a batch; adds its gradients to the model's, as `Tensor.backward` does.

        Args:
            model: Returns a `loss`, the mean over the rows weighted by `weights`.
            batch: A `Collator`'s batch, with `labels` and `weights`.
        """
        parameters = [each for each in model.parameters() if each.requires_grad]
        weight = batch["weights"].sum()

        def work(parts: Sequence[Tensors]) -> tuple[Tensor, tuple[Tensor, ...]]:
            losses = [model(**part)["loss"] * (part["weights"].sum() / weight) for part in parts]
            loss = torch.stack(losses).sum()
            return loss.detach(), torch.autograd.grad(loss, parameters, materialize_grads=True)

        parts = [_rows_at(batch, rows) for rows in _rows_of_parts(batch)]
        losses, gradients = zip(*self.map(work, _deal(parts, self._count)), strict=True)
        total = list(gradients[0])
        for more in gradients[1:]:
            torch._foreach_add_(total, list(more))
        for parameter, gradient in zip(parameters, total, strict=True):
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        return torch.stack(losses).sum()

    def forward(self, model: nn.Module, batch: Tensors) -> dict[str, Tensor]:
        """A model's `loss`, `logit` and `embedding` for a batch, without gradients.

        Args:
            model: As in `backward`.
            batch: As in `backward`.
        """

        def work(rows: Tensor) -> dict[str, Tensor]:
            part = _rows_at(batch, rows)
            with torch.no_grad():  # set per thread
                outputs: dict[str, Tensor] = model(**part)
            return outputs | {"loss": outputs["loss"] * part["weights"].sum()}

        order = _rows_of_parts(batch)
        parts = list(self.map(work, order))
        back = torch.cat(list(order)).argsort()
        outputs = {
            name: torch.cat([part[name] for part in parts])[back] for name in ("logit", "embedding")
        }
        loss = torch.stack([part["loss"] for part in parts]).sum() / batch["weights"].sum()
        return {"loss": loss, **outputs}


def _rows_of_parts(batch: Tensors) -> Sequence[Tensor]:
    """The rows of each part; rows of similar length share a part, which saves padding."""
    mask = batch["attention_mask"]
    lengths = mask.sum(dim=-1).reshape(len(mask), -1).amax(dim=1)
    return by_length(lengths, _ROWS_A_PART)


def by_length(lengths: Tensor, most: int) -> list[Tensor]:
    """The places of rows to compute at once: of similar length, the longest first.

    Args:
        lengths: The rows' tokens, shape (rows,).
        most: The most rows at once; fewer where they are long, except on a GPU.
    """
    order = lengths.argsort(descending=True)
    parts, start = [], 0
    while start < len(order):
        count = most
        if not lengths.is_cuda:
            count = max(1, min(most, _MOST_PAIRS // max(1, int(lengths[order[start]])) ** 2))
        parts.append(order[start : start + count])
        start += count
    return parts


def _rows_at(batch: Tensors, rows: Tensor) -> Tensors:
    """Some rows of a batch, without the padding that none of them needs."""
    mask = batch["attention_mask"][rows]
    longest = int(mask.sum(dim=-1).max())
    return {
        name: each[rows][..., :longest] if name in _BY_TOKEN else each[rows]
        for name, each in batch.items()
    }


def _deal(parts: Sequence[Tensors], count: int) -> list[list[Tensors]]:
    """Deals parts out to threads: the longest first, each to the thread with the least work."""
    tokens = [int(part["attention_mask"].sum()) for part in parts]
    shares: list[list[Tensors]] = [[] for _ in range(min(count, len(parts)))]
    loads = [0] * len(shares)
    for index in sorted(range(len(parts)), key=lambda index: -tokens[index]):
        lightest = loads.index(min(loads))
        shares[lightest].append(parts[index])
        loads[lightest] += tokens[index]
    return shares
