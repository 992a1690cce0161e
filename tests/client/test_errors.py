from __future__ import annotations

import copy
import dataclasses

from tipstaff import OverloadedError, Score, Verdict


def test_a_failed_score_can_be_taken_apart_copied_and_hashed():
    error = OverloadedError("busy", code="RESOURCE_EXHAUSTED", request_id="r-1", retry_after=0.25)
    score = Score(verdict=Verdict.BLOCK, score=None, failure=error)

    copied = copy.deepcopy(score)
    failure = dataclasses.asdict(score)["failure"]

    for each in (copied.failure, failure):
        assert type(each) is OverloadedError
        assert str(each) == "busy"
        assert vars(each) == vars(error)
    assert hash(score) == hash(dataclasses.replace(score, coverage={}))
