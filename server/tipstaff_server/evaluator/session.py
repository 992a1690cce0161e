"""Runs an ONNX graph: the only place that knows onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnxruntime

from tipstaff_server.evaluator.layout import Tokens

# For a process that had imported it before Tipstaff: `tipstaff_server.privacy` came too late.
if os.environ.get("ORT_DISABLE_TELEMETRY") == "1":
    onnxruntime.disable_telemetry_events()

INPUTS = ("input_ids", "attention_mask", "marks", "evidence")
OUTPUTS = ("logit", "embedding")

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Outputs:
    """A graph's outputs for a batch.

    Attributes:
        logits: Shape (batch,); above zero is good.
        embeddings: Shape (batch, hidden): the pooled encoder output.
    """

    logits: npt.NDArray[np.float32]
    embeddings: npt.NDArray[np.float32]


class Session:
    """One loaded graph. Several threads may run it at once; each run uses `threads` threads.

    Attributes:
        device: The device it runs on.
        masked: Whether it takes an attention mask; if not, each run takes one request.
    """

    def __init__(
        self, graph: bytes, *, pad_id: int, device: Device = "cpu", threads: int = 1
    ) -> None:
        if _PROVIDERS[device] not in onnxruntime.get_available_providers():
            raise RuntimeError(f"the installed onnxruntime can't use {device}")
        if device == "cuda":
            # Finds the CUDA libraries of pip packages.
            onnxruntime.preload_dlls()
        options = onnxruntime.SessionOptions()
        # onnxruntime's default is the host's number of cores, even if this process may use fewer.
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads would take the cores from the other containers of a pod.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._pad_id = pad_id
        self._session = onnxruntime.InferenceSession(
            graph,
            options,
            providers=[_PROVIDERS[device]],
            disabled_optimizers=_DISABLED_OPTIMIZERS[device],
        )
        if _PROVIDERS[device] not in self._session.get_providers():
            # onnxruntime would silently run it on the CPU.
            raise RuntimeError(f"{device} is not usable on this machine")
        self.device = device
        inputs = {item.name for item in self._session.get_inputs()}
        if unknown := inputs - set(INPUTS):
            raise ValueError(f"the graph has inputs unknown here: {', '.join(sorted(unknown))}")
        if absent := set(OUTPUTS) - {item.name for item in self._session.get_outputs()}:
            raise ValueError(f"the graph lacks the outputs {', '.join(sorted(absent))}")
        self.masked = "attention_mask" in inputs
        self._inputs = [name for name in INPUTS if name in inputs]

    def run(self, batch: Sequence[Tokens]) -> Outputs:
        """Runs one batch, padded to its longest member.

        Raises:
            ValueError: There are several requests, and the graph takes no mask.
            Exception: Whatever onnxruntime raises; its errors have no common base.
        """
        if len(batch) > 1 and not self.masked:
            raise ValueError("this graph runs one request at a time")
        feeds = collate(batch, self._pad_id)
        logits, embeddings = self._session.run(
            OUTPUTS, {name: feeds[name] for name in self._inputs}
        )
        return Outputs(logits.reshape(-1), embeddings)

    def is_batch_invariant(self, probes: Sequence[Tokens]) -> bool:
        """Whether each probe's logit is the same, bit for bit, alone and in batches.

        This depends on the graph and on the machine: kernels for fp32 products may sum in another
        order if there are more rows.

        Args:
            probes: Runs of several lengths, so that most of them are padded in a batch.
        """
        if not self.masked:
            return False
        alone = np.array([self.run([probe]).logits[0] for probe in probes])
        for size in (2, 3, len(probes)):
            for start in range(0, len(probes), size):
                batch = slice(start, start + size)
                if not np.array_equal(self.run(probes[batch]).logits, alone[batch]):
                    return False
        return True


def collate(batch: Sequence[Tokens], pad_id: int) -> dict[str, npt.NDArray[Any]]:
    """A batch as a model's inputs: ids, mask and marks (batch, longest); evidence (batch, n)."""
    shape = (len(batch), max(map(len, batch)))
    arrays: dict[str, npt.NDArray[Any]] = {
        "input_ids": np.full(shape, pad_id, dtype=np.int64),
        "attention_mask": np.zeros(shape, dtype=np.int64),
        "marks": np.zeros(shape, dtype=np.int64),
    }
    for row, tokens in enumerate(batch):
        arrays["input_ids"][row, : len(tokens)] = tokens.ids
        arrays["attention_mask"][row, : len(tokens)] = 1
        arrays["marks"][row, : len(tokens)] = tokens.marks
    arrays["evidence"] = np.array([tokens.evidence for tokens in batch])
    return arrays


_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
# The fused kernel for the CPU takes two to three times as long as what it replaces.
_DISABLED_OPTIMIZERS: dict[Device, list[str]] = {"cpu": ["SkipLayerNormFusion"], "cuda": []}


def available_devices() -> tuple[Device, ...]:
    """The devices that the installed onnxruntime can use, the fastest first."""
    installed = set(onnxruntime.get_available_providers())
    devices: tuple[Device, ...] = ("cuda", "cpu")
    return tuple(device for device in devices if _PROVIDERS[device] in installed)
