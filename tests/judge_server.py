"""A local OpenAI-compatible endpoint that judges by a simple rule and fails on command.

    python tests/judge_server.py [--port N] [--logprobs yes|no] [--delay SECONDS]

It speaks chat completions (log-probabilities, several choices, JSON schemas, usage) and the batch
API (files and batches) as their references describe them. An answer is good if it contains the
reference. The judge is less sure if the answer contains the word "perhaps".

Tests put commands to the endpoint into a row's text:

    [[status 500]] [[status 500 x2]]   this status, always or for the first two calls
    [[retry-after 1 x1]]               429 with this Retry-After header
    [[garbled x1]]                     broken JSON
    [[cut x1]]                         the connection closes half-way through the reply
    [[slow 3 x1]]                      a reply that many seconds late
    [[mumble x1]]                      a reply without a verdict
    [[empty x1]]                       a chat completion without choices
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import re
import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aiohttp import web

_COMMAND = re.compile(r"\[\[([a-z-]+)(?: ([\d.]+))?(?: x(\d+))?\]\]")
_BLOCK = "<{0}(?:-\\d+)?>\n(.*?)\n</{0}"


@dataclass
class Behaviour:
    """Settings of an endpoint and counters of its calls; tests may change them while it runs.

    Attributes:
        logprobs: `yes`, `no` (left out of the reply), or `refused` with a 400.
        structured: Whether it accepts `response_format`; else it replies with a 400.
        several: Whether it respects `n`; else it gives one reply.
        usage: Whether replies state the tokens used.
        temperature: Whether it accepts `temperature`; else it replies with a 400.
        refusals: Parameters that it refuses unless they are 1, with the status and body to send.
        page: Whether it answers everything with a web page, as a proxy may.
        down: The status of every reply; 0 for normal replies.
        delay: Seconds before a reply.
        key: The bearer token it requires; empty for none.
        headers: Headers that it requires, beside the key.
        query: Query parameters that it requires, as Azure's `api-version`.
        rate: The most calls in any second; more get a 429 with Retry-After. 0 for no limit.
        calls: Counts of complete chat completions, by the digest of the last user message.
        seen: The number of chat requests, answered or not.
        bodies: The requests' bodies, if `keep_bodies`.
        most_at_once: The largest number of concurrent requests.
        batch_polls: How many polls it takes until a batch is done.
        fail_batches: The error that every batch fails with; empty for none.
        batches_lost: How many batches it creates but answers with a 504.
        files: The contents of uploaded files, by id.
        files_refused: The status of the reply to each upload; 0 to accept them.
    """

    logprobs: str = "yes"
    structured: bool = True
    several: bool = True
    usage: bool = True
    temperature: bool = True
    refusals: dict[str, tuple[int, Any]] = field(default_factory=dict)
    page: bool = False
    down: int = 0
    delay: float = 0.0
    key: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    rate: int = 0
    keep_bodies: bool = False
    calls: Counter[str] = field(default_factory=Counter)
    seen: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    most_at_once: int = 0
    at_once: int = 0
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    batch_polls: int = 2
    fail_batches: str = ""
    batches_lost: int = 0
    files_refused: int = 0
    commands: Counter[str] = field(default_factory=Counter)
    starts: list[float] = field(default_factory=list)


class JudgeServer:
    """Runs the endpoint on its own thread; a context manager.

    Attributes:
        url: The base URL for a judge's settings.
        behaviour: Its settings and counters.
    """

    def __init__(self, behaviour: Behaviour | None = None, port: int = 0) -> None:
        self.behaviour = behaviour or Behaviour()
        self.url = ""
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> JudgeServer:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = web.AppRunner(application(self.behaviour), access_log=None, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", self._port)
        self._loop.run_until_complete(site.start())
        port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/v1"
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()


def application(behaviour: Behaviour) -> web.Application:
    """The endpoint's routes."""
    app = web.Application(client_max_size=200 * 2**20)
    endpoint = _Endpoint(behaviour)
    app.add_routes(
        [
            web.post("/v1/chat/completions", endpoint.chat),
            web.post("/v1/files", endpoint.upload),
            web.get("/v1/files/{id}/content", endpoint.download),
            web.post("/v1/batches", endpoint.create_batch),
            web.get("/v1/batches", endpoint.list_batches),
            web.get("/v1/batches/{id}", endpoint.get_batch),
            web.get("/calls", endpoint.get_calls),
        ]
    )
    return app


