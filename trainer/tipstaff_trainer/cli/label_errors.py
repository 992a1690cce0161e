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
_SHOWN = 5
_SHOWN_LETTERS = 60


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
    print(
        f"{len(likely)} of {len(result.suspects)} labels are likely wrong, by the other rows: "
        f"{request.out}"
    )
    for suspect in likely[:_SHOWN]:
        text = " ".join((suspect.row.interaction.output or "").split())
        shown = text if len(text) <= _SHOWN_LETTERS else text[: _SHOWN_LETTERS - 1] + "…"
        print(
            f"  {suspect.row.place or suspect.row.id}: labelled {suspect.row.label:g}, the others "
            f"say {suspect.probability:.2f}: {shown}"
        )
    if likely:
        print(
            f"Look at them: the others tell good from bad with an AUROC of {result.auroc:.2f}, and "
            "rare cases look like errors, too, so many of these labels may be right. Nothing was "
            "changed."
        )
    return 0
