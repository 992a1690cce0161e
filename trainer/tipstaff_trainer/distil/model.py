"""The evaluator as a torch model: an encoder, mean pooling, one logit."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Literal, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tipstaff_server.evaluator.marks import KINDS, Marks
from tipstaff_server.evaluator.windows import deciding_run_index

# Limits the memory for rows of several runs.
_RUNS_AT_ONCE = 32

MarkInput = Literal["token_types", "embedding", "off"]
# The bit of a mark for a word that output and ground truth share.
_SHARED = 1


class EvaluatorModel(nn.Module):
    """An encoder with one logit on its mean-pooled output.

    Marks (see `tipstaff_server.evaluator.marks`) are token types where the encoder has two of them:
    shared words are of the second type, and more types are added for more marks. In other encoders
    marks are an added embedding that starts at zero, so that the encoder's outputs start unchanged.

    Attributes:
        encoder: The pre-trained encoder.
        mark_input: How the encoder receives marks.
    """

    def __init__(self, encoder: PreTrainedModel, *, marks: Marks, dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = encoder.config
        self.mark_input: MarkInput = "off" if marks == "off" else _mark_input(encoder)
        if self.mark_input == "token_types":
            _add_token_types(encoder, KINDS[marks])
        elif self.mark_input == "embedding":
            words = cast(nn.Embedding, encoder.get_input_embeddings())
            self.mark_embedding = nn.Embedding(KINDS[marks], words.embedding_dim, padding_idx=0)
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
        parts: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Scores a batch.

        Args:
            input_ids: Token ids, shape (batch, length), or (batch, runs, length) with `parts`.
            attention_mask: 1 for tokens, 0 for padding, of the same shape.
            marks: Each token's mark, of the same shape.
            labels: Probabilities in [0, 1], shape (batch,).
            weights: Positive, shape (batch,).
            parts: The window of the output that each run covers, or -1 where there is no run,
                shape (batch, runs). Only the deciding run of a row, as in
                `tipstaff_server.evaluator.windows`, enters the loss.

        Returns:
            `logit` (batch,) and `embedding` (batch, hidden); with labels also `loss`, the weighted
            mean of the cross-entropy with soft labels.
        """
        if parts is not None:
            runs = (input_ids, attention_mask, marks)
            input_ids, attention_mask, marks = self._deciding_runs(*runs, parts)
        pooled = self._pool(self._encode(input_ids, attention_mask, marks), attention_mask)
        logit = self.head(self.dropout(pooled)).squeeze(-1)
        result = {"logit": logit, "embedding": pooled}
        if labels is not None:
            losses = nn.functional.binary_cross_entropy_with_logits(
                logit.float(), labels, reduction="none"
            )
            shares = torch.ones_like(losses) if weights is None else weights
            result = {"loss": (losses * shares).sum() / shares.sum(), **result}
        return result

    def head_parameters(self) -> Iterator[Tensor]:
        """The parameters that are not pre-trained: those of the head and of the marks."""
        yield from self.head.parameters()
        if self.mark_input == "token_types":
            yield _token_types(self.encoder).weight
        elif self.mark_input == "embedding":
            yield self.mark_embedding.weight

    def _encode(self, input_ids: Tensor, attention_mask: Tensor, marks: Tensor) -> Tensor:
        if self.mark_input == "embedding":
            words = self.encoder.get_input_embeddings()(input_ids)
            inputs = {"inputs_embeds": words + self.mark_embedding(marks)}
        elif self.mark_input == "token_types":
            inputs = {"input_ids": input_ids, "token_type_ids": marks}
        else:
            inputs = {"input_ids": input_ids}
        hidden = self.encoder(attention_mask=attention_mask, **inputs)
        return hidden.last_hidden_state  # type: ignore[no-any-return]

    @torch.no_grad()
    def _deciding_runs(
        self, input_ids: Tensor, attention_mask: Tensor, marks: Tensor, parts: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The inputs of each row's deciding run, each of shape (batch, length).

        A row's logit is a min of maxes, and the gradient of that is the gradient of the logit it
        picks. So the runs are compared without gradients, as they are served, and only the deciding
        run of each row gets one: the memory of training does not grow with the length of its rows.
        """
        training = self.training
        self.eval()
        present = parts >= 0
        inputs = [
            torch.split(each[present], _RUNS_AT_ONCE) for each in (input_ids, attention_mask, marks)
        ]
        pooled = [
            self._pool(self._encode(ids, mask, kinds), mask)
            for ids, mask, kinds in zip(*inputs, strict=True)
        ]
        logits = torch.cat([self.head(each).squeeze(-1) for each in pooled]).float()
        self.train(training)
        by_row = zip(torch.split(logits, present.sum(dim=1).tolist()), parts, strict=True)
        runs = [
            deciding_run_index(row_logits.tolist(), row_parts[row_parts >= 0].tolist())
            for row_logits, row_parts in by_row
        ]
        at = torch.arange(len(parts), device=parts.device), torch.tensor(runs, device=parts.device)
        return input_ids[at], attention_mask[at], marks[at]

    @staticmethod
    def _pool(hidden: Tensor, attention_mask: Tensor) -> Tensor:
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * mask).sum(dim=1) / mask.sum(dim=1)


def _mark_input(encoder: PreTrainedModel) -> MarkInput:
    takes_types = "token_type_ids" in inspect.signature(encoder.forward).parameters
    if takes_types and getattr(encoder.config, "type_vocab_size", 0) >= 2:
        return "token_types"
    return "embedding"


def _add_token_types(encoder: PreTrainedModel, count: int) -> None:
    """Adds token types; each starts as a copy of the first or second, by its lowest bit."""
    embedding = _token_types(encoder)
    types = [kind & _SHARED for kind in range(count)]
    embedding.weight = nn.Parameter(embedding.weight.data[types])
    embedding.num_embeddings = encoder.config.type_vocab_size = count


def _token_types(encoder: PreTrainedModel) -> nn.Embedding:
    return cast(nn.Embedding, cast(nn.Module, encoder.embeddings).token_type_embeddings)
