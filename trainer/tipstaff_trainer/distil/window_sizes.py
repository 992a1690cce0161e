"""Chooses the lengths of windows from the lengths of the training texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tipstaff.types import Field
from tipstaff_server.evaluator.encoding import Encoder
from tipstaff_server.evaluator.manifest import Windows
from tipstaff_trainer.data import Row
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.errors import TrainingError

# The most rows whose lengths are measured.
_SAMPLE = 2000
# Shorter windows would cost more runs than they are worth, and separate what belongs together.
_SHORTEST_OUTPUT = 128
_SHORTEST_GROUND_TRUTH = 64
# Where training shows short ground truths among others: fewer runs of a long text, and the same
# number of tokens for each.
_LENGTHENED_GROUND_TRUTH = 128
# Where most longer texts have to be cut anyway. On WiCE's pages windows of 64 to 380 tokens tell as
# much, and a run of 380 takes more than twice as long to learn from.
_CUT_GROUND_TRUTH = 192
_LEAST = 4
# Share of the ground truths that may be longer than a window: one long text must not make windows
# in which all others get lost.
_LONGER = 0.01
# In logits. Chosen on hidden rows of the example data: with close-ups 8 to 100 give the same.
_HANDICAP = 8.0
# A shorter close-up might not hold one sentence.
_SHORTEST_CLOSE_UP = 16
# An output's window is this many times the longest output. Cutting an output does harm: no ground
# truth supports filler, and where one part holds the answer the other parts don't.
_OUTPUT_MARGIN = 2


def choose_windows(
    rows: Sequence[Row], encoder: Encoder, settings: TrainSettings
) -> Windows | None:
    """Chooses the windows that the settings leave open, from the lengths of the training rows.

    An evaluator that has learnt to find a sentence among three doesn't find it among thirty, but it
    can search three at a time. One that is trained on lengthened rows searches more at a time.

    Args:
        rows: The rows that the weights will be fitted to.
        encoder: An encoder without windows.
        settings: The run's settings.

    Returns:
        None where long texts are to be cut, or the evaluator reads no field that has windows.

    Raises:
        TrainingError: The windows don't fit into a run.
    """
    order = encoder.encoding.order
    if settings.max_runs == 1 or not {"output", "ground_truth"} & set(order):
        return None
    some = [rows[index] for index in range(0, len(rows), -(-len(rows) // _SAMPLE))]
    encoded = [encoder.encode(row.interaction) for row in some]

    def lengths_of(name: Field) -> list[int]:
        return [one.coverage[name].total for one in encoded if name in one.coverage]

    def longest(name: Field, without: float = 0.0) -> int:
        lengths = lengths_of(name)
        return int(np.quantile(lengths, 1 - without, method="higher")) if lengths else 0

    room = encoder.encoding.max_length - 1 - len(order)
    # No field may crowd out the others because it is long in these rows.
    quarter = max(_LEAST, room // 4)
    input_room = min(longest("input"), quarter)
    preferred = max(_OUTPUT_MARGIN * longest("output"), _SHORTEST_OUTPUT)
    shortest = _LENGTHENED_GROUND_TRUTH if settings.lengthened else _SHORTEST_GROUND_TRUTH
    usual = longest("ground_truth", without=_LONGER)
    most = room - input_room - min(preferred, quarter)
    truth = min(max(usual, shortest), most)
    longer = [length for length in lengths_of("ground_truth") if length > _CUT_GROUND_TRUTH]
    if settings.lengthened and sum(length > most for length in longer) > len(longer) / 2:
        truth = min(_CUT_GROUND_TRUTH, truth)
    truth = settings.ground_truth_window or truth
    output = settings.output_window or max(_LEAST, min(preferred, room - input_room - truth))
    if sum({"output": output, "ground_truth": truth}.get(name, 0) for name in order) > room:
        raise TrainingError(
            f"windows of {output} tokens of output and {truth} of ground truth don't fit into a "
            f"run, which has room for {room}",
            field="max_length",
            value=str(encoder.encoding.max_length),
            remedy="choose a larger one, or smaller {output_window} and {ground_truth_window}",
        )
    close_up = max(usual, _SHORTEST_CLOSE_UP) if settings.lengthened else truth
    return Windows(
        output=output,
        ground_truth=truth,
        max_runs=settings.max_runs,
        handicap=_HANDICAP if settings.lengthened else 0.0,
        close_up=close_up if close_up < truth else None,
    )
