"""Embeddings of a pre-trained encoder, without any training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.rnn import pad_sequence

from tipstaff_trainer.encoders.base import Base
from tipstaff_trainer.progress import progress

_BATCH = 32
# A text's beginning shows what it is about, and time grows with length.
_TOKENS = 128


def text_embeddings(base: Base, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Mean-pooled embeddings of unit length, of the texts' first tokens; zeros for an empty text.

    Returns:
        Shape (n, hidden).
    """
    distinct = sorted({text for text in texts if text.strip()}, key=len)
    model = base.load()
    model.eval()  # type: ignore[no-untyped-call]
    by_text = {"": np.zeros(base.config.hidden_size, dtype=np.float32)}
    with torch.inference_mode():
        starts = range(0, len(distinct), _BATCH)
        for start in progress(starts, desc="frozen encoder", unit="batch", leave=False):
            batch = distinct[start : start + _BATCH]
            encodings = base.tokenizer.encode_batch(batch)
            ids = [torch.tensor(encoding.ids[:_TOKENS]) for encoding in encodings]
            padded = pad_sequence(ids, batch_first=True)
            mask = pad_sequence([torch.ones_like(each) for each in ids], batch_first=True)
            hidden = model(input_ids=padded, attention_mask=mask).last_hidden_state
            pooled = (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
            unit = torch.nn.functional.normalize(pooled, dim=1)
            by_text |= zip(batch, unit.numpy(), strict=True)
    return np.stack([by_text[text if text.strip() else ""] for text in texts])
