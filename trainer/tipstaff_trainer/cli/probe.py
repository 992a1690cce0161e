"""`tipstaff probe BUNDLE DATA`: what rewriting outputs does to the verdicts."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tipstaff.cli import flag_names
from tipstaff_server.cli.options import add_options, given
from tipstaff_trainer.cli.data_options import DATA_FLAGS, add_data_options, file_data
from tipstaff_trainer.operations.probe import ProbeRequest, probe
from tipstaff_trainer.operations.sources import file_source
from tipstaff_trainer.progress import TerminalReporter

if TYPE_CHECKING:
    from tipstaff_server.evaluator.quality import Interval
    from tipstaff_trainer.operations.probe import Probing
    from tipstaff_trainer.probes.measure import ProbeResult

FLAGS = {"bundle": "BUNDLE", **DATA_FLAGS}
# Titles of the effects, and of the rows that each is measured on.
_TITLES = {
    "breaks": "bad once rewritten: share that gets PASS",
    "keeps": "as good as before: share of good rows that gets PASS",
    "mends": "good once rewritten: share that gets PASS",
}
_WORST = 3
_LONGEST = 160


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_options(parser, ProbeRequest, flags=FLAGS)
    add_data_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Probes, and prints the rates and examples of the worst rewritings.

    Returns:
        0.
    """
    data = file_data(args)
    request = ProbeRequest.parse({**given(ProbeRequest, args), "data": data})
    reporter = TerminalReporter(flag_names(FLAGS))
    probing = probe(request, file_source(data, reporter), reporter)
    if args.json:
        print(json.dumps(_object(probing)))
    else:
        print("\n".join(_lines(probing)))
    return 0


def _lines(probing: Probing) -> Iterator[str]:
    probed = probing.probed
    probes = probed.probes
    yield (
        f"{probing.engine}: {probes.rows} rows rewritten ({probed.pool.kinds}); as they were, "
        f"{_percent(probes.bad_passed)} of the bad ones pass and {_percent(probes.good_passed)} of "
        "the good ones"
    )
    for effect, title in _TITLES.items():
        results = [each for each in probed.results if each.rate.effect == effect]
        if not results:
            continue
        yield ""
        yield f"{title:<56} before   after (95 % interval)   at 0.5     n"
        yield from map(_line, results)
    worst = [each for each in probed.results if each.examples][:_WORST]
    for result in worst:
        yield ""
        yield f"{result.rate.name}, wrong verdicts:"
        for example in result.examples:
            text = " ".join((example.after.interaction.output or "").split())
            yield f"  {example.verdict} {example.score:.3f}  {_short(text)}"
            yield f"       ground truth: {_short(example.after.interaction.ground_truth or '')}"


def _line(result: ProbeResult) -> str:
    rate, after = result.rate, result.rate.after
    before = "" if rate.before is None else f"{rate.before:.1%}"
    ends = f"({after.ends('.1%')})"
    return (
        f"  {rate.name:<54} {before:>6}  {after.value:>6.1%} {ends:<17} "
        f"{result.half_after.value:>6.1%} {rate.n:>5}"
    )


def _percent(interval: Interval | None) -> str:
    return "–" if interval is None else f"{interval.value:.1%}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _object(probing: Probing) -> dict[str, Any]:
    probed = probing.probed
    probes = probed.probes.model_dump(exclude={"rates"})
    return {
        "engine": probing.engine,
        "kind": probed.pool.kinds.usual,
        "kinds": probed.pool.kinds.all,
        **probes,
        "rewritings": [
            {
                **each.rate.model_dump(),
                "half_before": each.half_before,
                "half_after": each.half_after.model_dump(),
                "examples": [
                    {
                        "id": example.before.id,
                        "output": example.before.interaction.output,
                        "rewritten": example.after.interaction.output,
                        "ground_truth": example.after.interaction.ground_truth,
                        "score": example.score,
                        "verdict": example.verdict,
                    }
                    for example in each.examples
                ],
            }
            for each in probed.results
        ],
        "idle": list(probed.idle),
    }
