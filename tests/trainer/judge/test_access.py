"""Endpoints that need more than a bearer token, and what a check tells of an endpoint."""

from __future__ import annotations

import pytest
from judge_rows import capitals
from judge_server import JudgeServer

from tipstaff.errors import UsageError
from tipstaff_trainer.errors import JudgeError
from tipstaff_trainer.judge.criteria import builtin_criteria
from tipstaff_trainer.judge.labelling import label_rows
from tipstaff_trainer.judge.settings import JudgeSettings
from tipstaff_trainer.operations.label_check import check_endpoint

CRITERION = builtin_criteria()["answer-correctness"]


def test_headers_and_query_parameters_go_with_each_call(server, judge, ledger, monkeypatch):
    server.behaviour.headers = {"api-key": "s3cret"}
    server.behaviour.query = {"api-version": "2024-10-21"}
    monkeypatch.setenv("AZURE_API_KEY", "s3cret\n")
    settings = judge(headers="api-key=AZURE_API_KEY", query=["api-version=2024-10-21"])
    outcome = label_rows(capitals(4), CRITERION, settings, ledger)
    assert [judged.label is not None for judged in outcome.rows] == [True] * 4
    assert "s3cret" not in settings.model_dump_json()
    without = judge(headers={"api-key": "AZURE_API_KEY"})
    with pytest.raises(JudgeError, match="Resource not found"):
        label_rows(capitals(5)[4:], CRITERION, without, ledger)


def test_what_an_endpoint_quotes_of_a_secret_is_not_shown(server, judge, ledger, monkeypatch):
    server.behaviour.headers = {"api-key": "another"}
    monkeypatch.setenv("AZURE_API_KEY", "my-s3cret")
    monkeypatch.setenv("GEMINI_API_KEY", "in the/query")
    settings = judge(headers="api-key=AZURE_API_KEY", secret_query="key=GEMINI_API_KEY")
    with pytest.raises(JudgeError, match=r"Access denied due to \[hidden\]") as error:
        label_rows(capitals(1), CRITERION, settings, ledger)
    for written in ("in the/query", "in%20the/query", "in+the%2Fquery"):
        assert written not in error.value.message


def test_a_secret_in_the_query_is_sent_and_never_stored_or_shown(
    server, judge, ledger, monkeypatch
):
    server.behaviour.query = {"key": "s3cret-of-nine", "api-version": "1"}
    monkeypatch.setenv("GEMINI_API_KEY", "s3cret-of-nine")
    settings = judge(secret_query=["key=GEMINI_API_KEY"], query="api-version=1")
    outcome = label_rows(capitals(3), CRITERION, settings, ledger)
    assert all(judged.label is not None for judged in outcome.rows)
    assert "s3cret" not in settings.model_dump_json()
    for path in ledger.path.parent.glob(f"{ledger.path.name}*"):
        assert b"s3cret" not in path.read_bytes()
    for name in ("key", "API_KEY", "access_token", "sig", "subscription-key", "code"):
        with pytest.raises(UsageError, match="secret_query") as error:
            JudgeSettings.parse({"model": "m", "query": f"{name}=s3cret"})
        assert "s3cret" not in str(error.value)
    for field in ("secret_query", "headers"):
        with pytest.raises(UsageError, match="name the environment variable") as error:
            JudgeSettings.parse({"model": "m", field: "key=s3cret"})
        assert "s3cret" not in str(error.value)
    for plain in ("api-version", "deployment", "monkey", "keyboard", "max_tokens", "region"):
        JudgeSettings.parse({"model": "m", "query": f"{plain}=1"})
    monkeypatch.delenv("GEMINI_API_KEY")
    with pytest.raises(UsageError, match="secret_query GEMINI_API_KEY: is not set"):
        label_rows(capitals(4)[3:], CRITERION, settings, ledger)


def test_a_header_names_a_variable_that_is_set(judge, ledger, monkeypatch):
    monkeypatch.delenv("AZURE_API_KEY", raising=False)
    with pytest.raises(UsageError, match="headers AZURE_API_KEY: is not set"):
        label_rows(capitals(1), CRITERION, judge(headers="api-key=AZURE_API_KEY"), ledger)
    for wrong in ("api-key=s3cret-value", "api key=A_API_KEY", "api-key"):
        with pytest.raises(UsageError) as error:
            JudgeSettings.parse({"model": "m", "headers": wrong})
        assert error.value.field == "headers"


def test_a_proxy_and_certificates_are_used(server, judge, ledger, tmp_path):
    with JudgeServer() as proxy:
        # A proxy sees the whole address; this one answers for the endpoint.
        settings = judge(base_url="http://judge.invalid/v1", proxy=proxy.url.removesuffix("/v1"))
        outcome = label_rows(capitals(2), CRITERION, settings, ledger)
        assert all(judged.label is not None for judged in outcome.rows)
        assert proxy.behaviour.seen == 2
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(UsageError, match=r"ca_file .*ca\.pem: can't be read as certificates"):
        label_rows(capitals(3)[2:], CRITERION, judge(ca_file=tmp_path / "ca.pem"), ledger)
    with pytest.raises(UsageError, match="put no name or password"):
        JudgeSettings.parse({"model": "m", "proxy": "http://a:b@proxy:1"})


def test_a_check_says_what_an_endpoint_can_do(server, judge):
    able = check_endpoint(capitals(1)[0], CRITERION, judge(price_input=1e6, price_output=1e6))
    assert (able.logprobs, able.samples, able.structured, able.readable) == (True,) * 4
    assert able.cost == able.prompt_tokens + able.reply_tokens > 0
    assert able.problems == ()
    assert server.behaviour.seen == 2
    server.behaviour.logprobs = "refused"
    server.behaviour.structured = False
    server.behaviour.several = False
    unable = check_endpoint(capitals(2)[1], CRITERION, judge(samples=3, price_input=1e6))
    assert (unable.logprobs, unable.samples, unable.structured) == (False, False, False)
    assert unable.readable
    assert {"logprobs", "response_format"} <= set(unable.without)
    assert unable.cost == 3 * unable.prompt_tokens


def test_a_check_shows_a_reply_that_can_not_be_read(judge):
    (mumbling,) = capitals(1)
    mumbling = mumbling.__class__(
        mumbling.interaction.__class__("q", "[[mumble]]", "Paris"), mumbling.label, "1"
    )
    check = check_endpoint(mumbling, CRITERION, judge())
    assert not check.readable
    assert check.reply
    assert "could be read" in check.problems[0]
