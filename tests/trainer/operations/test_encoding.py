"""How a training run reads long rows."""

from __future__ import annotations

from collections import Counter

import numpy as np

from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.layout import Tokens
from tipstaff_server.evaluator.windows import Window
from tipstaff_trainer.distil.dataset import EncodedRows
from tipstaff_trainer.operations.encoding import searched


def encoded(shares: list[float], parts: list[int]) -> Encoded:
    """Runs that are told apart by their first token; each has a share of the output's words."""
    runs = [
        Tokens(np.array([place]), np.array([0]), np.array([share, 0.0], dtype=np.float32))
        for place, share in enumerate(shares)
    ]
    excerpts = tuple({"output": Window(0, place)} for place in range(len(runs)))
    return Encoded(tuple(runs), tuple(parts), {}, excerpts=excerpts)


def test_training_searches_the_runs_that_share_most_words_with_each_part():
    shares = [0.1, 0.9, 0.2, 0.8, 0.7, 0.6, 0.1, 0.1, 0.3, 0.1, 0.1, 0.1]
    long = encoded(shares, [0] * 6 + [1] * 6)
    short = encoded([0.5, 0.1], [0, 0])
    one, other = searched(EncodedRows([], [long, short])).encoded
    assert other is short
    assert Counter(one.parts) == {0: 2, 1: 2}
    assert [int(run.ids[0]) for run in one.runs] == [1, 3, 6, 8]
    assert [excerpt["output"].end for excerpt in one.excerpts] == [1, 3, 6, 8]
