"""Measures the evidence of explanations: the passage found, and the sentence that is wrong.

    python benchmarks/evidence.py passages DATA
    python benchmarks/evidence.py sentences DATA [DATA…] [--bundle BUNDLE] [--answers N]

`passages` needs rows with a column `supporting`: sets of lines of `ground_truth` that people marked
as what supports the output. It prints how often the best passage by Tipstaff, and by words weighted
by their rarity alone, is in a marked line, for each label of the column that `--by` names.

`sentences` joins three to five supported outputs (`label` 1, one sentence each) into one answer,
and their ground truths into one, and exchanges a number, name, unit or negation of one sentence. It
prints how often that one has the lowest score. With BUNDLE, scores are the server's; without, the
evaluator's part is the share of the sentence's words that the passage has.

Both print one JSON object, with standard errors.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tipstaff.types import Interaction, SentenceEvidence
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.support import find_support
from tipstaff_server.evaluator.support.passages import Passages, stems_of
from tipstaff_server.evaluator.support.sentences import sentences_of
from tipstaff_trainer.probes import exchange
from tipstaff_trainer.probes.exchange import Exchange

_EXCHANGES: Mapping[str, Exchange] = {
    "number": exchange.number,
    "name": exchange.name,
    "unit": exchange.unit,
    "negation": exchange.negation,
}
# Characters of ground truth beside a sentence, where no bundle says how much it reads.
_ROOM = 1000
_TRIES = 200
_WORD = re.compile(r"\w+")

Record = Mapping[str, Any]


def by_words(output: str, lines: Sequence[str]) -> list[int]:
    """The lines' places, that with the largest weight of the output's words first.

    This is what evidence should be better than: words as they stand, weighted by their rarity.
    """
    words = [set(_WORD.findall(line.lower())) for line in lines]
    ours = set(_WORD.findall(output.lower()))
    weights = {
        word: math.log((len(lines) + 1) / (sum(word in line for line in words) + 0.5))
        for word in ours
    }
    values = [math.fsum(weights[word] for word in sorted(ours & line)) for line in words]
    return sorted(range(len(lines)), key=lambda place: (-values[place], place))


def by_tipstaff(output: str, truth: str, most: int) -> list[int]:
    """The lines in which the best passages start, the best first."""
    passages = Passages(truth, sentences_of(truth))
    matches = passages.best(stems_of(output), most)
    return [truth.count("\n", 0, passages.spans[each.index][0]) for each in matches]


def measure_passages(records: Sequence[Record], by: str) -> dict[str, object]:
    """How often a marked line is the best, and among the first three, by method and label."""
    hits: dict[str, list[tuple[bool, bool, bool, bool]]] = defaultdict(list)
    for record in tqdm(records, desc="searching", unit="row"):
        marked = {line for lines in record["supporting"] for line in lines}
        if not marked:
            continue
        output, truth = record["output"], record["ground_truth"]
        found = by_tipstaff(output, truth, 3)
        words = by_words(output, truth.split("\n"))[:3]
        hits[str(record[by])].append(
            (
                *(bool(places) and places[0] in marked for places in (found, words)),
                *(not marked.isdisjoint(places) for places in (found, words)),
            )
        )
    names = ("best", "best by words", "first three", "first three by words")
    return {
        label: {"rows": len(some)}
        | {name: _rate(column) for name, column in zip(names, zip(*some, strict=True), strict=True)}
        for label, some in sorted(hits.items())
    }


def answers(
    records: Sequence[Record], count: int, seed: int
) -> Iterator[tuple[str, Interaction, int]]:
    """Answers of several supported sentences, one of them made wrong.

    Yields:
        What was exchanged, the answer, and the wrong sentence's place in it.
    """
    good = [
        record
        for record in records
        if record["label"] == 1 and len(sentences_of(record["output"])) == 1
    ]
    truths = [record["ground_truth"] for record in good]
    generator = random.Random(seed)
    kinds = list(_EXCHANGES)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        for _ in range(_TRIES):
            chosen = generator.sample(good, generator.randint(3, 5))
            wrong = generator.randrange(len(chosen))
            row = chosen[wrong]
            changed = _EXCHANGES[kind](row["output"], row["ground_truth"], generator, truths)
            if changed is None or len(sentences_of(changed)) != 1:
                continue
            sentences = [_stopped(each["output"]) for each in chosen]
            sentences[wrong] = _stopped(changed)
            output = " ".join(sentences)
            if len(sentences_of(output)) == len(chosen):
                shuffled = generator.sample(chosen, len(chosen))
                truth = "\n".join(each["ground_truth"] for each in shuffled)
                yield kind, Interaction(output=output, ground_truth=truth), wrong
                break


def evidence_without_model(interaction: Interaction) -> tuple[SentenceEvidence, ...]:
    """The evidence with each sentence's share of words in place of an evaluator's score."""
    support = find_support(interaction, room=_ROOM)
    return support.evidence(
        [0.0 if passage is None else passage.share for passage in support.passages]
    )


def measure_sentences(
    records: Sequence[Record], bundle: Path | None, count: int, seed: int
) -> dict[str, object]:
    """How often the wrong sentence has the lowest score, in all and by what was exchanged."""
    evaluator = None if bundle is None else Evaluator.load(bundle)
    hits: dict[str, list[bool]] = defaultdict(list)
    for kind, interaction, wrong in tqdm(
        answers(records, count, seed), total=count, desc="scoring", unit="answer"
    ):
        if evaluator is None:
            evidence = evidence_without_model(interaction)
        else:
            evidence = evaluator.explain_sentences(interaction)
        scores = [each.score for each in evidence]
        others = [score for place, score in enumerate(scores) if place != wrong]
        hits["all"].append(scores[wrong] < min(others))
        hits[kind].append(scores[wrong] < min(others))
        if evaluator is not None:
            own = [each.evaluator_score for each in evidence]
            hits["all, by the evaluator alone"].append(own[wrong] == min(own))
    return {name: {"answers": len(some), "lowest": _rate(some)} for name, some in hits.items()}


def _stopped(sentence: str) -> str:
    bare = sentence.strip()
    bare = bare[:1].upper() + bare[1:]
    return bare if bare.endswith((".", "!", "?")) else f"{bare}."


def _rate(hits: Sequence[bool]) -> list[float]:
    """A share, and its standard error."""
    share = sum(hits) / len(hits)
    return [round(share, 3), round(math.sqrt(share * (1 - share) / len(hits)), 3)]


def _read(files: Sequence[Path]) -> list[Record]:
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    passages = commands.add_parser("passages", help="is the best passage one that people marked?")
    passages.add_argument("data", type=Path, help="JSON lines with a column `supporting`")
    passages.add_argument("--by", default="label", help="column that splits the rows")
    sentences = commands.add_parser("sentences", help="has the wrong sentence the lowest score?")
    sentences.add_argument("data", type=Path, nargs="+", help="JSON lines with labels")
    sentences.add_argument("--bundle", type=Path, help="an evaluator that scores each sentence")
    sentences.add_argument("--answers", type=int, default=400)
    sentences.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.command == "passages":
        print(json.dumps(measure_passages(_read([args.data]), args.by)))
    else:
        records = _read(args.data)
        print(json.dumps(measure_sentences(records, args.bundle, args.answers, args.seed)))


if __name__ == "__main__":
    main()
