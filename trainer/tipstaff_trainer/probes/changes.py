"""What the rewritings do: each function takes a draft and gives the new output.

None where the change doesn't apply to the row.
"""

from __future__ import annotations

from tipstaff_trainer.probes import exchange, surface, texts
from tipstaff_trainer.probes.draft import Draft

# How often a context's wrong claim is its own with a piece exchanged, rather than another row's.
_INVENTED = 0.5
# Shorter sentences say too little to be unsupported.
_FEWEST_WORDS = 4


def negated_truth(it: Draft) -> str | None:
    """The truth denied."""
    truth = it.truth()
    return it.compose.denial(truth) if truth else None


def pair(it: Draft, method: str, *, right: bool) -> str | None:
    """Denies one of truth and wrong answer and asserts the other.

    Both directions draw alike, so that equal generators give the same form with the pieces swapped.
    """
    # That a context denies another row's claim, nobody knows; that it denies its opposite is sure.
    invented = it.generator.random() < _INVENTED or right
    truth = it.right()
    wrong = it.false() if it.kind == "context" and invented else it.wrong()
    if not truth or not wrong or (right and not it.answerable):
        return None
    no, yes = (wrong, truth) if right else (truth, wrong)
    if len(texts.sentences(no)) > 1:
        no = texts.best_sentence(no, truth)
    text: str | None = getattr(it.compose, method)(no=no, yes=yes)
    return text


def echoed(it: Draft, answer: str) -> str | None:
    """The question, then an answer."""
    if not it.question or not answer:
        return None
    echo = texts.sentence_case(it.compose.pick("echoes"))
    return texts.fill(echo, answer, question=texts.capital(it.question))


def echoed_wrong(it: Draft) -> str | None:
    """The question, then a wrong answer."""
    return echoed(it, it.wrong())


def echoed_denied(it: Draft) -> str | None:
    """The question, then the truth denied."""
    truth = it.truth()
    return echoed(it, texts.capital(it.compose.denied(truth)) + ".") if truth else None


def question_alone(it: Draft) -> str | None:
    """The question in place of an answer."""
    if not it.question:
        return None
    question = texts.capital(it.question)
    return texts.fill(it.compose.pick("questions_alone"), question=question)


def beside(it: Draft, claim: str) -> str | None:
    """The ground truth, pasted beside a claim."""
    truth = it.truth()
    if not truth or not claim:
        return None
    return it.compose.beside(truth.rstrip(". "), claim)


def off_topic(it: Draft) -> str | None:
    """Another group's statement."""
    return it.foreign() or None


def unsupported(it: Draft) -> str | None:
    """Another group's statement added to the output."""
    new, own = it.foreign(), it.output
    if len(new.split()) < _FEWEST_WORDS:
        return None
    stopped = own if own.endswith((".", "!", "?")) else f"{own}."
    return f"{stopped} {new}" if it.generator.random() < 0.7 else f"{new} {own}"


def exchanged(it: Draft, change: exchange.Exchange) -> str | None:
    """A piece of a good output exchanged."""
    if it.kind == "context":
        truth = it.row.interaction.ground_truth or ""
        return change(it.output, truth, it.generator, it.pool.ground_truths)
    for truth in (truths := it.pool.truths(it.row)):
        if texts.contains(it.output, truth):
            text = change(it.output, truth, it.generator, it.pool.ground_truths)
            # Another alternative may still hold. A negation denies it, a wrong unit spoils it.
            kept = change not in (exchange.negation, exchange.unit)
            if text and not (kept and any(texts.contains(text, each) for each in truths)):
                return text
    return None


def greeted(it: Draft, *, start: bool, end: bool) -> str:
    """A greeting, a polite ending, or both."""
    before = texts.sentence_case(it.compose.pick("greetings")) if start else ""
    after = texts.sentence_case(it.compose.pick("endings")) if end else ""
    stop = "" if not end or it.output.endswith((".", "!", "?")) else "."
    return before + texts.capital(it.output) * bool(start) + it.output * (not start) + stop + after


def hedged(it: Draft) -> str:
    """A hedge or an assurance."""
    if it.generator.random() < 0.6 or len(texts.sentences(it.output)) > 1:
        return texts.sentence_case(it.compose.pick("hedges_before")) + texts.inner(it.output) + "."
    return it.output.rstrip(". ") + it.compose.pick("hedges_after") + "."


def mistyped(it: Draft) -> str:
    """Typing errors."""
    # A name that the truth has is an answer: mistyped it may be wrong.
    kept = frozenset(texts.words(it.row.interaction.ground_truth or ""))
    return surface.typos(it.output, it.generator, swap=it.half == "training", kept=kept)


def true_sentence(it: Draft) -> str | None:
    """The truth stated."""
    truth = it.truth() if it.answerable else ""
    return it.compose.assertion(truth) if truth else None
