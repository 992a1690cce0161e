"""One call for one question."""

from __future__ import annotations

from functools import partial

from tipstaff_trainer.errors import JudgeError
from tipstaff_trainer.judge.endpoint import Endpoint, RefusedError
from tipstaff_trainer.judge.question import Question
from tipstaff_trainer.judge.replies import Reply
from tipstaff_trainer.judge.settings import CHAT_PATH
from tipstaff_trainer.judge.wire import parse_completion, refused_part, request_body


async def ask(endpoint: Endpoint, question: Question, replies: int) -> list[Reply]:
    """Gets replies to a question: at least one, and `replies` where one call can bring several.

    Raises:
        RefusedError: The endpoint refuses this question, or failed at it in every attempt.
        JudgeError: It refuses all questions, is down, or refused a part of `extra_body`.
        StoppedError: The run was stopped before the call.
    """
    while True:
        body = request_body(question, endpoint.settings, endpoint.dialect, replies)
        try:
            return await endpoint.call(
                question.key,
                partial(endpoint.request, "POST", CHAT_PATH, json=body),
                lambda values: parse_completion(values, question),
            )
        except RefusedError as error:
            if name := refused_part(endpoint.settings.extra_body or {}, str(error), error.param):
                raise JudgeError(
                    f"the endpoint refused it: {error}", field="extra_body", value=name
                ) from None
            if not endpoint.dialect.learn(body, str(error), error.param):
                endpoint.count_refusal(error)
                raise
