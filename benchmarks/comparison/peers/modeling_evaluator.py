"""The evaluator for transformers: BERT, the mean of its tokens, one logit.

`model_folder.py` copies this file into the model folder that peers serve; its `auto_map` names it.
"""

from torch import nn
from transformers import BertModel, BertPreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class EvaluatorForSequenceClassification(BertPreTrainedModel):
    """Like `tipstaff_trainer.distil.model.EvaluatorModel`, with marks as `token_type_ids`."""

    def __init__(self, config):  # noqa: ANN001, ANN204  peers' code is not type-checked
        super().__init__(config)
        self.num_labels = config.num_labels
        self.bert = BertModel(config, add_pooling_layer=False)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None, **_):  # noqa: ANN001, ANN003, ANN201
        """Logits of shape (batch, 1)."""
        hidden = self.bert(
            input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        return SequenceClassifierOutput(logits=self.classifier(pooled))
