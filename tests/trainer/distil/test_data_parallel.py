from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import transformers
from tiny_training import configurations

from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.layout import Tokens
from tipstaff_trainer.distil.data_parallel import DataParallel, by_length
from tipstaff_trainer.distil.dataset import Collator
from tipstaff_trainer.distil.model import EvaluatorModel


def model(architecture="bert"):
    """A model in training mode, but without randomness."""
    torch.manual_seed(0)
    config = copy.deepcopy(configurations()[architecture])
    encoder = transformers.AutoModel.from_config(config, attn_implementation="eager")
    evaluator = EvaluatorModel(encoder, marks="words").train()
    torch.nn.init.normal_(evaluator.head.weight)
    for module in evaluator.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif hasattr(module, "drop_prob"):
            module.drop_prob = 0.0
    return evaluator


def batch(*rows: tuple[int, ...]):
    """A batch of rows with these run lengths, and with varied labels and weights."""
    rng = np.random.default_rng(0)
    examples = [
        {
            "encoded": Encoded(
                tuple(
                    Tokens(rng.integers(5, 40, length), rng.integers(0, 4, length))
                    for length in lengths
                ),
                tuple(range(len(lengths))),
                {},
            ),
            "label": float(rng.random()),
            "weight": float(rng.integers(1, 4)),
        }
        for lengths in rows
    ]
    return Collator(0)(examples)


SHORT = [(3 + place * 7 % 20,) for place in range(19)]
LONG = [*SHORT[:9], (9, 14, 11), (20, 3)]


@pytest.mark.parametrize("architecture", ["bert", "deberta-v2", "modernbert"])
@pytest.mark.parametrize("rows", [SHORT, LONG, [(5,)]])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_shared_among_threads_a_batch_has_the_gradients_it_has_in_one(architecture, rows, threads):
    whole, given = model(architecture), batch(*rows)
    shared = copy.deepcopy(whole)
    found = whole(**given)
    found["loss"].backward()
    with DataParallel(threads) as cores:
        loss = cores.backward(shared, given)
        told = cores.forward(shared, given)
    assert loss.item() == pytest.approx(found["loss"].item(), rel=1e-5)
    assert told["loss"].item() == pytest.approx(loss.item(), rel=1e-5)
    for name in ("logit", "embedding"):
        assert torch.allclose(told[name], found[name], atol=1e-5)
    for (name, one), other in zip(whole.named_parameters(), shared.parameters(), strict=True):
        expected = torch.zeros_like(one) if one.grad is None else one.grad
        assert torch.allclose(other.grad, expected, atol=1e-5), name


def test_rows_share_a_part_by_length_and_long_ones_are_few():
    lengths = torch.tensor([5, 512, 20, 512, 512, 300, 1, 8000, 300])
    parts = [lengths[part].tolist() for part in by_length(lengths, 4)]
    assert parts == [[8000], [512, 512], [512, 300], [300, 20, 5, 1]]
    places = torch.cat(by_length(lengths, 4))
    assert sorted(places.tolist()) == list(range(len(lengths)))
    assert by_length(torch.tensor([0]), 8)[0].tolist() == [0]


def test_what_is_frozen_gets_no_gradient_and_a_second_batch_adds_to_the_first():
    evaluator = model()
    words = evaluator.encoder.get_input_embeddings().weight.requires_grad_(False)
    with DataParallel(2) as cores:
        cores.backward(evaluator, batch(*SHORT))
        once = evaluator.head.weight.grad.clone()
        cores.backward(evaluator, batch(*SHORT))
    assert words.grad is None
    assert torch.allclose(evaluator.head.weight.grad, 2 * once)


def test_a_run_can_be_repeated():
    def gradients():
        evaluator = model()
        with DataParallel(3) as cores:
            cores.backward(evaluator, batch(*LONG))
        return [each.grad for each in evaluator.parameters()]

    assert all(map(torch.equal, gradients(), gradients()))


def test_threads_are_as_before_once_it_is_over():
    before = torch.get_num_threads()
    with DataParallel() as cores:
        cores.forward(model(), batch(*SHORT))
    assert torch.get_num_threads() == before
