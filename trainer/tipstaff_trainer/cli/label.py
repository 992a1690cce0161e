"""`tipstaff label DATA --criterion NAME --judge-model MODEL --out FILE`: labels by an LLM judge."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Literal, get_args, get_origin

from pydantic import SecretStr, ValidationError
from tqdm import tqdm

from tipstaff.errors import UsageError
from tipstaff_trainer.cli.data_arguments import (
    add_data_arguments,
    check_exists,
    check_rows_file,
    warn,
    write_out,
)
from tipstaff_trainer.data import Data, Row, read_rows
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.judge import (
    Criterion,
    JudgeSettings,
    Labelled,
    Ledger,
    Progress,
    builtin_criteria,
    choose_examples,
    estimate,
    label_rows,
    load_criterion,
)
from tipstaff_trainer.judge.examples import FEWEST_EXAMPLES, MOST_EXAMPLES
from tipstaff_trainer.judge.records import reviewed_since
from tipstaff_trainer.progress import progress

_FLAGS = {"model": "--judge-model", "api_key": "--api-key-env"}
_WORDS_FOR_KINDS = {
    "logprobs": "from log-probabilities",
    "samples": "shares of samples",
    "verdict": "bare verdicts",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments; the judge's come from `JudgeSettings`."""
    add_data_arguments(parser)
    parser.add_argument(
        "--criterion",
        required=True,
        metavar="NAME|FILE",
        help=f"what is judged: a TOML file, or one of {', '.join(builtin_criteria())}",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="a .jsonl file")
    parser.add_argument(
        "--ledger",
        type=Path,
        metavar="FILE",
        help="where replies are kept, so that none is paid for twice (default: beside --out)",
    )
    parser.add_argument(
        "--examples",
        type=Path,
        metavar="FILE",
        help="reviewed rows to show the judge some of; none drawn at random or of the test part",
    )
    parser.add_argument(
        "--shots",
        type=_shots,
        default=8,
        metavar="N",
        help=f"how many examples, {FEWEST_EXAMPLES} to {MOST_EXAMPLES} (default: 8)",
    )
    parser.add_argument(
        "--batch",
        action="store_true",
        help="ask by the provider's batch files: cheaper, within a day",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="show one filled prompt and the cost, and call nobody",
    )
    group = parser.add_argument_group("judge")
    group.add_argument(
        "--api-key-env",
        default="OPENAI_API_KEY",
        metavar="NAME",
        help="the environment variable that holds the endpoint's key (default: OPENAI_API_KEY)",
    )
    for name, field in JudgeSettings.model_fields.items():
        if name == "api_key":
            continue
        shown = (
            "" if field.default is None or field.is_required() else f" (default: {field.default})"
        )
        group.add_argument(
            _flag(name),
            dest=f"judge_{name}",
            required=field.is_required(),
            metavar=_values(field.annotation),
            default=argparse.SUPPRESS,
            help=f"{field.description}{shown}",
        )


def run(args: argparse.Namespace) -> int:
    """Labels the rows, writes them and says what they came to."""
    criterion = load_criterion(args.criterion)
    settings = _settings(args)
    for path in (args.data, args.examples):
        if path is not None:
            check_exists(path)
    ledger_file = args.ledger or args.out.with_suffix(".ledger.sqlite")
    if not args.dry_run:
        _check_out(args.out, args.data, ledger_file)
    data = _read(args.data, args)
    examples = _examples(args)
    if args.dry_run:
        _show(data.whole, criterion, settings, examples)
        return 0
    _check_unreviewed(args.out, data)
    with (
        Ledger(ledger_file, alone=True) as ledger,
        _bar(len(data.whole), settings) as bar,
        _ctrl_c() as stop,
    ):
        labelled = label_rows(
            data.whole,
            criterion,
            settings,
            ledger,
            examples=examples,
            batch=args.batch,
            on_progress=bar,
            stop=stop,
        )
        try:
            counts = _write(labelled, args.out)
        except DataError as error:
            raise DataError(f"{error}; what was paid for is kept in {ledger_file}") from error
    _report(labelled, counts, settings, args.out)
    if labelled.stopped:
        print(
            f"tipstaff: stopped: {labelled.stopped}. What was paid for is kept in {ledger_file}; "
            "the same command goes on from there",
            file=sys.stderr,
        )
        return 1
    return 0 if any(counts[kind] for kind in _WORDS_FOR_KINDS) else 1


class _Bar:
    """Shows progress, and each note once."""

    def __init__(self, bar: tqdm, money: bool) -> None:
        self._bar = bar
        self._money = money
        self._shown = 0

    def __call__(self, progress: Progress) -> None:
        for note in progress.notes[self._shown :]:
            self._bar.write(f"note: {note}", file=sys.stderr)
        self._shown = len(progress.notes)
        spent = f"{progress.tokens:,} tokens"
        if self._money:
            spent = f"cost {progress.cost:,.4f}"
        self._bar.set_postfix_str(spent, refresh=False)
        self._bar.update(progress.done - self._bar.n)


@contextmanager
def _bar(total: int, settings: JudgeSettings) -> Iterator[_Bar]:
    money = bool(settings.price_input or settings.price_output)
    with progress(total=total, desc="judging", unit="row", smoothing=0.1) as bar:
        yield _Bar(bar, money)


