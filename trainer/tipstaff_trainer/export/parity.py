"""Compares a graph, run by the server's code, with the trained model in torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from tipstaff_server.evaluator.manifest import Parity
from tipstaff_trainer.errors import ParityError
from tipstaff_trainer.evaluation.predict import Logits

# A graph that changes more decisions than this, with 97.5 % confidence, is not shipped.
MAX_CHANGED = 0.02
MAX_AUROC_DROP = 0.01
_ROWS_FOR_AUROC = 200


@dataclass(frozen=True, slots=True)
class LabelledLogits:
    """Labels of the validation rows, and their logits from torch and from the graph; shape (n,)."""

    labels: Logits
    torch: Logits
    graph: Logits


def compare(
    torch_logits: Logits, graph_logits: Logits, validation: LabelledLogits, *, cut: float = 0.0
) -> Parity:
    """Compares the logits of model and graph.

    Args:
        torch_logits: The trained model's, in fp32, shape (n,).
        graph_logits: The graph's, shape (n,); in runs of one request where it is not
            batch-invariant.
        validation: The rows among them that the weights were not fitted to, with labels.
        cut: The logit from which a decision is positive.
    """
    changed = (torch_logits >= cut) != (graph_logits >= cut)
    share = binomtest(int(changed.sum()), len(changed))
    truth = validation.labels >= 0.5
    both_classes = 0 < truth.sum() < len(truth)
    judged = len(truth) >= _ROWS_FOR_AUROC and both_classes
    return Parity(
        n=len(changed),
        changed=float(changed.mean()),
        changed_low=float(share.proportion_ci(0.95, method="wilson").low),
        largest_logit_difference=float(np.abs(torch_logits - graph_logits).max()),
        auroc_torch=float(roc_auc_score(truth, validation.torch)) if judged else None,
        auroc_graph=float(roc_auc_score(truth, validation.graph)) if judged else None,
    )


def gate(parity: Parity, precision: str) -> None:
    """Checks that a graph decides as the model does.

    Raises:
        ParityError: It doesn't.
    """
    if parity.changed_low > MAX_CHANGED:
        raise ParityError(
            f"the {precision} graph decides {parity.changed:.1%} of {parity.n} rows otherwise than "
            f"the trained model (at least {parity.changed_low:.1%}, allowed {MAX_CHANGED:.0%})",
            remedy="train with another base encoder, a lower learning rate or more rows",
        )
    if parity.auroc_torch is not None and parity.auroc_graph is not None:
        drop = parity.auroc_torch - parity.auroc_graph
        if drop > MAX_AUROC_DROP:
            raise ParityError(
                f"the {precision} graph loses {drop:.3f} AUROC against the trained model "
                f"(allowed {MAX_AUROC_DROP})",
                remedy="train with another base encoder or more rows",
            )
