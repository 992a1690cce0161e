"""NeMo Guardrails: its classifier rails against the gateway, and the action that sends more."""

from __future__ import annotations

import asyncio
import os

import pytest
from conftest import BAD, FACTS, GOOD, QUESTION
from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel

from tipstaff.integrations.nemo import check_action, register

REFUSAL = "I'm sorry, I can't respond to that."
ENGINES = pytest.mark.parametrize("engine", ["vllm", "kserve", "fms"])
# The third form names no model: the gateway's own evaluator answers.
NAMING_ENGINES = pytest.mark.parametrize("engine", ["vllm", "kserve"])

CLASSIFIER = """
models: []
rails:
  config:
    hf_classifier:
      tipstaff:
        engine: {engine}
        base_url: {url}
        model: {model}
        blocked_labels: [BLOCK]
  output:
    flows:
      - hf classifier check output $classifier="tipstaff"
"""
ACTION = """
models: []
rails:
  output:
    flows:
      - tipstaff check output
"""
FLOW = """
define bot refuse to respond
  "I'm sorry, I can't respond to that."

define subflow tipstaff check output
  $outcome = execute tipstaff_check
  if $outcome.is_blocked
    bot refuse to respond
    stop
"""


def rails_of(answer, yaml, colang=""):
    config = RailsConfig.from_content(colang_content=colang, yaml_content=yaml)
    return LLMRails(config, llm=FakeLLMModel(responses=[answer]))


def ask(rails, **context):
    messages = [{"role": "user", "content": QUESTION}]
    if context:
        messages.insert(0, {"role": "context", "content": context})
    return asyncio.run(rails.generate_async(messages=messages))["content"]


def classifier(engine, model="hours"):
    return CLASSIFIER.format(engine=engine, url=os.environ["TIPSTAFF_GATEWAY"], model=model)


@NAMING_ENGINES
@pytest.mark.parametrize("answer", [GOOD, BAD])
def test_an_evaluator_that_needs_more_than_the_answer_never_passes(engine, answer):
    # One text is all that this rail sends: the facts are missing.
    assert ask(rails_of(answer, classifier(engine))) == REFUSAL


@ENGINES
def test_an_evaluator_of_answers_alone_decides(engine):
    assert ask(rails_of(GOOD, classifier(engine, "words"))) == GOOD
    assert ask(rails_of(BAD, classifier(engine, "words"))) == REFUSAL


@NAMING_ENGINES
def test_an_unknown_evaluator_does_not_pass(engine):
    assert GOOD not in str(ask(rails_of(GOOD, classifier(engine, "nobody"))))


def test_the_action_sends_question_and_chunks(guard):
    seen = []
    keep = guard(on_block=lambda checked: seen.append(checked.interaction))
    rails = rails_of(BAD, ACTION, FLOW)
    register(rails, keep)
    assert ask(rails, relevant_chunks=FACTS) == BAD
    assert [(each.input, each.output, each.ground_truth) for each in seen] == [
        (QUESTION, BAD, FACTS)
    ]


@pytest.mark.parametrize(("answer", "expected"), [(GOOD, GOOD), (BAD, REFUSAL)])
def test_the_action_blocks(guard, answer, expected, caplog):
    rails = rails_of(answer, ACTION, FLOW)
    register(rails, guard())
    assert ask(rails, relevant_chunks=FACTS) == expected
    warnings = [each.message for each in caplog.records if each.name == "tipstaff"]
    assert len(warnings) == (expected == REFUSAL)
    if warnings:
        assert "is blocked: hours: BLOCK; score 0." in warnings[0]
        assert BAD not in warnings[0]


def test_a_rail_blocks_what_the_model_would_be_asked_again(guard, caplog):
    rails = rails_of(BAD, ACTION, FLOW)
    register(rails, guard(on_block="retry", retries=9))
    assert ask(rails, relevant_chunks=FACTS) == REFUSAL
    (warning,) = (each.message for each in caplog.records if each.name == "tipstaff")
    assert "is blocked: hours: BLOCK" in warning


def test_the_action_blocks_where_chunks_are_missing(guard, caplog):
    rails = rails_of(GOOD, ACTION, FLOW)
    register(rails, guard())
    assert ask(rails) == REFUSAL
    assert "MISSING_FIELD (ground_truth)" in caplog.text


def test_the_action_replaces(guard):
    action = check_action(guard(on_block="replace", replacement="No."))
    context = {"bot_message": BAD, "user_message": QUESTION, "relevant_chunks": [FACTS]}
    outcome = asyncio.run(action(context=context))
    assert [each.text for each in outcome.transforms] == ["No."]


def test_the_example(target, capsys, monkeypatch):
    import nemo_rails

    # Words that this bundle knows; the example's own are for the demo's.
    for name, text in {"QUESTION": QUESTION, "FACTS": FACTS, "WRONG": BAD}.items():
        monkeypatch.setattr(nemo_rails, name, text)
    nemo_rails.main(target, "hours")
    assert capsys.readouterr().out.strip() == REFUSAL
