from __future__ import annotations

import numpy as np
import pytest

from tipstaff_trainer.errors import ParityError
from tipstaff_trainer.export.parity import compare, gate


def parity_of(torch, graph, labels=(1,), **options):
    """Compares rows of which the first are the validation rows, as many as there are labels."""
    sets = (
        {"validation": logits[: len(labels)], "train": logits[len(labels) :]}
        for logits in (torch, graph)
    )
    return compare(*sets, np.array(labels, float), **options)


def test_counts_changed_decisions_over_all_rows():
    torch = np.array([1.0, -1.0, 0.2, -0.3])
    graph = np.array([1.1, -0.9, -0.1, -0.3])
    parity = parity_of(torch, graph, [1, 0])
    assert (parity.n, parity.changed) == (4, 0.25)
    assert parity.largest_logit_difference == pytest.approx(0.3)
    assert parity.auroc_torch is None


def test_decisions_are_taken_at_the_cut():
    torch, graph = np.array([1.2, 0.8]), np.array([1.2, 1.1])
    assert parity_of(torch, graph, [1, 0]).changed == 0
    assert parity_of(torch, graph, [1, 0], cut=1.0).changed == 0.5


def test_auroc_is_compared_from_200_labelled_rows_on():
    labels = [0, 1] * 100
    torch = np.where(np.array(labels) == 1, 1.0, -1.0)
    parity = parity_of(torch, torch, labels)
    assert parity.auroc_torch == parity.auroc_graph == 1.0


@pytest.mark.parametrize(("changed", "passes"), [(20, True), (60, False)])
def test_the_gate_looks_at_the_lower_end_of_the_interval(changed, passes):
    torch = np.ones(1000)
    graph = np.where(np.arange(1000) < changed, -1.0, 1.0)
    parity = parity_of(torch, graph)
    assert parity.changed_low < parity.changed
    if passes:
        gate(parity, "int8")
    else:
        with pytest.raises(ParityError, match=r"int8 graph decides 6\.0% of 1000 rows"):
            gate(parity, "int8")


def test_a_handful_of_changed_rows_in_small_data_is_no_proof():
    torch, graph = np.ones(40), np.r_[-1.0, np.ones(39)]
    gate(parity_of(torch, graph), "int8")


def test_a_loss_of_auroc_is_refused():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 1000)
    torch = np.where(labels == 1, 1.0, -1.0) * (1 + generator.random(1000))
    shuffled = np.where(generator.random(1000) < 0.1, generator.permutation(torch), torch)
    # Under a cut that all logits reach, no decision changes.
    parity = parity_of(torch, shuffled, labels, cut=-3.0)
    assert parity.changed == 0
    with pytest.raises(ParityError, match="AUROC"):
        gate(parity, "int8")
