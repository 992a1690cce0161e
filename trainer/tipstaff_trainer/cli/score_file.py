"""`tipstaff score-file FILE --bundle B --out OUT`: a file with score, verdict and reasons."""

from __future__ import annotations

import argparse

from tqdm import tqdm

from tipstaff.cli import flag_names
from tipstaff_server.cli.options import add_options, given
from tipstaff_trainer.cli.data_options import DATA_FLAGS, add_data_options, file_data
from tipstaff_trainer.operations.score_file import ScoreFileRequest, score_file
from tipstaff_trainer.progress import TerminalReporter, progress

FLAGS = {**DATA_FLAGS, "data": "FILE"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_data_options(parser)
    add_options(parser, ScoreFileRequest, flags=FLAGS, without={"data"})


def run(args: argparse.Namespace) -> int:
    """Scores the file and prints the counts of the verdicts."""
    request = ScoreFileRequest.parse({**given(ScoreFileRequest, args), "data": file_data(args)})
    bar: tqdm = progress(desc="scoring", unit="row")
    try:
        result = score_file(request, _BarReporter(bar))
    finally:
        bar.close()
    print(f"rows: {result.rows:,}, {result.resumed:,} of them scored by an earlier run")
    for verdict, count in sorted(result.verdicts.items()):
        print(f"{verdict or 'no score'}: {count:,}")
    print(f"written: {request.out}")
    return 0


class _BarReporter(TerminalReporter):
    def __init__(self, bar: tqdm) -> None:
        super().__init__(flag_names(FLAGS))
        self._bar = bar

    def step(self, done: int, total: int, message: str = "") -> None:
        """Moves the bar."""
        self._bar.update(done - self._bar.n)
