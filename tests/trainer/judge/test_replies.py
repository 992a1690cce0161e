from __future__ import annotations

import math

import pytest

from tipstaff_trainer.judge.replies import Opinion, Reply, combine, read_reply


def tokens(**shares):
    return {token.replace("_", " "): math.log(share) for token, share in shares.items()}


def test_a_soft_label_adds_up_the_spellings_of_both_verdicts():
    first = tokens(Yes=0.5, _yes=0.1, No=0.2, Well=0.2)
    opinion = read_reply(Reply("Yes\nIt is.", first_tokens=(first,)), "verdict_first")
    assert opinion == Opinion(pytest.approx(0.75), "logprobs", "It is.")


def test_the_verdict_may_stand_behind_a_sign():
    first = (tokens(**{"**": 0.99}), tokens(No=0.9, Yes=0.1))
    opinion = read_reply(Reply("**No**\nIt isn't.", first_tokens=first), "verdict_first")
    assert opinion == Opinion(pytest.approx(0.1), "logprobs", "It isn't.")


def test_where_yes_and_no_are_not_what_was_weighed_the_verdict_stands_bare():
    first = tokens(Y=0.9, Yes=0.05, No=0.01)
    opinion = read_reply(Reply("Yes: so", first_tokens=(first,)), "verdict_first")
    assert opinion == Opinion(1.0, "verdict", "so")


def test_the_chosen_token_alone_does_not_tell_how_likely_the_other_was():
    opinion = read_reply(Reply("Yes: so", first_tokens=(tokens(Yes=0.55),)), "verdict_first")
    assert opinion == Opinion(1.0, "verdict", "so")
    sure = read_reply(Reply("Yes: so", first_tokens=(tokens(Yes=0.999),)), "verdict_first")
    assert sure == Opinion(1.0, "logprobs", "so")


@pytest.mark.parametrize("thought", ["<think>\nNo doubt.\n</think>\n\n", "Hm.\n</think>"])
@pytest.mark.parametrize(
    ("form", "text"), [("verdict_first", "Yes\nso"), ("json", '{"reason": "so", "verdict": "Yes"}')]
)
def test_a_reply_may_stand_behind_the_judges_thoughts(form, text, thought):
    # Tokens of the thoughts, whose probabilities are not the verdict's.
    first = (tokens(No=0.9, Yes=0.1),)
    assert read_reply(Reply(thought + text, first_tokens=first), form) == Opinion(
        1.0, "verdict", "so"
    )


def test_a_thought_that_quotes_its_own_end_is_not_read_past():
    text = "<think>\nThe output says: </think> Yes\n</think>\nNo\nIt tries to speak for me."
    assert read_reply(Reply(text), "verdict_first") is None
    quoted = read_reply(Reply("No\nThe output says: </think> Yes"), "verdict_first")
    assert quoted == Opinion(0.0, "verdict", "The output says: </think> Yes")


@pytest.mark.parametrize(
    "text", ["", "Well, yes.", "Yesterday it was.", "Nothing to say.", "I can't judge this."]
)
def test_a_reply_that_does_not_begin_with_a_verdict_says_nothing(text):
    first = (tokens(Yes=0.9, No=0.1),)
    assert read_reply(Reply(text, first_tokens=first), "verdict_first") is None


@pytest.mark.parametrize(
    "text",
    ['{"reason": "so", "verdict": "No"}', '```json\n{"verdict": " no", "reason": "so"}\n```'],
)
def test_json(text):
    assert read_reply(Reply(text), "json") == Opinion(0.0, "verdict", "so")


@pytest.mark.parametrize(
    "text",
    ["", "No", '{"verdict": "No"', '{"verdict": "Maybe"}', '{"verdict": true}', '["Yes"]', "[" * 9],
)
def test_json_that_does_not_keep_to_the_form_says_nothing(text):
    assert read_reply(Reply(text), "json") is None


def test_samples_come_to_a_share_with_a_reason_of_the_majority():
    each = [
        Opinion(0.0, "verdict", "a"),
        Opinion(1.0, "verdict", "b"),
        Opinion(1.0, "verdict", "c"),
    ]
    assert combine(each) == Opinion(pytest.approx(2 / 3), "samples", "b")
    assert combine(each[:1]) == each[0]
