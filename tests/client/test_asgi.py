"""The ASGI middleware around a real Starlette app, called by a real client."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from opening_hours import BAD, FACTS, GOOD, NAME, QUESTION, UNSURE, make_bundles
from running_server import Starter
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from tipstaff import AsyncClient, Client, Interaction, UsageError
from tipstaff.integrations import Guard
from tipstaff.integrations.asgi import TipstaffMiddleware


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    starter = Starter(folder)
    server = starter(*make_bundles(folder), wait_for="")
    server.wait_for_log("ready after", 60)
    yield server.address
    starter.stop()


def app_of(*answers, calls=None):
    """An app that answers `/chat` in turn, streams at `/stream`, and has a page without a check."""
    script = iter(answers)

    async def chat(request):
        asked = await request.json()
        if calls is not None:
            calls.append(asked)
        return JSONResponse({"answer": next(script)}, status_code=asked.get("status", 200))

    async def stream(request):
        async def pieces():
            for word in next(script).split(" "):
                yield f"{word} "

        return StreamingResponse(pieces(), media_type="text/plain")

    async def page(request):
        return PlainTextResponse(BAD)

    return Starlette(
        routes=[
            Route("/chat", chat, methods=["POST"]),
            Route("/stream", stream, methods=["POST"]),
            Route("/page", page),
        ]
    )


def read(request, response):
    asked = json.loads(request)
    try:
        answer = json.loads(response)["answer"]
    except ValueError:
        answer = response.decode().strip()
    return Interaction(asked["question"], answer, asked.get("facts"))


def write(body, text):
    return json.dumps({"answer": text}).encode()


async def ask(app, guard, path="/chat", *, max_bytes=10_000, **members):
    checked = TipstaffMiddleware(
        app, guard, paths=("/chat", "/stream"), read=read, write=write, max_bytes=max_bytes
    )
    transport = httpx.ASGITransport(app=checked)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
        return await http.post(path, json={"question": QUESTION, "facts": FACTS, **members})


@pytest.fixture
def run(target):
    """Asks an app with an async client's guard."""

    def run(app, path="/chat", *, evaluator=NAME, address=None, members=None, **options):
        async def main():
            where = address or target
            async with AsyncClient(where, evaluator=evaluator, timeout=10) as client:
                max_bytes = options.pop("max_bytes", 10_000)
                guard = Guard(client, **options)
                return await ask(app, guard, path, max_bytes=max_bytes, **(members or {}))

        return asyncio.run(main())

    return run


@pytest.mark.parametrize("path", ["/chat", "/stream"])
def test_a_good_answer_passes_and_a_bad_one_does_not(run, path, caplog):
    assert GOOD in run(app_of(GOOD), path).text
    assert not caplog.messages
    blocked = run(app_of(BAD), path)
    assert blocked.status_code == 403
    assert blocked.headers["content-type"] == "application/problem+json"
    assert BAD not in blocked.text
    assert caplog.messages[0].startswith(f"an answer was held back and is blocked: {NAME}: BLOCK")


def test_a_bad_answer_is_replaced_with_the_right_length(run, caplog):
    answered = run(app_of(BAD), on_block="replace", replacement="I don't know that.")
    assert answered.json() == {"answer": "I don't know that."}
    assert int(answered.headers["content-length"]) == len(answered.content)
    assert "is replaced: hours: BLOCK; score 0." in caplog.messages[0]
    assert BAD not in caplog.messages[0]


def test_for_a_retry_the_app_is_called_again(run, caplog):
    calls = []
    assert run(app_of(BAD, GOOD, calls=calls), on_block="retry").json() == {"answer": GOOD}
    assert calls[0] == calls[1]
    (warning,) = caplog.messages
    assert "is to be answered again: hours: BLOCK" in warning
    assert run(app_of(BAD, BAD), on_block="retry").status_code == 403


def test_review_is_the_app_s_choice(run):
    notes = []
    assert run(app_of(GOOD), evaluator=UNSURE).status_code == 403
    passed = run(app_of(GOOD), evaluator=UNSURE, on_review="note", on_note=notes.append)
    assert passed.status_code == 200
    assert [each.score.verdict for each in notes] == ["REVIEW"]
    judged = run(app_of(GOOD), evaluator=UNSURE, on_review=lambda checked: "judged")
    assert judged.json() == {"answer": "judged"}


def test_missing_facts_do_not_pass(run):
    blocked = run(app_of(GOOD), members={"facts": None})
    assert blocked.status_code == 403
    assert "MISSING_FIELD (ground_truth)" in blocked.json()["detail"]


def test_other_paths_and_errors_pass_as_they_are(run):
    assert run(app_of(), "/nothing").status_code == 404
    failed = run(app_of(BAD), members={"status": 418})
    assert (failed.status_code, failed.json()) == (418, {"answer": BAD})


def test_what_is_too_large_does_not_pass(run):
    assert run(app_of(GOOD * 2_000)).status_code == 502
    assert run(app_of(GOOD), members={"more": "a" * 20_000}).status_code == 413


def test_without_a_score_nothing_passes(run):
    assert run(app_of(GOOD), address="127.0.0.1:9").status_code == 503
    assert run(app_of(GOOD), evaluator="nobody").status_code == 502


def test_a_blocking_client_serves_async_code_but_not_the_other_way_round(target):
    with Client(target, evaluator=NAME, timeout=10) as client:
        assert asyncio.run(ask(app_of(GOOD), Guard(client))).status_code == 200
    with pytest.raises(UsageError, match="needs a Client"):
        Guard(AsyncClient(target)).check(Interaction(output=GOOD))


def test_an_action_that_there_is_none_of_is_refused(target):
    with pytest.raises(UsageError, match=r"on_block 'drop': must be 'raise', 'replace'"):
        Guard(AsyncClient(target), on_block="drop")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_block": "note"}, r"on_block 'note': tells nobody; give a function, as on_note=print"),
        ({"on_review": "note"}, r"on_review 'note': tells nobody"),
        ({"retries": -1}, r"retries -1: must be 0 or more"),
    ],
)
def test_a_guard_that_would_let_through_unseen_or_never_ask_is_refused(target, options, message):
    with pytest.raises(UsageError, match=message):
        Guard(AsyncClient(target), **options)
