"""The evaluator as a torch model: an encoder, mean pooling, one logit."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Literal, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tipstaff_server.evaluator.manifest import Marks
from tipstaff_server.evaluator.marks import KINDS
from tipstaff_server.evaluator.windows import deciding_run_index
from tipstaff_trainer.distil.data_parallel import by_length
from tipstaff_trainer.distil.lexical import LexicalHead

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
        lexical_head: What adds the lexical evidence to the logit; None in a model without.
    """

    def __init__(
        self,
        encoder: PreTrainedModel,
        *,
        marks: Marks,
        dropout: float = 0.0,
        lexical: LexicalHead | None = None,
    ) -> None:
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
        self.lexical_head = lexical

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        marks: Tensor,
        evidence: Tensor | None = None,
        labels: Tensor | None = None,
        weights: Tensor | None = None,
        parts: Tensor | None = None,
        handicaps: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Scores a batch.

        Args:
            input_ids: Token ids, shape (batch, length), or (batch, runs, length) with `parts`.
            attention_mask: 1 for tokens, 0 for padding, of the same shape.
            marks: Each token's mark, of the same shape.
            evidence: What the words say by themselves (`tipstaff_server.evaluator.evidence`), shape
                (batch, n), or (batch, runs, n) with `parts`; for a model with a lexical head.
            labels: Probabilities in [0, 1], shape (batch,).
            weights: Positive, shape (batch,).
            parts: The window of the output that each run covers, or -1 where there is no run,
                shape (batch, runs). Only the deciding run of a row, as in
                `tipstaff_server.evaluator.windows`, enters the loss.
            handicaps: What each run's logit counts less in the choice of that run, shape
                (batch, runs); None for 0.

        Returns:
            `logit` (batch,) and `embedding` (batch, hidden); with labels also `loss`, the weighted
            mean of the cross-entropy with soft labels.
        """
        if parts is not None:
            if handicaps is None:
                handicaps = torch.zeros_like(parts, dtype=torch.float32)
            deciding = self._deciding_runs(
                input_ids, attention_mask, marks, evidence, parts, handicaps
            )
            input_ids, attention_mask, marks, evidence = deciding
        pooled = self._pool(self._encode(input_ids, attention_mask, marks), attention_mask)
        own_logit, logit = self._logits(self.dropout(pooled), evidence)
        result = {"logit": logit, "embedding": pooled}
        if labels is not None:
            losses = _losses(logit, labels)
            if self.lexical_head is not None:
                losses = (losses + _losses(own_logit, labels)) / 2
            shares = torch.ones_like(losses) if weights is None else weights
            result = {"loss": (losses * shares).sum() / shares.sum(), **result}
        return result

    def logit_parts(
        self, input_ids: Tensor, attention_mask: Tensor, marks: Tensor, evidence: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What the encoder says of each run, and what its lexical evidence adds.

        Args:
            input_ids: As in `forward`, shape (runs, length); and so the others.
            attention_mask: As in `forward`.
            marks: As in `forward`.
            evidence: As in `forward`.

        Returns:
            Two parts of the logit, each of shape (runs,).
        """
        pooled = self._pool(self._encode(input_ids, attention_mask, marks), attention_mask)
        own, logit = self._logits(pooled, evidence)
        return own, logit - own

    def head_parameters(self) -> Iterator[Tensor]:
        """The parameters that are not pre-trained: those of the head and of the marks."""
        yield from self.head.parameters()
        if self.lexical_head is not None:
            yield from self.lexical_head.parameters()
        if self.mark_input == "token_types":
            yield _token_types(self.encoder).weight
        elif self.mark_input == "embedding":
            yield self.mark_embedding.weight

    def _logits(self, pooled: Tensor, evidence: Tensor | None) -> tuple[Tensor, Tensor]:
        """The logits without evidence and with it, each of shape (batch,)."""
        own: Tensor = self.head(pooled).squeeze(-1)
        if self.lexical_head is None:
            return own, own
        assert evidence is not None, "a lexical head needs evidence"
        return own, own + self.lexical_head(pooled, evidence)

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
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        marks: Tensor,
        evidence: Tensor | None,
        parts: Tensor,
        handicaps: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """The inputs of each row's deciding run, each of shape (batch, length or n).

        A row's logit is a min of maxes, and the gradient of that is the gradient of the logit it
        picks. So the runs are compared without gradients, as they are served, and only the deciding
        run of each row gets one: the memory of training does not grow with the length of its rows.
        """
        training = self.training
        self.eval()
        present = parts >= 0
        # A row's only run decides, whatever its logit is.
        compared = present & (present.sum(dim=1, keepdim=True) > 1)
        logits = torch.zeros(parts.shape, device=parts.device)
        if compared.any():
            logits[compared] = self._run_logits(
                input_ids[compared],
                attention_mask[compared],
                marks[compared],
                None if evidence is None else evidence[compared],
            )
        self.train(training)
        by_row = [
            torch.split(each[present], present.sum(dim=1).tolist())
            for each in (logits, parts, handicaps)
        ]
        runs = [
            deciding_run_index(*(each.tolist() for each in row))
            for row in zip(*by_row, strict=True)
        ]
        at = torch.arange(len(parts), device=parts.device), torch.tensor(runs, device=parts.device)
        own = None if evidence is None else evidence[at]
        return input_ids[at], attention_mask[at], marks[at], own

    def _run_logits(
        self, input_ids: Tensor, attention_mask: Tensor, marks: Tensor, evidence: Tensor | None
    ) -> Tensor:
        """The logits of runs, shape (runs,), some runs of similar length at a time."""
        logits = torch.zeros(len(attention_mask), device=attention_mask.device)
        lengths = attention_mask.sum(dim=1)
        for some in by_length(lengths, _RUNS_AT_ONCE):
            longest = int(lengths[some].max())
            ids, mask, kinds = (each[some, :longest] for each in (input_ids, attention_mask, marks))
            pooled = self._pool(self._encode(ids, mask, kinds), mask)
            own = None if evidence is None else evidence[some]
            logits[some] = self._logits(pooled, own)[1].float()
        return logits

    @staticmethod
    def _pool(hidden: Tensor, attention_mask: Tensor) -> Tensor:
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * mask).sum(dim=1) / mask.sum(dim=1)


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits.float(), labels, reduction="none")


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
