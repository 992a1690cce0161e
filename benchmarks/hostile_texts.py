"""Measures what reading a text takes, from its bytes to token ids, for texts meant to take long.

    python benchmarks/hostile_texts.py BUNDLE [--size 131072]
    python benchmarks/hostile_texts.py BUNDLE --instructions [--size 65536]

The first form prints the processor time of the tokenizer alone, of the whole encoding, and the most
that is allowed: 2.5 times the tokenizer's and 50 ms. The second counts instructions under valgrind,
which takes an hour, and prints how many more a text of `--size` bytes needs than one of a quarter
of it; 5 times as many are allowed. Beside them stands the same for the tokenizer alone. Each text
stands in each field, in output and ground truth, and in all three. Exits with 1 where more is
needed than is allowed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from hostile_samples import NAMES, hostile_text
from tokenizers import Tokenizer

from tipstaff.types import Field, Interaction
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.encoding import Encoder, load_encoder

_ALLOWED_RATIO, _ALLOWED_SECONDS = 2.5, 0.05
_ALLOWED_GROWTH = 5.0
_TRIES = 3
_USUAL: dict[Field, str] = {
    "input": "Can kitchen appliances be returned?",
    "output": "Kitchen appliances can be returned.",
    "ground_truth": "Kitchen appliances can be returned within 30 days of purchase.",
}
_PLACES: tuple[tuple[Field, ...], ...] = (
    ("input",),
    ("output",),
    ("ground_truth",),
    ("output", "ground_truth"),
    ("input", "output", "ground_truth"),
)


def interaction(name: str, size: int, place: Sequence[Field]) -> Interaction:
    """An interaction with `size` bytes of a hostile text in some fields."""
    text = hostile_text(name, size // len(place))
    return Interaction(**{**_USUAL, **dict.fromkeys(place, text)})


def measure(
    encoder: Encoder, tokenize: Callable[[Interaction], None], each: Interaction
) -> tuple[float, float]:
    """The tokenizer's and the whole encoding's processor seconds: the least of several tries."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(_TRIES):
        for work, seconds in zip((tokenize, encoder.encode), times, strict=True):
            started = time.thread_time()
            work(each)
            seconds.append(time.thread_time() - started)
    return min(times[0]), min(times[1])


def print_times(bundle: Path, names: Sequence[str], size: int) -> bool:
    """Prints a row for each text and place; returns whether all are within what is allowed."""
    encoder, tokenize = _prepare(bundle)
    print(f"{'text':32} {'in':26} {'tokenizer, ms':>13} {'encoding, ms':>12} {'allowed, ms':>11}")
    within = True
    for name, place in _cases(names):
        alone, whole = measure(encoder, tokenize, interaction(name, size, place))
        allowed = _ALLOWED_RATIO * alone + _ALLOWED_SECONDS
        within &= whole <= allowed
        print(
            f"{name:32} {'+'.join(place):26} {alone * 1e3:13.1f} {whole * 1e3:12.1f} "
            f"{allowed * 1e3:11.1f}{'' if whole <= allowed else '  too slow'}",
            flush=True,
        )
    return within


def print_growth(bundle: Path, names: Sequence[str], size: int) -> bool:
    """The same with instructions, for texts of a quarter of `size` bytes and of `size`."""
    counts = count_instructions(bundle, names, size)
    print(
        f"{'text':32} {'in':26} {'instructions':>13} {'of 4 times the text':>20} {'growth':>7} "
        f"{'tokenizer':>13} {'of 4 times the text':>20} {'growth':>7}"
    )
    within = True
    for (name, place), (quarter, whole) in zip(_cases(names), counts, strict=True):
        ok = whole.encoding <= _ALLOWED_GROWTH * quarter.encoding
        within &= ok
        pairs = ((quarter.encoding, whole.encoding), (quarter.tokenizer, whole.tokenizer))
        columns = (f"{few:13,} {many:20,} {many / few:7.2f}" for few, many in pairs)
        print(f"{name:32} {'+'.join(place):26} {' '.join(columns)}{'' if ok else '  too much'}")
    return within


class Instructions(NamedTuple):
    """What one interaction takes."""

    tokenizer: int
    encoding: int


def count_instructions(
    bundle: Path, names: Sequence[str], size: int
) -> list[tuple[Instructions, Instructions]]:
    """Instructions for each text in each place, at a quarter of the size and at the size.

    valgrind's callgrind ends a profile at each call of `getppid`: the marks between encodings.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *("valgrind", "-q", "--tool=callgrind", "--dump-before=getppid"),
            *("--instr-atstart=no", f"--callgrind-out-file={folder}/profile"),
            *(sys.executable, __file__, str(bundle), "--mark", "--size", str(size)),
            *("--only", *names),
        ]
        environment = os.environ | {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run(command, check=True, env=environment)
        profiles = sorted(
            Path(folder).glob("profile.*"), key=lambda file: int(file.suffix.removeprefix("."))
        )
        totals = [_total(file.read_text()) for file in profiles]
    # Each interaction has three: what came before it, the tokenizer alone, the encoding.
    counts = list(map(Instructions, totals[1::3], totals[2::3]))
    return list(zip(counts[0::2], counts[1::2], strict=True))


def encode_between_marks(bundle: Path, names: Sequence[str], size: int) -> None:
    """Encodes each text in each place, with calls of `getppid` before, between and after."""
    encoder, tokenize = _prepare(bundle)
    usual = Interaction(**_USUAL)
    encoder.encode(usual)
    tokenize(usual)
    # From here on: what came before takes ten times as long if it is counted.
    subprocess.run(["callgrind_control", "-i", "on", str(os.getpid())], check=True)
    for name, place in _cases(names):
        for part in (size // 4, size):
            each = interaction(name, part, place)
            os.getppid()
            tokenize(each)
            os.getppid()
            encoder.encode(each)
            os.getppid()


def _prepare(bundle: Path) -> tuple[Encoder, Callable[[Interaction], None]]:
    """A bundle's encoder, warmed up as by a server, and its tokenizer alone."""
    opened = Bundle.open(bundle)
    encoding, tokenizer = opened.manifest.encoding, Tokenizer.from_str(opened.tokenizer_json())
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    encoder = load_encoder(opened)
    encoder.warm_up()

    def tokenize(each: Interaction) -> None:
        tokenizer.encode_batch(
            [each.get(field) or "" for field in encoding.order], add_special_tokens=False
        )

    return encoder, tokenize


def _cases(names: Sequence[str]) -> Iterator[tuple[str, tuple[Field, ...]]]:
    return ((name, place) for name in names for place in _PLACES)


def _total(profile: str) -> int:
    match = re.search(r"^(?:totals|summary): (\d+)", profile, re.MULTILINE)
    return int(match[1]) if match else 0


def main() -> None:
    """Measures and prints; exits with 1 where a text needs more than is allowed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--size", type=int, default=131072, help="bytes of text")
    parser.add_argument("--only", nargs="*", default=NAMES, help="some of the texts")
    parser.add_argument("--instructions", action="store_true", help="count instructions")
    parser.add_argument("--mark", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    # As in the server.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if args.mark:
        encode_between_marks(args.bundle, args.only, args.size)
        return
    show = print_growth if args.instructions else print_times
    sys.exit(0 if show(args.bundle, args.only, args.size) else 1)


if __name__ == "__main__":
    main()
