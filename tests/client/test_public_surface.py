"""What users may import; a change here is a change for them."""

from __future__ import annotations

import inspect
import subprocess
import sys

import tipstaff

PUBLIC = [
    "TLS",
    "AccessError",
    "AsyncClient",
    "Certificate",
    "Client",
    "ClientEvent",
    "Contradiction",
    "ContradictionKind",
    "Coverage",
    "DeadlineError",
    "EvaluatorInfo",
    "EventKind",
    "Highlight",
    "Interaction",
    "InvalidRequestError",
    "NoAnswerError",
    "NotFoundError",
    "OnFailure",
    "OverloadedError",
    "Passage",
    "Reason",
    "Score",
    "ScoringError",
    "SentenceEvidence",
    "ServerFaultError",
    "Timing",
    "TipstaffError",
    "UnavailableError",
    "UsageError",
    "Verdict",
    "text_of",
]


def test_the_public_names():
    assert tipstaff.__all__ == PUBLIC
    assert set(PUBLIC) <= set(dir(tipstaff))
    assert all(getattr(tipstaff, name) for name in PUBLIC)


def test_both_clients_take_the_same_words():
    for name in ("__init__", "score", "score_batch", "evaluators"):
        one, other = (getattr(kind, name) for kind in (tipstaff.Client, tipstaff.AsyncClient))
        assert inspect.signature(one) == inspect.signature(other), name


def test_the_types_alone_cost_no_grpc():
    script = (
        "import sys, tipstaff; tipstaff.Score; "
        "assert not {'grpc', 'google.protobuf'} & set(sys.modules); "
        "tipstaff.Client; assert 'grpc' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
