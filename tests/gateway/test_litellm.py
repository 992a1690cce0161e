"""LiteLLM's Generic Guardrail API.

LiteLLM is no dependency of the tests. Its requests are written down here with the members that
litellm 1.110 sends (`proxy/guardrails/guardrail_hooks/generic_guardrail_api/`, and
`types/proxy/guardrails/guardrail_hooks/generic_guardrail_api.py`).
"""

from __future__ import annotations

import json
import uuid

import pytest
from opening_hours import BAD, FACTS, GOOD, QUESTION

PATH = "/beta/litellm_basic_guardrail_api"
SYSTEM = {"role": "system", "content": f"Answer from <context>{FACTS}</context>"}
USER = {"role": "user", "content": QUESTION}


def recorded(input_type, texts, call_id, **members):
    return {
        "input_type": input_type,
        "litellm_call_id": call_id,
        "litellm_trace_id": str(uuid.uuid4()),
        "texts": texts,
        "images": None,
        "tools": None,
        "tool_calls": None,
        "structured_messages": None,
        "model": "gpt-4o-mini",
        "litellm_version": "1.110.0",
        "request_data": {"user_api_key_hash": "h", "user_api_key_team_alias": "shop"},
        "request_headers": {"host": "[present]", "tipstaff-ground-truth": "[present]"},
        "additional_provider_specific_params": {"evaluator": "hours"},
        **members,
    }


def before(gateway, call_id, messages=(SYSTEM, USER), **members):
    texts = [each["content"] for each in messages if isinstance(each["content"], str)]
    body = recorded("request", texts, call_id, structured_messages=list(messages), **members)
    return gateway.post(PATH, body)


