"""Random and mutated messages, manifests and tokenizers: each gets a proper error or an answer."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tipstaff.errors import TipstaffError
from tipstaff.v1 import scoring_pb2 as pb
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.manifest import MANIFEST_FILE

# What a message may be answered with; anything else is the server's own fault.
PROPER = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED",
          "DEADLINE_EXCEEDED"}  # fmt: skip
QUICK = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

TEXT = st.one_of(st.none(), st.text(max_size=40))
REQUEST = st.builds(
    pb.ScoreRequest,
    evaluator=st.sampled_from(["tiny", "pair", "", "\x00", "nobody"]),
    version=st.sampled_from([0, 1, 2**32 - 1]),
    input=TEXT,
    output=TEXT,
    ground_truth=TEXT,
    request_id=st.text(max_size=200),
    explain=st.booleans(),
)
# A position and a byte to put there, again and again.
MUTATIONS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4)
JSON_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(),
    st.text(max_size=8),
    st.just([]),
    st.just({}),
    st.just("../../etc/passwd"),
)


def raised_by(action: Callable[[], object], kind: type[Exception] = TipstaffError) -> Any:
    """The error of one kind that an action raises; None if it raises none."""
    try:
        action()
    except kind as error:
        return error
    return None


def mutated(content: bytes, mutations: list[tuple[int, int]]) -> bytes:
    changed = bytearray(content)
    for position, byte in mutations:
        if changed:
            changed[position % len(changed)] = byte
    return bytes(changed)


@QUICK
@given(REQUEST, MUTATIONS, st.sampled_from(["Score", "ScoreBatch", "ListEvaluators"]))
def test_messages(server, request_message, mutations, method):
    message = mutated(request_message.SerializeToString(), mutations)
    call = server_call(server, method)
    error = raised_by(lambda: call(message, timeout=5), grpc.RpcError)
    assert error is None or error.code().name in PROPER, (message, error)
    assert server.process.poll() is None


def server_call(server, method):
    if not hasattr(server, "fuzzed"):
        server.fuzzed = server.channel()
    return server.fuzzed.unary_unary(f"/tipstaff.v1.ScoringService/{method}")


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all values in a piece of JSON."""
    below = []
    if isinstance(value, dict):
        below = [place for key in value for place in places(value[key], (*at, key))]
    elif isinstance(value, list):
        below = [place for key, each in enumerate(value) for place in places(each, (*at, key))]
    return [at, *below] if at else below


@QUICK
@given(st.data())
def test_manifests(bundle, tmp_path, data):
    manifest = json.loads((bundle / MANIFEST_FILE).read_text())
    place = data.draw(st.sampled_from(places(manifest)))
    owner = manifest
    for key in place[:-1]:
        owner = owner[key]
    owner[place[-1]] = data.draw(JSON_VALUES)
    changed = copy_of(bundle, tmp_path, MANIFEST_FILE, json.dumps(manifest).encode())
    assert "\n" not in str(raised_by(lambda: Evaluator.load(changed)))


@QUICK
@given(st.integers(0, 2**32), MUTATIONS)
def test_cut_and_mutated_manifests(bundle, tmp_path, length, mutations):
    content = (bundle / MANIFEST_FILE).read_bytes()
    content = mutated(content[: length % (2 * len(content))], mutations)
    changed = copy_of(bundle, tmp_path, MANIFEST_FILE, content)
    assert "\n" not in str(raised_by(lambda: Bundle.open(changed)))


@QUICK
@given(st.data())
def test_tokenizers(bundle, tmp_path, data):
    """The checksum fits: whoever makes a bundle may write what they like."""
    file = "tokenizer.json"
    content = json.loads((bundle / file).read_text())
    place = data.draw(st.sampled_from([each for each in places(content) if len(each) < 4]))
    owner = content
    for key in place[:-1]:
        owner = owner[key]
    owner[place[-1]] = data.draw(JSON_VALUES)
    encoded = json.dumps(content).encode()
    target = copy_of(bundle, tmp_path, file, encoded)
    manifest = json.loads((target / MANIFEST_FILE).read_text())
    manifest["checksums"][file] = hashlib.sha256(encoded).hexdigest()
    (target / MANIFEST_FILE).write_text(json.dumps(manifest))
    assert "\n" not in str(raised_by(lambda: Evaluator.load(target)))


def copy_of(bundle: Path, folder: Path, file: str, content: bytes) -> Path:
    target = folder / "bundle"
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(bundle, target)
    (target / file).write_bytes(content)
    return target
