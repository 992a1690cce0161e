"""Batch files: questions go up as one file, replies come back as another within a day.

https://platform.openai.com/docs/api-reference/batch: upload a file of JSON lines, create a batch
from it, poll, download. About half the price at most providers.

The ledger knows a file's questions before a batch is created from it, and takes the file's replies
in one transaction. So a run that is killed at any moment finds its batches again, and no reply
counts twice.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import aiohttp
from pydantic import BaseModel, ValidationError

from tipstaff_trainer.errors import JudgeError
from tipstaff_trainer.judge.endpoint import Endpoint, PendingResponse, RefusedError, UnsureError
from tipstaff_trainer.judge.ledger import Ledger
from tipstaff_trainer.judge.question import Question
from tipstaff_trainer.judge.replies import Reply
from tipstaff_trainer.judge.settings import CHAT_PATH, JudgeSettings
from tipstaff_trainer.judge.wire import FaultyReplyError, error_of, parse_completion, request_body

# OpenAI takes 50,000 requests and 200 MB; others take less.
_MOST_QUESTIONS = 50_000
_MOST_BYTES = 95_000_000
_LISTED = 100
_ATTEMPTS = 6
# A new batch may take a moment to be listed.
_SECONDS_TO_A_LISTING = 2.0
_ACTIVE = ("validating", "in_progress", "finalizing", "cancelling")


class BatchStatus(BaseModel):
    """The status of a batch, as the endpoint reports it."""

    id: str
    status: str
    input_file_id: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: Any = None


async def send_batches(
    endpoint: Endpoint,
    questions: Iterable[tuple[Question, int]],
    settings: JudgeSettings,
    ledger: Ledger,
) -> int:
    """Sends questions, each with the number of replies to ask for, in as few files as possible.

    Returns:
        How many questions were sent.

    Raises:
        JudgeError: The endpoint takes no batches, or not these.
    """
    sent = 0
    waiting = iter(questions)
    while True:
        with tempfile.TemporaryFile() as file:
            keys = list(_fill(file, waiting, endpoint, settings))
            if not keys:
                return sent
            file.seek(0)
            await _send(endpoint, file, keys, settings, ledger)
        sent += len(keys)


async def collect_batches(
    endpoint: Endpoint,
    settings: JudgeSettings,
    ledger: Ledger,
    *,
    on_replies: Callable[[list[Reply]], None],
) -> None:
    """Waits for all open batches and puts their replies into the ledger.

    Raises:
        JudgeError: The endpoint failed a batch as a whole.
        StoppedError: The run was stopped; the batches stay open.
    """
    for batch in ledger.batches(settings.base_url, settings.model):
        batch_id = batch.id or await _begin(endpoint, batch.file, ledger)
        status = await _status(endpoint, batch_id)
        while status.status in _ACTIVE:
            await endpoint.rest(settings.poll_interval)
            status = await _status(endpoint, batch_id)
        files = [each for each in (status.output_file_id, status.error_file_id) if each]
        with tempfile.TemporaryDirectory() as folder:
            # The endpoint's name for a file must not become a path on this machine.
            paths = [
                await _download(endpoint, each, Path(folder) / f"{number}.jsonl")
                for number, each in enumerate(files)
            ]
            keys = ledger.batch_questions(batch.file)
            outcomes = (outcome for path in paths for outcome in _outcomes(path, keys))
            for replies in ledger.collect(batch.file, settings.model, outcomes):
                on_replies(replies)
        if status.status == "failed":
            raise JudgeError(f"the endpoint failed batch {status.id}: {_why(status.errors)}")


def check_not_in_batches(ledger: Ledger, keys: Iterable[str]) -> None:
    """Checks that no question is in an open batch, before questions are asked by calls.

    Raises:
        JudgeError: Some are.
    """
    sent = ledger.in_batches()
    if sent and (count := len(sent.intersection(keys))):
        raise JudgeError(
            f"{count:,} of the questions are on their way in batch files, and would be paid for "
            "twice",
            remedy="run it with {batch}, which waits for their replies",
        )


def _fill(
    file: IO[bytes],
    questions: Iterator[tuple[Question, int]],
    endpoint: Endpoint,
    settings: JudgeSettings,
) -> Iterator[str]:
    """Writes questions into a file until it is full; yields their keys."""
    for count, (question, replies) in enumerate(questions, start=1):
        line = {
            "custom_id": question.key,
            "method": "POST",
            "url": f"/v1{CHAT_PATH}",
            "body": request_body(question, settings, endpoint.dialect, replies),
        }
        file.write(json.dumps(line).encode() + b"\n")
        yield question.key
        if count == _MOST_QUESTIONS or file.tell() >= _MOST_BYTES:
            return


async def _send(
    endpoint: Endpoint,
    file: IO[bytes],
    keys: list[str],
    settings: JudgeSettings,
    ledger: Ledger,
) -> None:
    content = file.read()

    def upload() -> PendingResponse:
        form = aiohttp.FormData({"purpose": "batch"})
        form.add_field("file", content, filename="q.jsonl", content_type="application/jsonl")
        return endpoint.request("POST", "/files", data=form)

    uploaded = await endpoint.call("upload", upload, lambda values: _text(values, "id"))
    ledger.open_batch(uploaded, settings.base_url, settings.model, keys)
    await _begin(endpoint, uploaded, ledger)


async def _begin(endpoint: Endpoint, file: str, ledger: Ledger) -> str:
    """Creates a batch from an uploaded file, unless there is one.

    There is one if a run was killed here, or if the endpoint created it and its reply got lost.
    """
    why = ""
    for _ in range(_ATTEMPTS):
        batch = await _batch_of(endpoint, file)
        if batch is None:
            try:
                batch = await endpoint.call(
                    f"create {file}",
                    lambda: endpoint.request(
                        "POST",
                        "/batches",
                        json={
                            "input_file_id": file,
                            "endpoint": f"/v1{CHAT_PATH}",
                            "completion_window": "24h",
                        },
                    ),
                    lambda values: _text(values, "id"),
                    retry=False,
                )
            except RefusedError:
                ledger.forget_batch(file)
                raise
            except UnsureError as error:
                why = str(error)
                await endpoint.rest(_SECONDS_TO_A_LISTING)
                continue
        ledger.begin_batch(file, batch)
        return batch
    raise RefusedError(f"failed {_ATTEMPTS} times to create a batch: {why}")


async def _batch_of(endpoint: Endpoint, file: str) -> str | None:
    listed = await endpoint.call(
        f"list {file}",
        lambda: endpoint.request("GET", f"/batches?limit={_LISTED}"),
        lambda values: values,
    )
    matches = [each for each in listed.get("data", []) if each.get("input_file_id") == file]
    return str(matches[0]["id"]) if matches else None


async def _status(endpoint: Endpoint, batch: str) -> BatchStatus:
    def parse(values: Any) -> BatchStatus:
        try:
            return BatchStatus.model_validate(values)
        except ValidationError:
            raise FaultyReplyError(f"not the status of a batch: {str(values)[:100]}") from None

    return await endpoint.call(batch, lambda: endpoint.request("GET", f"/batches/{batch}"), parse)


async def _download(endpoint: Endpoint, file: str, path: Path) -> Path:
    """Downloads a file without holding it in memory."""
    whole = aiohttp.ClientTimeout(total=None)
    try:
        async with endpoint.request("GET", f"/files/{file}/content", timeout=whole) as response:
            if response.status != 200:
                raise JudgeError(f"file {file} of a batch can't be read: HTTP {response.status}")
            with path.open("wb") as out:
                async for part in response.content.iter_chunked(2**20):
                    out.write(part)
    except (aiohttp.ClientError, OSError) as error:
        raise JudgeError(
            f"file {file} of a batch can't be read: {error or type(error).__name__}",
            remedy="the endpoint keeps it: run the labelling again",
        ) from None
    return path


def _outcomes(path: Path, keys: set[str]) -> Iterator[tuple[str, list[Reply] | str]]:
    """The outcome of each question: its replies, or why there are none.

    A question that failed for the moment has no outcome, and is asked again.
    """
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                result = json.loads(line)
            except ValueError:
                continue
            if not isinstance(result, dict):
                continue
            key = result.get("custom_id")
            response = result.get("response") or {}
            if key not in keys:
                continue
            if response.get("status_code") == 200:
                try:
                    yield key, parse_completion(response.get("body"))
                except FaultyReplyError as error:
                    yield key, str(error)
            elif 400 <= response.get("status_code", 500) < 500 and response["status_code"] != 429:
                message, _, _ = error_of(response.get("body"))
                yield key, f"HTTP {response['status_code']}: {message[:300]}"


def _text(values: Any, name: str) -> str:
    if not isinstance(values, dict) or not isinstance(values.get(name), str):
        raise FaultyReplyError(f"a reply without {name}: {str(values)[:100]}")
    return str(values[name])


def _why(errors: Any) -> str:
    data = errors.get("data") if isinstance(errors, dict) else None
    messages = [str(each.get("message", each)) for each in data or []]
    return "; ".join(messages[:3]) or "no reason given"
