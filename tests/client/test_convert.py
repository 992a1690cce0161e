from __future__ import annotations

import pytest

from tipstaff.convert import to_evaluator_info, to_request, to_score
from tipstaff.types import (
    Certificate,
    Contradiction,
    ContradictionKind,
    Coverage,
    Highlight,
    Interaction,
    Passage,
    Reason,
    Verdict,
)
from tipstaff.v1 import scoring_pb2 as pb


@pytest.mark.parametrize(
    "interaction",
    [
        Interaction(input="Q"),
        Interaction(output=""),
        Interaction(ground_truth="naïve 漢字 🦊"),
        Interaction("Q", "A", "T"),
    ],
)
def test_absent_and_empty_fields_stay_apart(interaction):
    sent = to_request(interaction, evaluator="e", version=1, request_id="r", explain=False)
    read = pb.ScoreRequest.FromString(sent.SerializeToString())
    for name in ("input", "output", "ground_truth"):
        text = getattr(read, name) if read.HasField(name) else None
        assert text == interaction.get(name)


@pytest.mark.parametrize(
    ("number", "verdict"),
    [(name, Verdict(name.removeprefix("VERDICT_"))) for name in pb.Verdict.keys()[1:]],
)
def test_every_verdict_has_its_word(number, verdict):
    score = to_score(pb.ScoreResponse(verdict=number))
    assert score.verdict is verdict
    assert score.reasons == ()


@pytest.mark.parametrize("name", pb.Reason.keys()[1:])
def test_every_reason_has_its_word(name):
    score = to_score(pb.ScoreResponse(verdict=pb.VERDICT_BLOCK, reasons=[name]))
    assert score.reasons == (Reason(name.removeprefix("REASON_")),)


def test_what_a_newer_server_says_is_neither_lost_nor_fatal():
    message = pb.ScoreResponse(score=0.9, verdict=77, reasons=[1, 78, 79])  # type: ignore[arg-type]
    score = to_score(pb.ScoreResponse.FromString(message.SerializeToString()))
    assert score.verdict is Verdict.REVIEW
    assert score.reasons == (Reason.PARTIAL, Reason.UNKNOWN)
    assert score.score == 0.9


def test_a_response_without_a_verdict_is_no_pass():
    score = to_score(pb.ScoreResponse())
    assert score.verdict is Verdict.REVIEW
    assert score.reasons == (Reason.UNKNOWN,)
    assert score.timing is None
    assert score.coverage == {}


@pytest.mark.parametrize("given", [None, 0.0, 1.25])
def test_an_absent_ood_score_is_none_and_not_zero(given):
    sent = pb.ScoreResponse(ood_score=given).SerializeToString()
    assert to_score(pb.ScoreResponse.FromString(sent)).ood_score == given


def test_what_cannot_be_read_is_told_and_an_old_server_tells_nothing():
    parts = [
        pb.FieldCoverage(
            field="output",
            tokens_scored=3,
            tokens_total=3,
            tokens_unknown=1,
            characters_dropped=2,
            unread_share=0.25,
        ),
        pb.FieldCoverage(field="input", tokens_scored=4, tokens_total=5),
    ]
    sent = pb.ScoreResponse(coverage=parts).SerializeToString()
    coverage = to_score(pb.ScoreResponse.FromString(sent)).coverage
    assert coverage["output"] == Coverage(3, 3, unknown=1, dropped=2, unread=0.25)
    assert coverage["input"] == Coverage(4, 5)


def test_highlights_are_where_they_say():
    parts = [pb.Highlight(start=2, end=5, weight=0.5), pb.Highlight(start=7, end=9, weight=1.5)]
    sent = pb.ScoreResponse(highlights=parts).SerializeToString()
    found = to_score(pb.ScoreResponse.FromString(sent)).highlights
    assert found == (Highlight(2, 5, 0.5), Highlight(7, 9, 1.5))


def test_certificates():
    message = pb.Certificate(
        max_false_pass=0.05, max_false_block=0.1, confidence=0.95, n=300, date="2026-01-31"
    )
    expected = Certificate(0.05, 0.1, 0.95, 300, "2026-01-31")
    assert to_score(pb.ScoreResponse(certificate=message)).certificate == expected
    assert to_evaluator_info(pb.EvaluatorInfo(certificate=message)).certificate == expected
    assert to_evaluator_info(pb.EvaluatorInfo()).certificate is None


def test_evidence_comes_whole_with_what_is_absent():
    message = pb.ScoreResponse(
        verdict=pb.VERDICT_BLOCK,
        evidence=[
            pb.SentenceEvidence(
                start=0,
                end=9,
                score=0.1,
                evaluator_score=0.8,
                passage=pb.Passage(start=3, end=30, share=0.5),
                contradictions=[
                    pb.Contradiction(
                        kind=pb.CONTRADICTION_KIND_NUMBER,
                        start=1,
                        end=4,
                        truth_start=0,
                        truth_end=2,
                        strength=0.9,
                    ),
                    pb.Contradiction(kind=77, start=5, end=6, strength=0.2),  # type: ignore[arg-type]
                ],
            ),
            pb.SentenceEvidence(start=10, end=20, score=0.4, evaluator_score=0.4),
        ],
    )
    first, second = to_score(pb.ScoreResponse.FromString(message.SerializeToString())).evidence
    assert first.passage == Passage(3, 30, 0.5)
    assert first.contradictions == (
        Contradiction(ContradictionKind.NUMBER, 1, 4, 0, 2, 0.9),
        Contradiction(ContradictionKind.UNKNOWN, 5, 6, None, None, 0.2),
    )
    assert (second.passage, second.contradictions) == (None, ())


@pytest.mark.parametrize("name", pb.ContradictionKind.keys()[1:])
def test_every_kind_of_contradiction_has_its_word(name):
    each = pb.Contradiction(kind=name)
    message = pb.ScoreResponse(evidence=[pb.SentenceEvidence(contradictions=[each])])
    (evidence,) = to_score(message).evidence
    assert evidence.contradictions[0].kind.value == name.removeprefix("CONTRADICTION_KIND_")
