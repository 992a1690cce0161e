"""`tipstaff review-queue DATA`: a judge's rows, ranked for review by people."""

from __future__ import annotations

import argparse
from collections import Counter

from tipstaff.cli import flag_names
from tipstaff_server.cli.options import add_options, given
from tipstaff_trainer.cli.data_options import DATA_FLAGS, add_data_options, file_data
from tipstaff_trainer.operations.review_queue import ReviewQueueRequest, queue_lines, review_queue
from tipstaff_trainer.operations.sources import FileData, read_file
from tipstaff_trainer.progress import TerminalReporter

FLAGS = DATA_FLAGS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_data_options(parser)
    add_options(parser, ReviewQueueRequest)


def run(args: argparse.Namespace) -> int:
    """Ranks the rows and writes the queue."""
    source = file_data(args)
    request = ReviewQueueRequest.parse({**given(ReviewQueueRequest, args), "data": source})
    data = read_file(source, reporter=TerminalReporter(flag_names(FLAGS)))
    judges = [read_file(FileData(data=file, mapping=source.mapping)) for file in request.judge]
    queue = review_queue(request, data, judges)
    if request.out is None:
        print("".join(queue_lines(queue)), end="")
        return 0
    counts = Counter(each.selection for each in queue)
    shares = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    print(f"queue: {len(queue)} of {len(data.rows)} rows ({shares})")
    print(f"rows: {request.out}")
    print("next: correct label, set label_source to human, and train on both files together; a")
    print("      person's label of an id outranks the judge's")
    return 0
