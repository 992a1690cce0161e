"""Converts between the wire's messages and Tipstaff's values."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace

from tipstaff.types import (
    Certificate,
    ContradictionKind,
    Interaction,
    Reason,
    Score,
    SentenceEvidence,
    Verdict,
)
from tipstaff.v1 import scoring_pb2 as pb
from tipstaff_server.repository.registry import Served
from tipstaff_server.scoring.scorer import Task, certificate_of

_VERDICTS = {verdict: f"VERDICT_{verdict.name}" for verdict in Verdict}
_CONTRADICTION_KINDS = {kind: f"CONTRADICTION_KIND_{kind.name}" for kind in ContradictionKind}
_REASONS = {reason: f"REASON_{reason.name}" for reason in Reason}


def to_task(request: pb.ScoreRequest) -> Task:
    """The task of a request, with a new id if it has none."""
    return Task(
        interaction=Interaction(
            input=request.input if request.HasField("input") else None,
            output=request.output if request.HasField("output") else None,
            ground_truth=request.ground_truth if request.HasField("ground_truth") else None,
        ),
        evaluator=request.evaluator,
        version=request.version,
        request_id=request.request_id or uuid.uuid4().hex,
        explain=request.explain,
        attributes=dict(request.attributes) if request.attributes else {},
    )


def to_tasks(requests: Iterable[pb.ScoreRequest]) -> Iterator[Task]:
    """The tasks of a batch."""
    size = 0
    for request in requests:
        yield replace(to_task(request), bytes_before=size)
        # The texts, and the few bytes that name what is asked.
        size += request.ByteSize()


def from_score(score: Score) -> pb.ScoreResponse:
    """The reply for one scored interaction."""
    response = pb.ScoreResponse(
        request_id=score.request_id,
        evaluator=score.evaluator,
        version=score.version,
        engine=score.engine,
        score=score.score,
        verdict=_VERDICTS[score.verdict],
        pass_at=score.pass_at,
        block_below=score.block_below,
        certificate=_from_certificate(score.certificate),
        reasons=[_REASONS[reason] for reason in score.reasons],
        cached=score.cached,
        ood_score=score.ood_score,
    )
    for field, coverage in score.coverage.items():
        response.coverage.add(
            field=field,
            tokens_scored=coverage.scored,
            tokens_total=coverage.total,
            tokens_unknown=coverage.unknown,
            characters_dropped=coverage.dropped,
            unread_share=coverage.unread,
        )
    for each in score.highlights:
        response.highlights.add(start=each.start, end=each.end, weight=each.weight)
    response.evidence.extend(map(_from_evidence, score.evidence))
    if (timing := score.timing) is not None:
        response.timing.encode_seconds = timing.encode
        response.timing.queue_seconds = timing.queue
        response.timing.inference_seconds = timing.inference
        response.timing.total_seconds = timing.total
    return response


def from_served(served: Served) -> pb.EvaluatorInfo:
    """The description of one evaluator in service."""
    manifest, policy = served.evaluator.manifest, served.evaluator.graph.policy
    return pb.EvaluatorInfo(
        name=served.name,
        version=served.version,
        engine=served.evaluator.engine,
        criterion=manifest.criterion,
        fields=manifest.fields,
        pass_at=policy.pass_at,
        block_below=policy.block_below,
        certificate=_from_certificate(certificate_of(served)),
        max_tokens=manifest.encoding.max_length,
    )


def _from_evidence(evidence: SentenceEvidence) -> pb.SentenceEvidence:
    message = pb.SentenceEvidence(
        start=evidence.start,
        end=evidence.end,
        score=evidence.score,
        evaluator_score=evidence.evaluator_score,
    )
    if (passage := evidence.passage) is not None:
        message.passage.start, message.passage.end = passage.start, passage.end
        message.passage.share = passage.share
    for each in evidence.contradictions:
        message.contradictions.add(
            kind=_CONTRADICTION_KINDS[each.kind],
            start=each.start,
            end=each.end,
            truth_start=each.truth_start,
            truth_end=each.truth_end,
            strength=each.strength,
        )
    return message


def _from_certificate(certificate: Certificate | None) -> pb.Certificate | None:
    if certificate is None:
        return None
    return pb.Certificate(
        max_false_pass=certificate.max_false_pass,
        max_false_block=certificate.max_false_block,
        confidence=certificate.confidence,
        n=certificate.n,
        date=certificate.date,
    )
