"""`tipstaff relabel DATA --reviewed FILE --out FILE`: a judge's labels, corrected by people's."""

from __future__ import annotations

import argparse

from tipstaff.cli import flag_names
from tipstaff_server.cli.options import add_options, given
from tipstaff_trainer.cli.data_options import DATA_FLAGS, add_data_options, file_data
from tipstaff_trainer.operations.relabel import RelabelRequest, relabel
from tipstaff_trainer.operations.sources import read_file
from tipstaff_trainer.progress import TerminalReporter

FLAGS = DATA_FLAGS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_data_options(parser)
    add_options(parser, RelabelRequest)


def run(args: argparse.Namespace) -> int:
    """Corrects the labels, writes all rows and prints how good the correction is."""
    source = file_data(args)
    by_judge = {"label_source": source.label_source or "judge", "selection": None}
    labelled_by_judge = source.model_copy(update=by_judge)
    request = RelabelRequest.parse({**given(RelabelRequest, args), "data": labelled_by_judge})
    reporter = TerminalReporter(flag_names(FLAGS))
    data = read_file(labelled_by_judge, reporter=reporter)
    by_people = {"data": request.reviewed, "columns": None, "label_source": "human"}
    reviewed = read_file(source.model_copy(update=by_people), reporter=reporter).whole
    result = relabel(request, data.whole, reviewed, reporter, grouped=data.rows)
    print(
        f"reviewed: {result.reviewed} of the judge's rows, {result.drawn} of them drawn at random, "
        f"{result.overruled} of those overruled"
    )
    print(f"relabelled: {result.relabelled} rows, {result.changed} changed side")
    print(result.worth)
    print(f"rows: {request.out}")
    return 0
