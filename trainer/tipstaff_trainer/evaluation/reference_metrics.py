"""Cheap metrics that compare an output with reference texts, as baselines for an evaluator.

Each gives a number for one row, higher for better. A reference may hold several alternatives,
split at a separator; the best of them counts. Word overlap weighs words by the other rows.
"""

from __future__ import annotations

import importlib
import json
import math
import re
import string
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer
from sacrebleu.metrics.bleu import BLEU
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from tipstaff.errors import UsageError
from tipstaff.types import FIELDS
from tipstaff_trainer.data import Row
from tipstaff_trainer.data.cells import abbreviate
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.evaluation.word_overlap import word_overlaps

Metric = Callable[[Row], float]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
# Without it a short sentence, with no four words in common, has a BLEU of 0.
_BLEU = BLEU(effective_order=True)
# Scripts that put no spaces between words.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = Regex(rf"[{_UNSPACED}&&[\p{{L}}\p{{N}}]]\p{{M}}*|[\p{{L}}\p{{M}}\p{{N}}&&[^{_UNSPACED}]]+")


class _AnyScript:
    """Tokenizes any script for ROUGE, whose own tokenizer knows only a-z and 0-9.

    In scripts without spaces each character is a word: if a whole sentence were one word, all other
    sentences would be equally unlike it. English is tokenized as rouge-score does it by default.
    """

    def __init__(self) -> None:
        self._split = Split(_WORD, "removed", invert=True)
        self._english = DefaultTokenizer(use_stemmer=True)

    def tokenize(self, text: str) -> list[str]:
        folded = unicodedata.normalize("NFKC", text).casefold()
        return [
            part
            for word, _ in self._split.pre_tokenize_str(folded)
            for part in (self._english.tokenize(word) if word.isascii() else [word])
        ]


_ROUGE = RougeScorer(["rougeL"], tokenizer=_AnyScript())


def exact_match(output: str, references: Sequence[str]) -> float:
    """1 when the output equals a reference, apart from case, punctuation and articles.

    As SQuAD does it: Rajpurkar et al. 2016, "SQuAD: 100,000+ questions for machine comprehension of
    text", section 6.1.
    """
    return float(any(_normal(output) == _normal(reference) for reference in references))


def contains(output: str, references: Sequence[str]) -> float:
    """1 when the output contains a reference, ignoring case and signs; parts of words count."""
    words = _words(output)
    return float(any(_words(each) in words for each in references if _words(each)))


def token_f1(output: str, references: Sequence[str]) -> float:
    """The harmonic mean of word precision and recall, as SQuAD does it (see `exact_match`)."""
    return max(_f1(_normal(output).split(), _normal(each).split()) for each in references)


def bleu(output: str, references: Sequence[str]) -> float:
    """BLEU of one sentence against all references, in [0, 1]; by sacrebleu (Post 2018)."""
    return float(_BLEU.sentence_score(output, list(references)).score) / 100


def rouge_l(output: str, references: Sequence[str]) -> float:
    """ROUGE-L's F measure, in [0, 1] (Lin 2004); by rouge-score.

    On words, English ones by their stems; on characters where a script has no spaces.
    """
    return float(_ROUGE.score_multi(list(references), output)["rougeL"].fmeasure)


BY_NAME: Mapping[str, Callable[[str, Sequence[str]], float]] = {
    "exact match": exact_match,
    "contains a reference": contains,
    "token F1": token_f1,
    "BLEU": bleu,
    "ROUGE-L": rouge_l,
}


def truthfulness(output: str, correct: Sequence[str], incorrect: Sequence[str]) -> float:
    """How much more like a correct answer than like an incorrect one an output is, in [-1, 1].

    The largest ROUGE-L to a correct answer less the largest to an incorrect one, as TruthfulQA
    does it: Lin et al. 2022, "TruthfulQA: measuring how models mimic human falsehoods".
    """
    return rouge_l(output, correct) - rouge_l(output, incorrect)


def reference_metrics(
    rows: Sequence[Row],
    *,
    separator: str | None,
    correct: str | None = None,
    incorrect: str | None = None,
) -> dict[str, Metric]:
    """The metrics by name; one is NaN for a row without an output or a reference.

    Args:
        rows: The rows to measure, whose references give the weights of word overlap.
        separator: Splits alternatives, as in `Paris / Paris, France`; None for no alternatives.
        correct: Column of correct answers; None for the ground truth.
        incorrect: Column of incorrect ones; adds `truthfulness`.
    """

    def references(row: Row) -> list[str]:
        return _alternatives(_columns(row).get(correct or "ground_truth"), separator)

    def against(measure: Callable[[str, Sequence[str]], float], row: Row) -> float:
        output, texts = row.interaction.output or "", references(row)
        return measure(output, texts) if output.strip() and texts else math.nan

    def truthful(row: Row) -> float:
        wrong = _alternatives(_columns(row).get(incorrect or ""), separator)
        if not wrong:
            return math.nan
        return against(partial(truthfulness, incorrect=wrong), row)

    metrics: dict[str, Metric] = {name: partial(against, each) for name, each in BY_NAME.items()}
    metrics |= word_overlaps(rows, references)
    if incorrect:
        metrics["truthfulness (ROUGE-L)"] = truthful
    return metrics


def custom_metric(name: str) -> Metric:
    """A function of the user's own, named as `module:function`.

    It takes a dictionary of the row's columns (input, output and ground_truth under these names,
    the file's other columns under theirs) and returns a number, higher for better, or NaN for a
    row that it can't measure. Modules of the working folder can be imported.

    Raises:
        UsageError: There is no such module or function, or the module can't be imported.
    """
    module_name, colon, function_name = name.partition(":")
    if not (module_name and colon and function_name):
        raise _bad_metric(name, "name it as module:function")
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a user's module may raise anything
        raise _bad_metric(name, f"{module_name} can't be imported: {_one_line(error)}") from error
    finally:
        sys.path.remove(folder)
    if not hasattr(module, function_name):
        raise _bad_metric(name, f"{module_name} has no {function_name}")
    function = getattr(module, function_name)
    if not callable(function):
        raise _bad_metric(name, "is not a function")

    def metric(row: Row) -> float:
        where = f"{row.place or row.id}: {name}"
        try:
            value = function(_columns(row))
        except (Exception, SystemExit) as error:  # a user's function may raise anything
            raise DataError(f"{where} raised {_one_line(error)}") from error
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            raise DataError(
                f"{where} returned {abbreviate(value)}, which is not a number",
                remedy="return one, or NaN for a row that it can't measure",
            ) from None

    return metric


def _bad_metric(name: str, message: str) -> UsageError:
    return UsageError(message, field="metric", value=name)


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _columns(row: Row) -> dict[str, str | None]:
    return {**row.extra, **{field: row.interaction.get(field) for field in FIELDS}}


def _alternatives(text: str | None, separator: str | None) -> list[str]:
    """A cell's alternatives: the items of a JSON list, else the parts between separators."""
    if text is None:
        return []
    if text.startswith("["):
        try:
            items = json.loads(text)
        except ValueError:
            items = None
        if isinstance(items, list) and all(isinstance(part, str) for part in items):
            return [part for part in items if part.strip()]
    parts = text.split(separator) if separator else [text]
    return [part.strip() for part in parts if part.strip()]


def _normal(text: str) -> str:
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _f1(output: Sequence[str], reference: Sequence[str]) -> float:
    if not output or not reference:
        return float(output == reference)
    shared = (Counter(output) & Counter(reference)).total()
    return 2 * shared / (len(output) + len(reference))
