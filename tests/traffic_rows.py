"""Makes segments of traffic as servers do, with a clock of their own."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiny_training import tiny_rows

from tipstaff_server.traffic.counts import Counts
from tipstaff_server.traffic.policy import SamplingPolicy, band_of
from tipstaff_server.traffic.segments import pack, seal

TEXTS = [row.interaction for row in tiny_rows(40)]
DAY = 86400


@dataclass(frozen=True)
class Said:
    """One answer."""

    at: float
    score: float
    version: int = 1
    request: str = ""
    caller: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    evaluator: str = "judge"


def verdict_of(score: float) -> str:
    return "PASS" if score >= 0.6 else "REVIEW" if score >= 0.4 else "BLOCK"


def write_segment(
    folder: Path,
    answers: Iterable[Said],
    *,
    policy: SamplingPolicy | None = None,
    feedback: Iterable[Mapping[str, Any]] = (),
    number: int = 1,
) -> Path:
    """Writes a sealed segment of answers, drawn by a policy; of all when None."""
    folder.mkdir(parents=True, exist_ok=True)
    policy = policy or SamplingPolicy(1.0, (), b"salt")
    counts, records = Counts(), []
    for answer in answers:
        key = secrets.token_hex(16)
        verdict, band = verdict_of(answer.score), band_of(answer.score)
        cell = counts.cell(
            *(answer.at, answer.evaluator, answer.version, answer.caller, verdict, band),
            ("UNCERTIFIED",),
        )
        pi, draw = policy.rate(answer.evaluator, verdict, band), policy.draw(key)
        counts.add(cell, 1 - answer.score, 0.004, drawn=draw < pi)
        if draw >= pi:
            continue
        texts = TEXTS[int(key, 16) % len(TEXTS)]
        records.append(
            {
                "kind": "row",
                "row": key,
                "request": answer.request or key,
                "at": answer.at,
                "pi": pi,
                "draw": draw,
                "policy": policy.version,
                "evaluator": answer.evaluator,
                "version": answer.version,
                "caller": answer.caller,
                "verdict": verdict,
                "band": band,
                "minute": int(answer.at // 60) * 60,
                "input": texts.input,
                "output": f"{texts.output} {key}",
                "ground_truth": texts.ground_truth,
                "attributes": dict(answer.attributes),
                "redaction_failed": False,
                "score": answer.score,
                "logit": 0.0,
                "reasons": ["UNCERTIFIED"],
                "ood": 0.3,
                "coverage": {"output": [9, 9, 0, 0, 0.0]},
                "engine": "int8/cpu",
                "cached": False,
                "seconds": [0.001, 0.001, 0.002, 0.004],
            }
        )
    said = [
        {
            "kind": "feedback",
            "evaluator": "judge",
            "row": "",
            "source": "thumbs",
            "note": "",
            **each,
        }
        for each in feedback
    ]
    identity = f"20260101T000000Z-{secrets.token_hex(6)}-{number:06d}"
    data = pack([*records, *counts.take(), *said])
    return seal(data, folder, identity, folder / "none")
