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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import BaseModel, ValidationError

from tipstaff_trainer.errors import JudgeError
from tipstaff_trainer.judge.endpoint import Endpoint, PendingResponse, RefusedError, UnsureError
from tipstaff_trainer.judge.ledger import Ledger
from tipstaff_trainer.judge.question import Question
from tipstaff_trainer.judge.replies import Reply
from tipstaff_trainer.judge.settings import CHAT_PATH
from tipstaff_trainer.judge.wire import FaultyReplyError, error_of, parse_completion, request_body

# A question, and the number of replies to ask for.
Request = tuple[Question, int]

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
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: Any = None


@dataclass(frozen=True, slots=True)
class BatchFiles:
    """Sends questions to an endpoint in batch files, and collects their replies.

    Attributes:
        endpoint: The endpoint.
        ledger: Where open batches, questions and replies are stored.
    """

    endpoint: Endpoint
    ledger: Ledger

    async def send(self, questions: Iterable[Request]) -> int:
        """Sends questions in as few files as possible.

        Returns:
            How many questions were sent.

        Raises:
            JudgeError: The endpoint takes no batches, or not these.
        """
        sent = 0
        for keys, content in self._pack(questions):
            await self._send(keys, content)
            sent += len(keys)
        return sent

    async def collect(self, on_replies: Callable[[list[Reply]], None]) -> None:
        """Waits for all open batches and puts their replies into the ledger.

        Raises:
            JudgeError: The endpoint failed a batch as a whole.
            StoppedError: The run was stopped; the batches stay open.
        """
        settings = self.endpoint.settings
        for file, known_batch in self.ledger.batches(settings.base_url, settings.model):
            batch = known_batch or await self._begin(file)
            while (status := await self._status(batch)).status in _ACTIVE:
                await self.endpoint.rest(settings.poll_interval)
            results = [each for each in (status.output_file_id, status.error_file_id) if each]
            with tempfile.TemporaryDirectory() as folder:
                # The endpoint's name for a file must not become a path on this machine.
                paths = [
                    await _download(self.endpoint, each, Path(folder) / f"{number}.jsonl")
                    for number, each in enumerate(results)
                ]
                keys = self.ledger.batch_questions(file)
                outcomes = (outcome for path in paths for outcome in _outcomes(path, keys))
                for replies in self.ledger.collect(file, settings.model, outcomes):
                    on_replies(replies)
            if status.status == "failed":
                raise JudgeError(f"the endpoint failed batch {status.id}: {_why(status.errors)}")

    def _pack(self, questions: Iterable[Request]) -> Iterator[tuple[list[str], bytearray]]:
        """Packs questions into files; yields the questions' keys and the file's content."""
        keys: list[str] = []
        content = bytearray()
        for question, replies in questions:
            line = {
                "custom_id": question.key,
                "method": "POST",
                "url": f"/v1{CHAT_PATH}",
                "body": request_body(
                    question, self.endpoint.settings, self.endpoint.dialect, replies
                ),
            }
            keys.append(question.key)
            content += json.dumps(line).encode() + b"\n"
            if len(keys) == _MOST_QUESTIONS or len(content) >= _MOST_BYTES:
                yield keys, content
                keys, content = [], bytearray()
        if keys:
            yield keys, content

    async def _send(self, keys: list[str], content: bytearray) -> None:
        def upload() -> PendingResponse:
            form = aiohttp.FormData({"purpose": "batch"})
            form.add_field("file", content, filename="q.jsonl", content_type="application/jsonl")
            return self.endpoint.request("POST", "/files", data=form)

        file = await self.endpoint.call("upload", upload, _id_of)
        settings = self.endpoint.settings
        self.ledger.open_batch(file, settings.base_url, settings.model, keys)
        await self._begin(file)

    async def _begin(self, file: str) -> str:
        """Creates a batch from an uploaded file, unless there is one.

        There is one if a run was killed here, or if the endpoint created it and its reply got lost.
        """
        why = ""
        for _ in range(_ATTEMPTS):
            try:
                batch = await self._existing_batch(file) or await self._create_batch(file)
            except UnsureError as error:
                why = str(error)
                await self.endpoint.rest(_SECONDS_TO_A_LISTING)
                continue
            self.ledger.begin_batch(file, batch)
            return batch
        raise RefusedError(f"failed {_ATTEMPTS} times to create a batch: {why}")

    async def _existing_batch(self, file: str) -> str | None:
        get = partial(self.endpoint.request, "GET", f"/batches?limit={_LISTED}")
        batches = await self.endpoint.call(f"list {file}", get, lambda values: values)
        matches = [each for each in batches.get("data", []) if each.get("input_file_id") == file]
        return str(matches[0]["id"]) if matches else None

    async def _create_batch(self, file: str) -> str:
        url = f"/v1{CHAT_PATH}"
        body = {"input_file_id": file, "endpoint": url, "completion_window": "24h"}
        create = partial(self.endpoint.request, "POST", "/batches", json=body)
        try:
            return await self.endpoint.call(f"create {file}", create, _id_of, retry=False)
        except RefusedError:
            self.ledger.forget_batch(file)
            raise

    async def _status(self, batch: str) -> BatchStatus:
        get = partial(self.endpoint.request, "GET", f"/batches/{batch}")
        return await self.endpoint.call(batch, get, _parse_status)


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


async def _download(endpoint: Endpoint, file: str, path: Path) -> Path:
    """Downloads a file without holding it in memory."""
    no_limit = aiohttp.ClientTimeout(total=None)
    try:
        async with endpoint.request("GET", f"/files/{file}/content", timeout=no_limit) as response:
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
    """Reads each question's outcome: its replies, or why there are none.

    A question that failed temporarily has no outcome, and is asked again.
    """
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                result = json.loads(line)
            except ValueError:
                continue
            if not isinstance(result, dict) or (key := result.get("custom_id")) not in keys:
                continue
            response = result.get("response") or {}
            status, body = response.get("status_code", 500), response.get("body")
            if status == 200:
                try:
                    yield key, parse_completion(body)
                except FaultyReplyError as error:
                    yield key, str(error)
            elif 400 <= status < 500 and status != 429:
                yield key, f"HTTP {status}: {error_of(body)[0][:300]}"


def _id_of(values: Any) -> str:
    if not isinstance(values, dict) or not isinstance(values.get("id"), str):
        raise FaultyReplyError(f"a reply without id: {str(values)[:100]}")
    return str(values["id"])


def _parse_status(values: Any) -> BatchStatus:
    try:
        return BatchStatus.model_validate(values)
    except ValidationError:
        raise FaultyReplyError(f"not the status of a batch: {str(values)[:100]}") from None


def _why(errors: Any) -> str:
    data = errors.get("data") if isinstance(errors, dict) else None
    messages = [str(each.get("message", each)) for each in data or []]
    return "; ".join(messages[:3]) or "no reason given"
