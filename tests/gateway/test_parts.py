"""Joins, decisions, settings and the handling of errors, without a process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest

from tipstaff import (
    Coverage,
    Interaction,
    Reason,
    Score,
    ServerFaultError,
    UnavailableError,
    UsageError,
    Verdict,
)
from tipstaff.statuses import Status, to_error
from tipstaff.v1 import scoring_pb2 as pb
from tipstaff_gateway.context import RequestContext
from tipstaff_gateway.doors.rpc import rpc_call
from tipstaff_gateway.joins import JoinMemory
from tipstaff_gateway.local_server import serve_words
from tipstaff_gateway.mapping import Mapped
from tipstaff_gateway.metrics import Metrics
from tipstaff_gateway.policy import decide
from tipstaff_gateway.problems import problem_of
from tipstaff_gateway.settings import Settings
from tipstaff_gateway.upstream import Upstream


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def mapped(text="a"):
    return Mapped(Interaction(input=text))


def test_a_prompt_is_kept_for_its_time():
    clock = Clock()
    joins = JoinMemory(10, 60, clock=clock)
    joins.put("1", mapped())
    clock.now = 59
    assert joins.get("1") == mapped()
    clock.now = 60
    assert joins.get("1") is None
    joins.put("2", mapped())
    assert len(joins) == 1


def test_the_oldest_prompts_go_first():
    joins = JoinMemory(2, 60, clock=Clock())
    for each in ("1", "2", "1", "3"):
        joins.put(each, mapped(each))
    assert [joins.get(each) for each in ("1", "2", "3")] == [mapped("1"), None, mapped("3")]


def test_long_prompts_take_the_place_of_others():
    joins = JoinMemory(10, 60, most_characters=20, clock=Clock())
    joins.put("1", mapped("a" * 10))
    joins.put("2", mapped("b" * 15))
    assert joins.get("1") is None
    assert joins.get("2") is not None
    joins.put("3", mapped("c" * 100))
    assert len(joins) == 0


FACTLESS = Interaction("q", "a")
WHOLE = Interaction("q", "a", "f")


def score(verdict, *reasons):
    coverage = {"output": Coverage(1, 1), "ground_truth": Coverage(0, 0)}
    return Score(verdict, 0.5, evaluator="e", reasons=reasons, coverage=coverage)


@pytest.mark.parametrize(
    ("given", "interaction", "unread", "verdict", "blocked", "allowed"),
    [
        (score(Verdict.PASS), WHOLE, (), "PASS", False, False),
        (score(Verdict.REVIEW), WHOLE, (), "REVIEW", True, False),
        (score(Verdict.BLOCK), WHOLE, (), "BLOCK", True, True),
        (score(Verdict.PASS), WHOLE, ("image",), "REVIEW", True, False),
        (score(Verdict.REVIEW, Reason.MISSING_FIELD), FACTLESS, (), "REVIEW", True, True),
        # As from a server that is too old to know better.
        (score(Verdict.PASS, Reason.MISSING_FIELD), FACTLESS, (), "REVIEW", True, True),
    ],
)
def test_decisions(given, interaction, unread, verdict, blocked, allowed):
    strict = decide(given, interaction, review="block", unread=unread)
    lenient = decide(given, interaction, review="allow", unread=unread)
    assert strict.verdict == lenient.verdict == verdict
    assert (strict.blocked, lenient.blocked) == (blocked, allowed)
    missing = Reason.MISSING_FIELD in given.reasons
    assert strict.missing == (("ground_truth",) if missing else ())
    assert ("missing: ground_truth" in strict.explanation) is missing


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, "no server to ask"),
        ({"target": "a:1", "bundles": Path()}, "two servers"),
        ({"target": "nowhere"}, "target"),
        ({"target": "a:1", "listen": "8080"}, "listen '8080': not HOST:PORT"),
        ({"target": "a:1", "grpc_listen": "::1:80"}, "brackets"),
        ({"target": "a:1", "timeout": 0.0}, "timeout 0: must be from"),
        ({"target": "a:1", "timeout": float("nan")}, "timeout nan"),
        ({"target": "a:1", "max_body_bytes": 0}, "max_body_bytes 0"),
        ({"target": "a:1", "max_calls": 0}, "max_calls 0"),
        ({"target": "a:1", "tls_key": Path("k")}, "tls_certificate: a certificate and its key"),
        ({"target": "a:1", "tls_client_ca": Path("c")}, "callers need a certificate only with TLS"),
        ({"target": "a:1", "target_server_name": "b"}, "only with TLS to the server"),
        ({"bundles": Path(), "target_tls": True}, "target_tls: the gateway's own server"),
        ({"bundles": Path(), "target_token": Path("t")}, "target_token: the gateway's own server"),
    ],
)
def test_settings_are_checked_once(values, why):
    with pytest.raises(UsageError) as caught:
        Settings(**values)
    assert why in str(caught.value)


def put_manifest(folder):
    folder.mkdir(parents=True)
    (folder / "manifest.json").touch()


def test_what_a_folder_of_models_holds(tmp_path):
    with pytest.raises(UsageError, match="the folder is empty; a bundle is a folder with"):
        serve_words(tmp_path)
    with pytest.raises(UsageError, match="can't be read"):
        serve_words(tmp_path / "nothing")
    # Once, a server was started that waited for promotions in a folder of data.
    (tmp_path / "train.jsonl").touch()
    with pytest.raises(UsageError) as caught:
        serve_words(tmp_path)
    assert str(caught.value) == (
        f"bundles {tmp_path}: the folder holds no bundle and no repository; a bundle is a folder "
        "with manifest.json, as `tipstaff train` writes it; give one, a folder of bundles, or a "
        "repository that `tipstaff publish` made"
    )
    put_manifest(tmp_path / "team" / "support")
    with pytest.raises(UsageError, match=rf"made: {tmp_path}/team holds some"):
        serve_words(tmp_path)
    put_manifest(tmp_path / "hours" / "1")
    assert serve_words(tmp_path) == ["--repository", str(tmp_path)]
    for name in ("b", "a"):
        put_manifest(tmp_path / name)
    assert serve_words(tmp_path) == [str(tmp_path / "a"), str(tmp_path / "b")]
    (tmp_path / "manifest.json").touch()
    assert serve_words(tmp_path) == [str(tmp_path)]


def test_an_unforeseen_error_over_grpc_tells_no_text(caplog):
    """Once, grpc itself logged its text and sent it to the caller, as it does for any exception."""
    aborted = []

    async def abort(code, details):
        aborted.append((code, details))

    async def fail():
        services = SimpleNamespace(metrics=Metrics())
        async with rpc_call(services, "envoy", SimpleNamespace(abort=abort)):
            raise KeyError("a text of the request")

    with pytest.raises(KeyError):
        asyncio.run(fail())
    assert aborted == [(grpc.StatusCode.INTERNAL, "an internal error of the gateway")]
    assert [each.message for each in caplog.records] == ["envoy: internal error: KeyError"]


class ScriptedClient:
    """A client whose server is healthy, and whose items are of a kind that is not known yet."""

    target = "a:1"
    checks = 0
    failures = ()

    async def why_not_serving(self):
        self.checks += 1
        await asyncio.sleep(0.01)
        return self.failures.pop(0) if self.failures else None

    async def forward(self, *words, **options):
        return pb.ScoreBatchResponse(items=[pb.ScoreBatchItem()] * 2)


def test_who_asks_while_the_health_is_checked_gets_its_result():
    """Once, the second of two probes at the start was answered with 503."""
    client = ScriptedClient()
    upstream = Upstream(client)

    async def ask():
        return await asyncio.gather(*(upstream.is_ready() for _ in range(4)))

    assert asyncio.run(ask()) == [True] * 4
    assert client.checks == 3


def test_one_of_several_servers_is_enough_to_be_ready():
    client = ScriptedClient()
    client.failures = [UnavailableError("a is down"), UnavailableError("b is down")]
    assert asyncio.run(Upstream(client).why_not_ready()) == ""
    client.failures = [UnavailableError(f"{each} is down") for each in "abc"]
    assert asyncio.run(Upstream(client).why_not_ready()) == "a is down"


def test_an_error_of_the_gateway_s_client_names_the_gateway_s_setting():
    status = Status("UNAVAILABLE", "failed to connect to all addresses: Socket closed")
    error = to_error(status, target="a:1", timeout=1.0, request_id="")
    assert "set target_tls if the server speaks TLS" in problem_of(error, "native").detail
    client = ScriptedClient()
    client.failures = [error] * 3
    assert asyncio.run(Upstream(client).why_not_ready()) == problem_of(error, "native").detail


def test_an_item_that_is_too_new_to_read_is_an_error_of_the_server():
    """Once, it was an error with the status OK."""
    interactions = [Interaction(output="a")] * 2
    with pytest.raises(ServerFaultError, match="too old to read") as caught:
        asyncio.run(Upstream(ScriptedClient()).score(interactions, RequestContext(1.0)))
    assert caught.value.code == "UNKNOWN"
