from __future__ import annotations

import numpy as np

from tipstaff import Interaction
from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.layout import Tokens
from tipstaff_trainer.data import Row
from tipstaff_trainer.distil.dataset import EncodedRows


def test_by_length_keeps_rows_beside_their_encodings():
    lengths = [(9,), (3,), (4, 4), (5,)]
    rows = [
        Row(interaction=Interaction(output="x"), label=1.0, id=str(sum(runs))) for runs in lengths
    ]
    encoded = [
        Encoded(tuple(Tokens(np.arange(n), np.zeros(n, dtype=np.int64)) for n in runs), (0,), {})
        for runs in lengths
    ]
    data = EncodedRows(rows, encoded).by_length()
    assert [row.id for row in data.rows] == ["3", "5", "8", "9"]
    assert [len(each) for each in data.encoded] == [3, 5, 8, 9]


def test_some_are_drawn_beside_their_encodings_the_same_each_time():
    rows = [
        Row(interaction=Interaction(output="x"), label=1.0, id=str(number)) for number in range(50)
    ]
    encoded = list(range(50))
    data = EncodedRows(rows, encoded).sample(20, seed=3)
    assert len(data) == 20
    assert [int(row.id) for row in data.rows] == data.encoded == sorted(set(data.encoded))
    assert EncodedRows(rows, encoded).sample(20, seed=3).encoded == data.encoded
    assert EncodedRows(rows, encoded).sample(20, seed=4).encoded != data.encoded
    assert EncodedRows(rows, encoded).sample(50, seed=3).encoded == encoded