@contextmanager
def _ctrl_c() -> Iterator[Event]:
    """The first Ctrl-C lets the calls on their way come home, the second doesn't."""
    stop = Event()

    def first(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)
        print("\nstopping after the calls on their way; Ctrl-C again: at once", file=sys.stderr)

    before = signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _read(path: Path, args: argparse.Namespace) -> Data:
    data = read_rows(
        path,
        columns=args.columns,
        mapping=dict(args.map),
        label_source=args.label_source,
        selection=args.selection,
        labelled=False,
    )
    warn(data.warnings)
    if doubtful := sum(row.labelled and row.label_source == "other" for row in data.whole):
        print(
            f"warning: {doubtful} rows have a label, and no word on who gave it: it becomes "
            "previous_label; where it is a person's, say --label-source human, and it stands",
            file=sys.stderr,
        )
    return data


def _examples(args: argparse.Namespace) -> tuple[Row, ...]:
    if args.examples is None:
        return ()
    reviewed = read_rows(args.examples, mapping=dict(args.map), label_source=args.label_source)
    chosen = choose_examples(reviewed.whole, args.shots)
    if not chosen:
        raise DataError(
            f"{args.examples}: all its rows were drawn at random or are of the test part, which "
            "are kept for honest numbers and never shown to the judge; review others, as those "
            "that the queue ranks, or a pilot"
        )
    good = sum(row.good for row in chosen)
    print(f"note: {len(chosen)} examples, {good} of them good", file=sys.stderr)
    return chosen


def _show(
    rows: Sequence[Row], criterion: Criterion, settings: JudgeSettings, examples: tuple[Row, ...]
) -> None:
    shown = estimate(rows, criterion, settings, examples=examples)
    print(shown.prompt)
    print()
    print(f"rows: {len(rows):,}, calls: {shown.calls:,}, tokens: about {shown.tokens:,}")
    if settings.price_input or settings.price_output:
        print(f"cost: about {shown.cost:,.4f}, at most {shown.most:,.4f}, without retries")
    else:
        print("cost: give --price-input and --price-output, per million tokens, to have it here")
    for note in shown.notes:
        print(f"note: {note}", file=sys.stderr)


def _write(labelled: Labelled, out: Path) -> Counter[str]:
    """Writes all rows; counts kinds and failures."""
    counts: Counter[str] = Counter()

    def lines() -> Iterator[str]:
        for judged in labelled.rows:
            counts[judged.kind or f"unlabelled: {judged.failure}"] += 1
            counts["good"] += judged.label is not None and judged.label >= 0.5
            yield json.dumps(judged.record(), ensure_ascii=False) + "\n"

    write_out(out, lines())
    return counts


def _report(labelled: Labelled, counts: Counter[str], settings: JudgeSettings, out: Path) -> None:
    kinds = {kind: counts[kind] for kind in _WORDS_FOR_KINDS if counts[kind]}
    count = sum(kinds.values())
    how = ", ".join(f"{number:,} {_WORDS_FOR_KINDS[kind]}" for kind, number in kinds.items())
    print(f"labelled: {count:,} of {len(labelled.rows):,} rows ({how or 'none'})")
    if count:
        print(f"good: {counts['good'] / count:.1%} of them")
    progress = labelled.progress
    paid = f", {progress.cost:,.4f} in money" if settings.cost(1, 1) else ""
    print(f"paid: {progress.tokens:,} tokens{paid}, earlier runs included")
    failures = [(name, number) for name, number in counts.items() if name.startswith("unlabelled")]
    for name, number in sorted(failures, key=lambda each: -each[1])[:5]:
        print(f"{name}: {number:,} rows")
    print(f"rows: {out}")
    if not count:
        return
    criterion = labelled.plan.prompt.criterion
    print(f"next: tipstaff review-queue {out}")
    print(
        f"      tipstaff train {out} --name {criterion.name} --out bundle --criterion "
        f'"{criterion.criterion}"'
    )


def _settings(args: argparse.Namespace) -> JudgeSettings:
    given = {
        name: value
        for name in JudgeSettings.model_fields
        if (value := getattr(args, f"judge_{name}", None)) is not None
    }
    key = os.environ.get(args.api_key_env)
    try:
        return JudgeSettings.model_validate(given | {"api_key": SecretStr(key) if key else None})
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise UsageError(f"{message}: --price-input, --price-output") from None
        name = str(first["loc"][0])
        raise UsageError(f"{_flag(name)} {first['input']}: {message}") from None


def _flag(name: str) -> str:
    return _FLAGS.get(name, "--" + name.replace("_", "-"))


def _values(annotation: object) -> str:
    if get_origin(annotation) is Literal:
        return "|".join(get_args(annotation))
    return "JSON" if any(get_origin(kind) is dict for kind in get_args(annotation)) else "VALUE"


def _shots(text: str) -> int:
    if not (text.isdecimal() and FEWEST_EXAMPLES <= int(text) <= MOST_EXAMPLES):
        raise argparse.ArgumentTypeError(
            f"{text!r}: take {FEWEST_EXAMPLES} to {MOST_EXAMPLES} examples"
        )
    return int(text)


def _check_out(out: Path, data: Path, ledger: Path) -> None:
    check_rows_file(out)
    for path, what in ((data, "the rows come from"), (ledger, "replies are kept in")):
        if out.resolve() == path.resolve():
            raise UsageError(f"--out {out}: is the file that {what}: choose another name")
    if out.exists() and not ledger.exists():
        raise UsageError(f"{out} is there already, and isn't this job's: choose another --out")


def _check_unreviewed(out: Path, data: Data) -> None:
    if out.exists() and (count := reviewed_since(out, data.whole)):
        raise UsageError(
            f"--out {out}: people have corrected {count:,} of its labels, which would be lost: "
            "rename it first; what was paid for is in the ledger"
        )
