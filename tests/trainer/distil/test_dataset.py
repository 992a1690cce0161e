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
    every = EncodedRows(rows, [[number] for number in range(50)])

    def drawn(count, *, seed=3):
        data = every.sample(count, seed=seed)
        numbers = [each[0] for each in data.encoded]
        assert [int(row.id) for row in data.rows] == numbers == sorted(set(numbers))
        return numbers

    assert len(drawn(20)) == 20
    assert drawn(20) == drawn(20) != drawn(20, seed=4)
    assert drawn(50) == list(range(50))


def test_rows_are_parted_beside_their_encodings():
    rows = [Row(Interaction(output="x"), label=number % 2, id=str(number)) for number in range(5)]
    every = EncodedRows(rows, [[number] for number in range(5)])
    assert every.first(2).encoded == [[0], [1]]
    parts = every.by(lambda row: row.good)
    assert {good: part.encoded for good, part in parts.items()} == {
        False: [[0], [2], [4]],
        True: [[1], [3]],
    }
    assert [row.id for row in parts[True].rows] == ["1", "3"]
