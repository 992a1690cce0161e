"""From messages to tasks."""

from __future__ import annotations

from tipstaff.v1 import scoring_pb2 as pb
from tipstaff_server.rpc import convert


def test_each_task_of_a_batch_knows_how_much_is_read_before_it():
    sizes = [100, 16000, 0, 40]
    tasks = list(convert.to_tasks([pb.ScoreRequest(output="x" * size) for size in sizes]))
    before = [task.bytes_before for task in tasks]
    assert [len(task.interaction.output) for task in tasks] == sizes
    for index, size in enumerate(before):
        assert sum(sizes[:index]) <= size <= sum(sizes[:index]) + 10 * index
    assert convert.to_task(pb.ScoreRequest(output="x")).bytes_before == 0