def after(gateway, call_id, *texts, headers=None, **members):
    body = recorded("response", list(texts), call_id, **members)
    response = gateway.post(PATH, body, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture
def call_id():
    return str(uuid.uuid4())


def test_prompt_and_answer_are_joined(gateway, call_id):
    assert before(gateway, call_id).json() == {"action": "NONE"}
    assert after(gateway, call_id, GOOD)["action"] == "NONE"
    blocked = after(gateway, call_id, BAD)
    assert blocked["action"] == "BLOCKED"
    assert "hours: BLOCK" in blocked["blocked_reason"]
    assert BAD not in blocked["blocked_reason"]


def test_one_bad_choice_blocks_the_answer(gateway, call_id):
    before(gateway, call_id)
    assert after(gateway, call_id, GOOD, GOOD)["stream_holdback_chars"] == [len(GOOD)] * 2
    assert after(gateway, call_id, GOOD, BAD)["action"] == "BLOCKED"


def test_results_of_tools_are_the_facts(gateway, call_id):
    tool = {"role": "tool", "tool_call_id": "1", "content": FACTS}
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    before(gateway, call_id, [USER, call, tool])
    assert after(gateway, call_id, GOOD)["action"] == "NONE"
    assert after(gateway, call_id, BAD)["action"] == "BLOCKED"


def test_an_answer_whose_prompt_is_not_here_never_passes(gateway, call_id):
    blocked = after(gateway, call_id, GOOD)
    assert blocked["action"] == "BLOCKED"
    assert "missing: input and ground_truth" in blocked["blocked_reason"]
    assert "pre_call and post_call" in blocked["blocked_reason"]
    nameless = after(gateway, None, GOOD)
    assert nameless["action"] == "BLOCKED"
    assert nameless["blocked_reason"].endswith(
        "it has no litellm_call_id, so no prompt belongs to it"
    )
    missing = 'tipstaff_gateway_joins_total{result="missing"}'
    assert missing in gateway.get("/metrics").text


def test_facts_that_are_not_there_never_pass(gateway, call_id):
    before(gateway, call_id, [USER])
    blocked = after(gateway, call_id, GOOD)
    assert blocked["action"] == "BLOCKED"
    assert "missing: ground_truth" in blocked["blocked_reason"]


def test_prompts_are_forgotten(server, start_gateway, call_id):
    gateway = start_gateway("--target", server.address, "--max-joins", 2, "--timeout", 10)
    for each in (call_id, "second", "third"):
        before(gateway, each)
    assert after(gateway, call_id, GOOD)["action"] == "BLOCKED"
    assert after(gateway, "third", GOOD)["action"] == "NONE"


def test_images_are_named_as_not_read(gateway, call_id):
    before(gateway, call_id, images=["aGk="])
    assert "not read: image" in after(gateway, call_id, GOOD)["blocked_reason"]
    parts = [{"type": "text", "text": QUESTION}, {"type": "input_audio", "input_audio": {}}]
    before(gateway, "2", [SYSTEM, {"role": "user", "content": parts}])
    assert "not read: audio" in after(gateway, "2", GOOD)["blocked_reason"]
    before(gateway, "3")
    assert "not read: image ×2" in after(gateway, "3", GOOD, images=["a", "b"])["blocked_reason"]
    assert "images only" in after(gateway, "3", images=["a"])["blocked_reason"]


def test_a_turn_that_calls_tools_passes(gateway, call_id):
    before(gateway, call_id)
    assert after(gateway, call_id, tool_calls=[{"id": "1"}])["action"] == "NONE"
    assert 'tipstaff_gateway_unscored_total{door="litellm"' in gateway.get("/metrics").text


def test_an_answer_whose_texts_were_not_sent_is_no_empty_one(gateway, call_id):
    before(gateway, call_id)
    assert after(gateway, call_id)["action"] == "NONE"
    body = recorded("response", None, call_id)
    assert "exclude_payload_fields" in gateway.post(PATH, body).json()["blocked_reason"]


def relay(gateway, call_id, chunks, *, sampling_rate=5, end_of_stream_only=False):
    """What LiteLLM sends on of a streamed answer with `streaming_transform_mode: incremental_diff`.

    Written after `_run_incremental_transform_stream` and `_build_transform_chunk` of
    `proxy/guardrails/guardrail_hooks/unified_guardrail/unified_guardrail.py`: chunks are withheld;
    each round checks the text so far, and sends on all but the characters to hold back, of which
    there are none in the last round. The check of a block ends the stream.
    """
    sent, text, checks = "", "", 0
    for number, chunk in enumerate([*chunks, None], start=1):
        is_last = chunk is None
        text += chunk or ""
        if not is_last and (end_of_stream_only or number % sampling_rate):
            continue
        reply, checks = after(gateway, call_id, text), checks + 1
        if reply["action"] == "BLOCKED":
            return sent, checks, True
        held_back = 0 if is_last else reply["stream_holdback_chars"][0]
        sent = text[: max(len(sent), len(text) - held_back)]
    return sent, checks, False


@pytest.mark.parametrize("end_of_stream_only", [False, True])
def test_nothing_of_a_stream_is_seen_before_all_of_it_was_checked(
    gateway, call_id, end_of_stream_only
):
    before(gateway, call_id)
    good = list(GOOD)
    options = {"end_of_stream_only": end_of_stream_only, "sampling_rate": len(good)}
    checks = 1 if end_of_stream_only else 2
    assert relay(gateway, call_id, good, **options) == (GOOD, checks, False)
    # What was checked first is good; the answer as a whole is not.
    turned = [*good, " no", " wait", " open sunday"]
    assert relay(gateway, call_id, turned, **options) == ("", checks, True)


def test_other_endpoints_than_chat_have_their_texts(gateway, call_id):
    gateway.post(PATH, recorded("request", [QUESTION], call_id))
    assert "missing: ground_truth;" in after(gateway, call_id, GOOD)["blocked_reason"]
    with_header = after(gateway, call_id, GOOD, headers={"tipstaff-ground-truth": FACTS})
    assert with_header["action"] == "NONE"
    passed_on = {"tipstaff-ground-truth": FACTS}
    assert after(gateway, call_id, BAD, request_headers=passed_on)["action"] == "BLOCKED"
    assert after(gateway, call_id, GOOD, request_headers=passed_on)["action"] == "NONE"


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"input_type": "both"}, "input_type"),
        ({"texts": "closed"}, "texts: must be a list"),
        ({"texts": [1]}, "texts: must be a list of texts"),
        ({"structured_messages": {"role": "user"}}, "messages: must be a list"),
        ({"structured_messages": ["hi"]}, "messages[0]"),
        ({"structured_messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"request_headers": []}, "request_headers: must be an object"),
        ({"litellm_call_id": 7}, "litellm_call_id: must be a text"),
        ({"images": "a"}, "images: must be a list"),
        ({"request_data": "shop"}, "request_data: must be an object"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(gateway, call_id, members, why):
    response = gateway.post(PATH, recorded("request", [GOOD], call_id) | members)
    assert response.status_code == 400
    assert why in response.json()["detail"]


def test_a_request_that_is_cut_or_too_large_is_refused(gateway, call_id):
    body = json.dumps(recorded("response", [GOOD], call_id)).encode()
    assert gateway.post(PATH, body[:-9]).status_code == 400
    contradictory = body[:-1] + b', "input_type": "request"}'
    assert "same member twice" in gateway.post(PATH, contradictory).json()["detail"]
    large = recorded("response", [GOOD * 2_000], call_id)
    assert gateway.post(PATH, large).status_code == 413


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("RESOURCE_EXHAUSTED", 503),
        ("UNAVAILABLE", 503),
        ("DEADLINE_EXCEEDED", 504),
        ("UNAUTHENTICATED", 401),
    ],
)
def test_no_score_is_never_429_nor_a_pass(refuse, call_id, code, status):
    gateway = refuse(code, "-1" if code == "UNAVAILABLE" else "")
    assert gateway.post(PATH, recorded("response", [GOOD], call_id)).status_code == status


def test_the_guardrail_s_key_and_the_team_reach_the_server(scripted_gateway, call_id):
    service, gateway = scripted_gateway
    after(gateway, call_id, GOOD, headers={"x-api-key": "k"})
    assert service.metadata[-1]["authorization"] == "Bearer k"
    assert service.metadata[-1]["tipstaff-caller"] == "shop"
