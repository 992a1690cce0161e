"""Reading a text takes a time that grows with its length, whatever the text."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hostile_samples import NAMES, hostile_text
from tiny_training import tiny_tokenizer
from tokenizers import Tokenizer

from tipstaff import Interaction
from tipstaff_server.evaluator.encoding import Encoder
from tipstaff_server.evaluator.explanation import search
from tipstaff_server.evaluator.manifest import Encoding, Windows

TOKENIZER = tiny_tokenizer("bert").backend_tokenizer.to_str()
ENCODER = Encoder(
    TOKENIZER,
    Encoding(
        order=("output", "ground_truth", "input"),
        marks="forms",
        max_length=256,
        cls_id=2,
        sep_id=3,
        pad_id=0,
        windows=Windows(output=64, ground_truth=64, max_runs=16),
        fold_look_alikes=True,
    ),
)
PLACES = (("input",), ("output",), ("ground_truth",), ("output", "ground_truth"))
SIZE = 6000


def seconds(work: Callable[[], object]) -> float:
    started = time.thread_time()
    work()
    return time.thread_time() - started


def soon(holds: Callable[[], bool], tries: int = 8) -> bool:
    """Whether something about times holds, once other work on the machine lets it."""
    return any(holds() for _ in range(tries))


@pytest.mark.parametrize("name", NAMES)
def test_four_times_the_text_takes_about_four_times_as_long(name):
    for place in PLACES:
        few, many = (
            Interaction(
                **{"output": "it is green", "ground_truth": "the bird is green"}
                | dict.fromkeys(place, hostile_text(name, size))
            )
            for size in (SIZE, 4 * SIZE)
        )
        short, long = [], []

        def is_linear(few=few, many=many, short=short, long=long) -> bool:
            short.append(seconds(lambda: ENCODER.encode(few)))
            long.append(seconds(lambda: ENCODER.encode(many)))
            # A square would be 16 times as long.
            return min(long) <= 5 * min(short) + 0.01

        assert soon(is_linear), (place, short, long)


@pytest.mark.parametrize("text", ["漢" * 40_000, "1" * 120_000, "a" * 100_000, "\ufdfa" * 40_000])
def test_reading_takes_little_more_than_the_tokenizer(text):
    tokenizer = Tokenizer.from_str(TOKENIZER)
    interaction = Interaction("q", text, "Kitchen appliances can be returned.")
    alone, whole = [], []

    def is_quick() -> bool:
        alone.append(seconds(lambda: tokenizer.encode(text)))
        whole.append(seconds(lambda: ENCODER.encode(interaction)))
        return min(whole) <= 2.5 * min(alone) + 0.05

    assert soon(is_quick), (alone, whole)


def test_an_encoding_can_be_stopped_between_its_steps():
    interaction = Interaction("q", "the bird. " * 2000, "green. " * 2000)
    steps = []
    ENCODER.encode(interaction, lambda: steps.append(time.monotonic()))
    assert len(steps) > 6

    def stop() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        ENCODER.encode(interaction, stop)


@pytest.mark.parametrize("name", ["zero-width and spaces", "one-letter words", "brackets"])
def test_a_search_for_words_takes_no_longer_for_many_of_them(name):
    few, many = (Interaction(output=hostile_text(name, size)) for size in (SIZE, 4 * SIZE))
    short, long = [], []

    def is_linear() -> bool:
        short.append(seconds(lambda: next(search(few))))
        long.append(seconds(lambda: next(search(many))))
        return min(long) <= 5 * min(short) + 0.01

    assert soon(is_linear), (short, long)
