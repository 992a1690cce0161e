"""`tipstaff label DATA --criterion NAME --judge-model MODEL --out FILE`: labels by an LLM judge."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from threading import Event
from types import FrameType

from tqdm import tqdm

from tipstaff.cli import flag_names
from tipstaff_server.cli.options import add_options, given
from tipstaff_trainer.cli.data_options import DATA_FLAGS, add_data_options, file_data
from tipstaff_trainer.judge.criteria import JudgeCriterion, builtin_criteria, load_criterion
from tipstaff_trainer.judge.estimate import CostEstimate, estimate_cost
from tipstaff_trainer.judge.ledger import Ledger
from tipstaff_trainer.judge.settings import JudgeSettings
from tipstaff_trainer.operations.label import (
    LabelRequest,
    LabelResult,
    check_key,
    label,
    read_api_key,
)
from tipstaff_trainer.operations.label_check import EndpointCheck, check_endpoint
from tipstaff_trainer.operations.label_files import check_files, read_examples, read_unlabelled
from tipstaff_trainer.progress import TerminalReporter, progress

FLAGS = {
    "model": "--judge-model",
    "key_variable": "--api-key-env",
    "headers": "--header",
    **DATA_FLAGS,
}
# Fields of requests on stored rows.
_STORED = ("pilot", "only")
_WORDS_FOR_KINDS = {
    "logprobs": "from log-probabilities",
    "samples": "shares of samples",
    "verdict": "bare verdicts",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments; the judge's come from `JudgeSettings`."""
    add_data_options(parser)
    judge = {*JudgeSettings.model_fields, "key_variable"}
    add_options(parser, LabelRequest, flags=FLAGS, without={"data", *_STORED, *judge})
    parser.add_argument(
        "--dry-run", action="store_true", help="show one filled prompt and the cost, without calls"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="ask about the first row, and say what the endpoint can do and what is wrong",
    )
    add_options(parser.add_argument_group("judge"), LabelRequest, flags=FLAGS, only=judge)
    parser.epilog = f"Built-in criteria: {', '.join(builtin_criteria())}."


def run(args: argparse.Namespace) -> int:
    """Labels the rows, writes them and prints the counts."""
    data = file_data(args)
    request = LabelRequest.parse({**given(LabelRequest, args), "data": data})
    criterion = load_criterion(request.criterion)
    api_key = read_api_key(request.key_variable)
    reporter = TerminalReporter(flag_names(FLAGS))
    if not args.dry_run:
        check_key(request)
        if not args.check:
            check_files(request)
    rows = read_unlabelled(data, reporter).whole
    if args.check:
        check = check_endpoint(next(iter(rows)), criterion, request, api_key=api_key)
        _print_check(check, request)
        return int(not check.readable and not check.logprobs)
    examples = read_examples(request, reporter)
    if args.dry_run:
        estimate = estimate_cost(rows, criterion, request, examples=examples, reporter=reporter)
        _print_estimate(estimate, len(rows), request)
        return 0
    with (
        Ledger(request.ledger_file, exclusive=True, account=request.account(criterion)) as ledger,
        closing(_BarReporter(flag_names(FLAGS), len(rows))) as bar,
        _ctrl_c() as stop,
    ):
        result = label(
            request,
            rows,
            criterion=criterion,
            ledger=ledger,
            examples=examples,
            api_key=api_key,
            reporter=bar,
            stop=stop,
        )
    _print_result(result, request, criterion)
    if result.stopped:
        print(
            f"tipstaff: stopped: {result.stopped}. What was paid for is kept in "
            f"{request.ledger_file}; the same command resumes",
            file=sys.stderr,
        )
        return 1
    return 0 if result.labelled else 1


class _BarReporter(TerminalReporter):
    """Shows steps as a progress bar, and notes above it, until it is closed."""

    def __init__(self, name_of: Callable[[str], str], total: int) -> None:
        super().__init__(name_of)
        self._bar: tqdm = progress(total=total, desc="judging", unit="row", smoothing=0.1)

    def close(self) -> None:
        """Ends the bar."""
        self._bar.close()

    def step(self, done: int, total: int, message: str = "") -> None:
        """Moves the bar."""
        self._bar.set_postfix_str(message, refresh=False)
        self._bar.update(done - self._bar.n)

    def _print(self, kind: str, message: str, remedy: str) -> None:
        with self._bar.external_write_mode(file=sys.stderr):
            super()._print(kind, message, remedy)


@contextmanager
def _ctrl_c() -> Iterator[Event]:
    """Yields an event that the first Ctrl-C sets; the second Ctrl-C interrupts as usual."""
    stop = Event()

    def set_stop(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, usual_handler)
        print("\nstopping after the calls on their way; Ctrl-C again: at once", file=sys.stderr)

    usual_handler = signal.signal(signal.SIGINT, set_stop)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, usual_handler)


def _print_estimate(estimate: CostEstimate, rows: int, settings: JudgeSettings) -> None:
    print(estimate.prompt)
    print()
    print(f"rows: {rows:,}, calls: {estimate.calls:,}, tokens: about {estimate.tokens:,}")
    if settings.priced:
        print(
            f"cost: about {estimate.cost:,.4f}, at most {estimate.max_cost:,.4f}, without retries"
        )
    else:
        print("cost: unknown without --price-input and --price-output, per million tokens")


def _print_check(check: EndpointCheck, settings: JudgeSettings) -> None:
    for name, able in (
        ("log-probabilities", check.logprobs),
        ("several replies a call", check.samples),
        ("structured output", check.structured),
        ("replies can be read", check.readable),
    ):
        print(f"{name}: {'yes' if able else 'no'}")
    if check.without:
        print(f"refused parameters: {', '.join(check.without)}")
    tokens = f"{check.prompt_tokens:,} prompt tokens, {check.reply_tokens:,} a reply"
    money = f", {check.cost:.6f} in money" if settings.priced else ""
    print(f"a row costs: {tokens}{money}; a call took {check.seconds:.1f} s")
    print(f"a reply: {' '.join(check.reply.split())[:300]!r}")
    for problem in check.problems:
        print(f"problem: {problem}")


def _print_result(result: LabelResult, request: LabelRequest, criterion: JudgeCriterion) -> None:
    counts = sorted(result.kinds.items())
    kinds = ", ".join(f"{count:,} {_WORDS_FOR_KINDS[kind]}" for kind, count in counts)
    print(f"labelled: {result.labelled:,} of {result.rows:,} rows ({kinds or 'none'})")
    if result.labelled:
        print(f"good: {result.good / result.labelled:.1%} of them")
    money = f", {result.cost:,.4f} in money" if request.priced else ""
    print(f"paid: {result.tokens:,} tokens{money}, earlier runs included")
    failures = sorted(result.failures.items(), key=lambda each: -each[1])
    for reason, count in failures[:5]:
        print(f"unlabelled: {reason}: {count:,} rows")
    if result.unread:
        print(f"a reply that could not be read: {' '.join(result.unread.split())[:300]!r}")
    print(f"rows: {request.out}")
    if result.labelled:
        print(f"next: tipstaff review-queue {request.out}")
        print(
            f"      tipstaff train {request.out} --name {criterion.name} --out bundle --criterion "
            f'"{criterion.criterion}"'
        )
