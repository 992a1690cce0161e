"""`tipstaff label-errors DATA --out FILE`: labels that the other rows contradict, for a person."""

from __future__ import annotations

import argparse

from tipstaff.cli import flag_names
from tipstaff_server.cli.options import add_options, given
from tipstaff_trainer.cli.data_options import DATA_FLAGS, add_data_options, file_data
from tipstaff_trainer.operations.label_errors import LabelErrorsRequest, label_errors
from tipstaff_trainer.operations.sources import read_file
from tipstaff_trainer.progress import TerminalReporter

FLAGS = DATA_FLAGS
# How many likely errors to print, and how much of each output.
_ROWS = 5
_LETTERS = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_data_options(parser)
    add_options(parser, LabelErrorsRequest)


def run(args: argparse.Namespace) -> int:
    """Lists likely label errors; leaves the data unchanged."""
    source = file_data(args)
    request = LabelErrorsRequest.parse({**given(LabelErrorsRequest, args), "data": source})
    data = read_file(source, reporter=TerminalReporter(flag_names(FLAGS)))
    result = label_errors(request, data.rows)
    likely = result.likely
    print(f"{len(likely)} of {len(result.suspects)} labels are likely wrong: {request.out}")
    for suspect in likely[:_ROWS]:
        row = suspect.row
        text = " ".join((row.interaction.output or "").split())
        if len(text) > _LETTERS:
            text = text[: _LETTERS - 1] + "…"
        opinions = f"labelled {row.label:g}, the other rows suggest {suspect.probability:.2f}"
        print(f"  {row.place or row.id}: {opinions}: {text}")
    if likely:
        print(
            "Check them, since many may be right: rare cases look like errors too, and the other "
            f"rows tell good from bad with an AUROC of {result.auroc} on {result.auroc.n} rows. "
            "Nothing was changed."
        )
    return 0
