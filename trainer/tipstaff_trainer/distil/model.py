"""The evaluator as a torch model: an encoder, mean pooling, one logit."""

from __future__ import annotations

import inspect
from typing import Literal, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

# Smaller parts pad less, and their products are too small for the processor.
_ROWS_A_PART = 8

MarkInput = Literal["token_types", "embedding", "off"]


class EvaluatorModel(nn.Module):
    """An encoder with one logit on its mean-pooled output.

    Marks (see `tipstaff_server.evaluator.marks`) go in as token types where the encoder has two of
    them, else as an added embedding that starts at zero, so that the encoder starts as it was.

    Attributes:
        encoder: The pre-trained encoder.
        mark_input: How marks go in.
    """

    def __init__(self, encoder: PreTrainedModel, *, marks: bool, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = encoder.config
        self.mark_input: MarkInput = _mark_input(encoder) if marks else "off"
        if self.mark_input == "embedding":
            words = cast(nn.Embedding, encoder.get_input_embeddings())
            self.mark_embedding = nn.Embedding(2, words.embedding_dim, padding_idx=0)
            nn.init.zeros_(self.mark_embedding.weight)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.config.hidden_size, 1)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        marks: Tensor,
        labels: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Scores a batch.

        Args:
            input_ids: Token ids, shape (batch, length).
            attention_mask: 1 for tokens, 0 for padding, shape (batch, length).
            marks: 0 or 1 for each token, shape (batch, length).
            labels: Probabilities in [0, 1], shape (batch,).
            weights: Positive, shape (batch,).

        Returns:
            `logit` (batch,) and `embedding` (batch, hidden); with labels also `loss`, the weighted
            mean of the cross-entropy with soft labels.
        """
        pooled = self._pooled(input_ids, attention_mask, marks)
        logit = self.head(self.dropout(pooled)).squeeze(-1)
        result = {"logit": logit, "embedding": pooled}
        if labels is not None:
            losses = nn.functional.binary_cross_entropy_with_logits(
                logit.float(), labels, reduction="none"
            )
            shares = torch.ones_like(losses) if weights is None else weights
            result = {"loss": (losses * shares).sum() / shares.sum(), **result}
        return result

    def _pooled(self, input_ids: Tensor, attention_mask: Tensor, marks: Tensor) -> Tensor:
        """The mean of each row's encoded tokens, shape (batch, hidden).

        On a CPU, training goes through a batch in parts of like length, each padded to its own
        longest: rows of a group stay in one batch however their lengths differ, and a third of
        its tokens would be padding.
        """
        if not self.training or input_ids.device.type != "cpu":
            return self._pool(self._encode(input_ids, attention_mask, marks), attention_mask)
        lengths = attention_mask.sum(dim=1)
        order = lengths.argsort()
        parts = []
        for rows in order.split(_ROWS_A_PART):
            mask = attention_mask[rows, : int(lengths[rows].max())]
            width = mask.shape[1]
            encoded = self._encode(input_ids[rows, :width], mask, marks[rows, :width])
            parts.append(self._pool(encoded, mask))
        return torch.cat(parts)[order.argsort()]

    def _encode(self, input_ids: Tensor, attention_mask: Tensor, marks: Tensor) -> Tensor:
        if self.mark_input == "embedding":
            words = self.encoder.get_input_embeddings()(input_ids)
            hidden = self.encoder(
                inputs_embeds=words + self.mark_embedding(marks), attention_mask=attention_mask
            )
        elif self.mark_input == "token_types":
            hidden = self.encoder(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=marks
            )
        else:
            hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        return hidden.last_hidden_state  # type: ignore[no-any-return]

    @staticmethod
    def _pool(hidden: Tensor, attention_mask: Tensor) -> Tensor:
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * mask).sum(dim=1) / mask.sum(dim=1)


def _mark_input(encoder: PreTrainedModel) -> MarkInput:
    takes_types = "token_type_ids" in inspect.signature(encoder.forward).parameters
    if takes_types and getattr(encoder.config, "type_vocab_size", 0) >= 2:
        return "token_types"
    return "embedding"
