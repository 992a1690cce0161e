"""Compares a graph, run by the server's code, with the trained model in torch."""

from __future__ import annotations

from collections.abc import Mapping

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


def compare(
    torch: Mapping[str, Logits], graph: Mapping[str, Logits], labels: Logits, *, cut: float = 0.0
) -> Parity:
    """Compares the logits of model and graph.

    Args:
        torch: The trained model's logits by row set, in fp32, each of shape (n,). The weights were
            not fitted to the rows of the set `validation`.
        graph: The graph's logits, of the same rows; one interaction a run.
        labels: The labels of the validation rows.
        cut: The logit from which a decision is positive.
    """
    one, other = (np.concatenate(list(logits.values())) for logits in (torch, graph))
    changed = (one >= cut) != (other >= cut)
    share = binomtest(int(changed.sum()), len(changed))
    good = labels >= 0.5
    measured = len(good) >= _ROWS_FOR_AUROC and 0 < good.sum() < len(good)
    return Parity(
        n=len(changed),
        changed=float(changed.mean()),
        changed_low=float(share.proportion_ci(0.95, method="wilson").low),
        largest_logit_difference=float(np.abs(one - other).max()),
        auroc_torch=float(roc_auc_score(good, torch["validation"])) if measured else None,
        auroc_graph=float(roc_auc_score(good, graph["validation"])) if measured else None,
    )


def gate(parity: Parity, precision: str) -> None:
    """Checks that a graph decides as the model does.

    Raises:
        ParityError: Too many decisions differ, or the AUROC is lower.
    """
    if parity.changed_low > MAX_CHANGED:
        raise ParityError(
            f"the {precision} graph decides {parity.changed:.1%} of {parity.n} rows differently "
            f"from the model (at least {parity.changed_low:.1%}, allowed {MAX_CHANGED:.0%})"
        )
    gate_auroc(parity, precision)


def gate_auroc(parity: Parity, precision: str) -> None:
    """Checks only the AUROC, which the validation rows suffice for.

    Raises:
        ParityError: It is lower.
    """
    if parity.auroc_torch is None or parity.auroc_graph is None:
        return
    drop = parity.auroc_torch - parity.auroc_graph
    if drop > MAX_AUROC_DROP:
        raise ParityError(
            f"the {precision} graph loses {drop:.3f} AUROC against the trained model (allowed "
            f"{MAX_AUROC_DROP})"
        )
