from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from tiny_training import configurations

from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.layout import Tokens
from tipstaff_trainer.distil.dataset import Collator
from tipstaff_trainer.distil.inference import torch_logits
from tipstaff_trainer.distil.model import EvaluatorModel


def model(architecture="bert", *, marks="words"):
    torch.manual_seed(0)
    encoder = transformers.AutoModel.from_config(
        configurations()[architecture], attn_implementation="eager"
    )
    return EvaluatorModel(encoder, marks=marks).eval()


def batch(*lengths):
    torch.manual_seed(1)
    shape = (len(lengths), max(lengths))
    mask = torch.tensor([[int(place < length) for place in range(shape[1])] for length in lengths])
    return {
        "input_ids": torch.randint(5, 40, shape) * mask,
        "attention_mask": mask,
        "marks": torch.randint(0, 4, shape) * mask,
    }


@pytest.mark.parametrize(
    ("architecture", "mark_input"),
    [
        ("bert", "token_types"),
        ("albert", "token_types"),
        ("distilbert", "embedding"),
        ("roberta", "embedding"),
        ("deberta-v2", "embedding"),
        ("modernbert", "embedding"),
    ],
)
def test_marks_go_in_by_the_way_the_encoder_has(architecture, mark_input):
    assert model(architecture).mark_input == mark_input


def test_more_token_types_start_as_the_two_there_are():
    evaluator, older = model("bert"), model("bert", marks="overlap")
    given = batch(9, 9)
    shared = given | {"marks": given["marks"] % 2}
    assert torch.equal(evaluator(**given)["logit"], evaluator(**shared)["logit"])
    assert torch.equal(evaluator(**given)["logit"], older(**shared)["logit"])
    unmarked = given | {"marks": torch.zeros_like(given["marks"])}
    assert not torch.equal(evaluator(**given)["logit"], evaluator(**unmarked)["logit"])


def test_an_added_mark_embedding_starts_by_changing_nothing_and_can_learn():
    evaluator = model("distilbert")
    given = batch(9, 9)
    unmarked = given | {"marks": torch.zeros_like(given["marks"])}
    assert torch.equal(evaluator(**given)["logit"], evaluator(**unmarked)["logit"])
    evaluator(**given, labels=torch.tensor([1.0, 0.0]))["loss"].backward()
    assert evaluator.mark_embedding.weight.grad[1].abs().sum() > 0
    assert evaluator.mark_embedding.weight.grad[0].abs().sum() == 0


def test_without_marks_they_are_not_read():
    evaluator = model("bert", marks="off")
    given = batch(9)
    assert torch.equal(
        evaluator(**given)["logit"], evaluator(**given | {"marks": 1 - given["marks"]})["logit"]
    )


def test_padding_does_not_reach_the_embedding():
    evaluator = model()
    given = batch(4, 12)
    alone = {name: tensor[:1, :4] for name, tensor in given.items()}
    torch.testing.assert_close(
        evaluator(**given)["embedding"][:1], evaluator(**alone)["embedding"], atol=1e-5, rtol=0
    )


def test_the_loss_is_the_weighted_mean_of_soft_cross_entropies():
    evaluator = model()
    given = batch(5, 7, 9)
    labels, weights = torch.tensor([0.8, 0.0, 1.0]), torch.tensor([2.0, 1.0, 0.0])
    found = evaluator(**given, labels=labels, weights=weights)
    probability = torch.sigmoid(found["logit"])
    entropy = -(labels * probability.log() + (1 - labels) * (1 - probability).log())
    expected = (2 * entropy[0] + entropy[1]) / 3
    torch.testing.assert_close(found["loss"], expected)


def runs_of(*lengths: int) -> tuple[Tokens, ...]:
    return tuple(Tokens(np.arange(length) % 30 + 5, np.arange(length) % 2) for length in lengths)


def test_a_row_of_several_runs_is_the_one_that_decides():
    judge = model()
    torch.nn.init.normal_(judge.head.weight)
    rows = [
        Encoded(runs_of(9, 14, 11, 20), (0, 0, 1, 1), {}),
        Encoded(runs_of(12), (0,), {}),
        Encoded(runs_of(7, 8), (0, 1), {}),
    ]
    made = Collator(0)([{"encoded": row, "label": 1.0, "weight": 1.0} for row in rows])
    assert made["input_ids"].shape == (3, 4, 20)
    assert made["parts"].tolist() == [[0, 0, 1, 1], [0, -1, -1, -1], [0, 1, -1, -1]]
    found = judge(**made)
    np.testing.assert_allclose(
        found["logit"].detach().numpy(), torch_logits(judge, rows, pad_id=0), atol=1e-5
    )
    assert found["embedding"].shape == (3, 32)

    alone = [[torch_logits(judge, [Encoded((run,), (0,), {})], pad_id=0)[0] for run in row.runs]
             for row in rows]  # fmt: skip
    expected = [min(max(alone[0][:2]), max(alone[0][2:])), alone[1][0], min(alone[2])]
    np.testing.assert_allclose(found["logit"].detach().numpy(), expected, atol=1e-5)


def test_only_the_deciding_run_is_learnt_from():
    judge = model(marks="off")
    ids = [np.full(6, token) for token in (10, 20, 30)]
    row = Encoded(tuple(Tokens(one, one * 0) for one in ids), (0, 0, 1), {})
    made = Collator(0)([{"encoded": row, "label": 1.0, "weight": 1.0}])
    judge.train()
    judge(**made)["loss"].backward()
    assert judge.training
    gradient = judge.encoder.get_input_embeddings().weight.grad
    assert sum(bool(gradient[token].any()) for token in (10, 20, 30)) == 1


def test_rows_of_one_run_make_the_batch_they_always_made():
    rows = [Encoded(runs_of(length), (0,), {}) for length in (5, 9)]
    made = Collator(0)([{"encoded": row, "label": 0.0, "weight": 1.0} for row in rows])
    assert made["input_ids"].shape == (2, 9)
    assert "parts" not in made
