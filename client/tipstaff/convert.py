"""Converts the wire's messages to values of `tipstaff.types`, and back."""

from __future__ import annotations

from collections.abc import Mapping

from tipstaff.errors import InvalidRequestError
from tipstaff.types import (
    FIELDS,
    Certificate,
    Contradiction,
    ContradictionKind,
    Coverage,
    EvaluatorInfo,
    Highlight,
    Interaction,
    Passage,
    Reason,
    Score,
    SentenceEvidence,
    Timing,
    Verdict,
)
from tipstaff.v1 import scoring_pb2 as pb

_VERDICTS = {
    pb.VERDICT_PASS: Verdict.PASS,
    pb.VERDICT_REVIEW: Verdict.REVIEW,
    pb.VERDICT_BLOCK: Verdict.BLOCK,
}
_CONTRADICTION_KINDS = {
    number: ContradictionKind(name.removeprefix("CONTRADICTION_KIND_"))
    for name, number in pb.ContradictionKind.items()
    if number != pb.CONTRADICTION_KIND_UNSPECIFIED
}
_REASONS = {
    number: Reason(name.removeprefix("REASON_"))
    for name, number in pb.Reason.items()
    if number != pb.REASON_UNSPECIFIED
}


def to_request(
    interaction: Interaction,
    *,
    evaluator: str,
    version: int,
    request_id: str,
    explain: bool,
    attributes: Mapping[str, str] | None = None,
) -> pb.ScoreRequest:
    """The request for one score.

    Raises:
        InvalidRequestError: All three fields are absent, a text can't be written as UTF-8, or the
            version is out of range.
        TypeError: A field is neither a str nor None, or an attribute is not a str.
    """
    texts = {name: interaction.get(name) for name in FIELDS}
    for name, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise TypeError(f"{name} must be a str or None, not {type(text).__name__}")
        # A lone surrogate: JSON with a broken escape decodes to one.
        if text is not None and not _is_unicode(text):
            raise _invalid(f"{name}: not valid Unicode text", request_id)
    if not _is_unicode(evaluator + request_id):
        raise _invalid("evaluator, request_id: not valid Unicode text", "")
    if not 0 <= version < 2**32:
        raise _invalid(f"version: {version} is out of range", request_id)
    if all(text is None for text in texts.values()):
        raise _invalid("input, output, ground_truth: all absent, give at least one", request_id)
    if attributes and not all(_is_unicode(name + value) for name, value in attributes.items()):
        raise _invalid("attributes: not valid Unicode text", request_id)
    return pb.ScoreRequest(
        input=texts["input"],
        output=texts["output"],
        ground_truth=texts["ground_truth"],
        evaluator=evaluator,
        version=version,
        request_id=request_id,
        explain=explain,
        attributes=attributes,
    )


def to_feedback(
    request_id: str, *, evaluator: str, good: bool, source: str, note: str
) -> pb.SubmitFeedbackRequest:
    """The request that submits feedback.

    Raises:
        InvalidRequestError: The id is empty, or a text can't be written as UTF-8.
        TypeError: `good` is not a bool.
    """
    if not isinstance(good, bool):
        raise TypeError(f"good must be True or False, not {type(good).__name__}")
    if not _is_unicode(request_id + evaluator + source + note):
        raise _invalid("request_id, evaluator, source, note: not valid Unicode text", "")
    if not request_id:
        raise _invalid("request_id: empty, give that of the score", "")
    return pb.SubmitFeedbackRequest(
        request_id=request_id, evaluator=evaluator, good=good, source=source, note=note
    )


def to_score(message: pb.ScoreResponse) -> Score:
    """The score in a reply, which may come from a server newer than this client."""
    reasons = [_REASONS.get(number, Reason.UNKNOWN) for number in message.reasons]
    verdict = _VERDICTS.get(message.verdict)
    if verdict is None:
        # An unknown verdict counts neither as PASS nor as BLOCK.
        verdict = Verdict.REVIEW
        reasons.append(Reason.UNKNOWN)
    return Score(
        verdict=verdict,
        score=message.score,
        request_id=message.request_id,
        evaluator=message.evaluator,
        version=message.version,
        engine=message.engine,
        pass_at=message.pass_at,
        block_below=message.block_below,
        certificate=_to_certificate(message),
        reasons=tuple(dict.fromkeys(reasons)),
        coverage={
            part.field: Coverage(
                scored=part.tokens_scored,
                total=part.tokens_total,
                unknown=part.tokens_unknown,
                dropped=part.characters_dropped,
                unread=part.unread_share,
            )
            for part in message.coverage
        },
        timing=_to_timing(message.timing) if message.HasField("timing") else None,
        cached=message.cached,
        ood_score=message.ood_score if message.HasField("ood_score") else None,
        highlights=tuple(
            Highlight(part.start, part.end, part.weight) for part in message.highlights
        ),
        evidence=tuple(map(_to_evidence, message.evidence)),
    )


def to_evaluator_info(message: pb.EvaluatorInfo) -> EvaluatorInfo:
    """One entry of the list of evaluators."""
    return EvaluatorInfo(
        name=message.name,
        version=message.version,
        engine=message.engine,
        criterion=message.criterion,
        fields=tuple(message.fields),
        pass_at=message.pass_at,
        block_below=message.block_below,
        certificate=_to_certificate(message),
        max_tokens=message.max_tokens,
    )


def _to_certificate(holder: pb.ScoreResponse | pb.EvaluatorInfo) -> Certificate | None:
    if not holder.HasField("certificate"):
        return None
    message = holder.certificate
    return Certificate(
        max_false_pass=message.max_false_pass,
        max_false_block=message.max_false_block,
        confidence=message.confidence,
        n=message.n,
        date=message.date,
    )


def _to_evidence(message: pb.SentenceEvidence) -> SentenceEvidence:
    passage = message.passage
    return SentenceEvidence(
        start=message.start,
        end=message.end,
        score=message.score,
        evaluator_score=message.evaluator_score,
        passage=Passage(passage.start, passage.end, passage.share)
        if message.HasField("passage")
        else None,
        contradictions=tuple(
            Contradiction(
                kind=_CONTRADICTION_KINDS.get(each.kind, ContradictionKind.UNKNOWN),
                start=each.start,
                end=each.end,
                truth_start=each.truth_start if each.HasField("truth_start") else None,
                truth_end=each.truth_end if each.HasField("truth_end") else None,
                strength=each.strength,
            )
            for each in message.contradictions
        ),
    )


def _to_timing(message: pb.Timing) -> Timing:
    return Timing(
        encode=message.encode_seconds,
        queue=message.queue_seconds,
        inference=message.inference_seconds,
        total=message.total_seconds,
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _invalid(message: str, request_id: str) -> InvalidRequestError:
    return InvalidRequestError(message, code="INVALID_ARGUMENT", request_id=request_id)