class _RefusalError(Exception):
    def __init__(self, status: int, message: str, body: Any = None, **rest: Any) -> None:
        self.status = status
        error = {"message": message, "type": "invalid_request_error", **rest}
        self.body = body or {"error": error}


class _Endpoint:
    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour

    async def get_calls(self, request: web.Request) -> web.Response:
        """Returns the counters to a test in another process; not part of the protocol."""
        calls = self.behaviour.calls
        return web.json_response(
            {
                "answered": calls.total(),
                "twice": sum(n > 1 for n in calls.values()),
                "seen": self.behaviour.seen,
            }
        )

    async def chat(self, request: web.Request) -> web.StreamResponse:
        behaviour = self.behaviour
        behaviour.seen += 1
        behaviour.at_once += 1
        behaviour.most_at_once = max(behaviour.most_at_once, behaviour.at_once)
        try:
            if behaviour.key and request.headers.get("Authorization") != f"Bearer {behaviour.key}":
                raise _RefusalError(401, "Incorrect API key provided.", code="invalid_api_key")
            for name, each in behaviour.headers.items():
                if request.headers.get(name) != each:
                    sent = request.headers.get(name, "no key")
                    raise _RefusalError(401, f"Access denied due to {sent}.")
            if any(request.query.get(name) != each for name, each in behaviour.query.items()):
                raise _RefusalError(404, "Resource not found.")
            if behaviour.page:
                return web.Response(text="<html>Sign in</html>", content_type="text/html")
            if behaviour.down:
                return web.Response(status=behaviour.down, text="<html>Bad gateway</html>")
            if behaviour.rate:
                now = asyncio.get_running_loop().time()
                behaviour.starts = [t for t in behaviour.starts if now - t < 1]
                if len(behaviour.starts) >= behaviour.rate:
                    return _limited(str(max(0.01, 1 - (now - behaviour.starts[0]))))
                behaviour.starts.append(now)
            body = await request.json()
            if behaviour.keep_bodies:
                behaviour.bodies.append(body)
            if behaviour.delay:
                await asyncio.sleep(behaviour.delay)
            return await self._reply(request, body)
        except _RefusalError as refusal:
            return web.json_response(refusal.body, status=refusal.status)
        finally:
            behaviour.at_once -= 1

    async def _reply(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        prompt = body["messages"][-1]["content"]
        command, value = self._command(prompt)
        if command == "status":
            raise _RefusalError(int(value), f"the server was told to say {value}")
        if command == "retry-after":
            return _limited(value)
        if command == "slow":
            await asyncio.sleep(float(value))
        if command == "garbled":
            return web.Response(text='{"id": "chatcmpl-1", "choices": [{"mess')
        completion = self.complete(body, mumble=command == "mumble")
        if command == "empty":
            completion["choices"] = []
        if command == "cut":
            return await _cut(request, completion)
        if command != "empty":
            self.behaviour.calls[_digest(prompt)] += 1
        return web.json_response(completion)

    def complete(self, body: dict[str, Any], *, mumble: bool = False) -> dict[str, Any]:
        """Returns the chat completion for the body of a request or of a batch line."""
        behaviour = self.behaviour
        for name, (status, refusal) in behaviour.refusals.items():
            if name in body and (body[name] is True or body[name] != 1):
                raise _RefusalError(status, "", refusal)
        for name, supported in (
            ("logprobs", behaviour.logprobs != "refused"),
            ("response_format", behaviour.structured),
            ("temperature", behaviour.temperature),
        ):
            if name in body and not supported:
                raise _RefusalError(
                    400,
                    f"Unsupported parameter: '{name}' is not supported with this model.",
                    param=name,
                    code="unsupported_parameter",
                )
        prompt = body["messages"][-1]["content"]
        belief = _belief(prompt)
        first = "Begin your reply with one word" in prompt
        count = body.get("n", 1) if behaviour.several else 1
        start = behaviour.calls[_digest(prompt)]
        choices = []
        for index in range(count):
            sample = 0.5 if not body.get("temperature") else _fraction(prompt, start + index)
            yes = belief > sample if body.get("temperature") else belief >= 0.5
            word = "Yes" if yes else "No"
            reason = "The answer says what the reference says." if yes else "It doesn't."
            text = f"{word}\n{reason}" if first else json.dumps({"reason": reason, "verdict": word})
            if mumble:
                text = "Well, it depends on how you look at it."
            choice: dict[str, Any] = {
                "index": index,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "finish_reason": "stop",
                "logprobs": None,
            }
            if body.get("logprobs") and behaviour.logprobs == "yes":
                choice["logprobs"] = {"content": _logprobs(text, belief, body["top_logprobs"])}
            choices.append(choice)
        completion: dict[str, Any] = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": choices,
        }
        if behaviour.usage:
            prompt = sum(len(turn["content"]) for turn in body["messages"]) // 4
            reply = sum(len(each["message"]["content"]) for each in choices) // 4
            completion["usage"] = {
                "prompt_tokens": prompt,
                "completion_tokens": reply,
                "total_tokens": prompt + reply,
            }
        return completion

    def _command(self, text: str) -> tuple[str, str]:
        match = _COMMAND.search(text)
        if match is None:
            return "", ""
        times = int(match[3] or 0)
        key = f"{match[0]} {_digest(text)}"
        if times and self.behaviour.commands[key] >= times:
            return "", ""
        self.behaviour.commands[key] += 1
        return match[1], match[2] or ""

    async def upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        if status := self.behaviour.files_refused:
            return web.json_response({"error": {"message": "No files."}}, status=status)
        uploaded = form["file"]
        if form.get("purpose") != "batch" or not isinstance(uploaded, web.FileField):
            raise web.HTTPBadRequest(text='{"error": {"message": "no file for a batch"}}')
        name = f"file-{uuid.uuid4().hex}"
        self.behaviour.files[name] = uploaded.file.read().decode()
        return web.json_response({"id": name, "object": "file", "purpose": "batch"})

    async def download(self, request: web.Request) -> web.Response:
        return web.Response(text=self.behaviour.files[request.match_info["id"]])

    async def create_batch(self, request: web.Request) -> web.Response:
        body = await request.json()
        name = f"batch_{uuid.uuid4().hex}"
        lines = self.behaviour.files[body["input_file_id"]].splitlines()
        self.behaviour.batches[name] = {
            "id": name,
            "object": "batch",
            "endpoint": body["endpoint"],
            "input_file_id": body["input_file_id"],
            "completion_window": body["completion_window"],
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "errors": None,
            "metadata": body.get("metadata"),
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
            "polls": 0,
        }
        if self.behaviour.batches_lost:
            self.behaviour.batches_lost -= 1
            return web.Response(status=504, text="Gateway timeout")
        return web.json_response(self._public_fields(name))

    async def list_batches(self, request: web.Request) -> web.Response:
        batches = [self._public_fields(name) for name in reversed(self.behaviour.batches)]
        return web.json_response({"object": "list", "data": batches[: int(request.query["limit"])]})

    async def get_batch(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if name not in self.behaviour.batches:
            return web.json_response({"error": {"message": f"No such batch: {name}"}}, status=404)
        batch = self.behaviour.batches[name]
        batch["polls"] += 1
        if batch["status"] == "in_progress" and batch["polls"] > self.behaviour.batch_polls:
            self._run(batch)
        elif batch["status"] == "validating" and self.behaviour.fail_batches:
            errors = [{"code": "invalid", "message": self.behaviour.fail_batches, "line": None}]
            batch.update(status="failed", errors={"object": "list", "data": errors})
        elif batch["status"] == "validating":
            batch["status"] = "in_progress"
        return web.json_response(self._public_fields(name))

    def _public_fields(self, name: str) -> dict[str, Any]:
        return {k: v for k, v in self.behaviour.batches[name].items() if k != "polls"}

    def _run(self, batch: dict[str, Any]) -> None:
        good, bad = [], []
        # Results come in another order than the requests.
        for line in reversed(self.behaviour.files[batch["input_file_id"]].splitlines()):
            request = json.loads(line)
            prompt = request["body"]["messages"][-1]["content"]
            command, value = self._command(prompt)
            result = {"id": f"batch_req_{uuid.uuid4().hex}", "custom_id": request["custom_id"]}
            try:
                if command in ("status", "retry-after"):
                    code = int(value) if command == "status" else 429
                    raise _RefusalError(code, f"the server was told to say {code}")
                completion = self.complete(request["body"], mumble=command == "mumble")
                self.behaviour.calls[_digest(prompt)] += 1
                response = {"status_code": 200, "request_id": "r", "body": completion}
                good.append({**result, "response": response, "error": None})
            except _RefusalError as refusal:
                response = {
                    "status_code": refusal.status, "request_id": "r", "body": refusal.body
                }  # fmt: skip
                bad.append({**result, "response": response, "error": None})
        for results, kind in ((good, "output_file_id"), (bad, "error_file_id")):
            if results:
                file = f"file-{uuid.uuid4().hex}"
                self.behaviour.files[file] = "".join(json.dumps(r) + "\n" for r in results)
                batch[kind] = file
        counts = {"total": len(good) + len(bad), "completed": len(good), "failed": len(bad)}
        batch.update(status="completed", request_counts=counts)


def _limited(seconds: str) -> web.Response:
    return web.json_response(
        {"error": {"message": "Rate limit reached.", "code": "rate_limit_exceeded"}},
        status=429,
        headers={"Retry-After": seconds},
    )


async def _cut(request: web.Request, completion: dict[str, Any]) -> web.StreamResponse:
    """Announces the whole reply, sends half of it and closes the connection."""
    content = json.dumps(completion).encode()
    response = web.StreamResponse(headers={"Content-Length": str(len(content))})
    response.content_type = "application/json"
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    assert request.transport is not None
    request.transport.close()
    return response


def _belief(prompt: str) -> float:
    """The judge's probability that the case is good."""
    texts = {
        name: (re.findall(_BLOCK.format(name), prompt, re.DOTALL) or [""])[-1].casefold()
        for name in ("output", "ground_truth")
    }
    good = any(part.strip() in texts["output"] for part in re.split(r"[/|]", texts["ground_truth"]))
    unsure = "perhaps" in texts["output"]
    return (0.6 if unsure else 0.95) if good else (0.4 if unsure else 0.05)


def _logprobs(text: str, belief: float, count: int) -> list[dict[str, Any]]:
    """Log-probabilities of the first tokens; the verdict is spread over several spellings."""
    spread = {
        "Yes": belief * 0.9,
        " Yes": belief * 0.08,
        "No": (1 - belief) * 0.9,
        "no": (1 - belief) * 0.08,
        "Well": 0.02,
    }
    top = sorted(spread.items(), key=lambda each: -each[1])[:count]
    first = text.split("\n")[0]
    verdict = {
        "token": first,
        "logprob": math.log(spread.get(first, 1e-9)),
        "bytes": list(first.encode()),
        "top_logprobs": [
            {"token": token, "logprob": math.log(share), "bytes": list(token.encode())}
            for token, share in top
        ],
    }
    end = {"token": "\n", "logprob": -0.001, "bytes": [10], "top_logprobs": []}
    return [verdict, end]


def _fraction(text: str, number: int) -> float:
    """A pseudo-random number in [0, 1) that depends only on the arguments."""
    digest = hashlib.sha256(f"{number} {text}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8090, help="0 for any that is free")
    parser.add_argument("--logprobs", choices=["yes", "no", "refused"], default="yes")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each reply")
    args = parser.parse_args()
    behaviour = Behaviour(logprobs=args.logprobs, delay=args.delay)
    with JudgeServer(behaviour, args.port) as server:
        print(f"listening on {server.url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
