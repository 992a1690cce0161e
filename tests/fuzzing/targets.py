"""What is fuzzed: each target takes bytes, and may raise nothing but an error of ours."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from google.protobuf.message import DecodeError
from running_server import Starter
from tiny_bundle import make_bundle

from tipstaff import Interaction
from tipstaff.errors import TipstaffError
from tipstaff.v1 import scoring_pb2 as pb
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.manifest import MANIFEST_FILE, TOKENIZER_FILE
from tipstaff_server.rpc import convert

GRAPH_FILE = "model.fp32.onnx"
CORPUS = Path(__file__).parent / "corpus"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@cache
def _bundle() -> Path:
    return make_bundle(Path(tempfile.mkdtemp(prefix="fuzz-")) / "bundle")


@cache
def _evaluator() -> Evaluator:
    return Evaluator.load(_bundle())


@cache
def server() -> tuple[Starter, str]:
    """A server for raw frames, and its address; whoever fuzzes stops it."""
    starter = Starter(Path(tempfile.mkdtemp(prefix="fuzz-")))
    return starter, starter(_bundle()).address


def _load(file: str, content: bytes) -> None:
    """Loads a bundle with another file, whose checksum fits: its maker may write what they like."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        target = folder / "bundle"
        shutil.copytree(_bundle(), target)
        (target / file).write_bytes(content)
        if file != MANIFEST_FILE:
            manifest = json.loads((target / MANIFEST_FILE).read_text())
            manifest["checksums"][file] = hashlib.sha256(content).hexdigest()
            (target / MANIFEST_FILE).write_text(json.dumps(manifest))
        with suppress(TipstaffError):
            evaluator = Evaluator.load(target)
            try:
                evaluator.warm_up()
            except Exception:  # the server refuses to serve it, whatever it is
                return
            evaluator.score(Interaction("paris is it", "paris", "france"))
            evaluator.score(Interaction("", "\u2603 zqxj", None))
    finally:
        shutil.rmtree(folder)


def manifest(content: bytes) -> None:
    """A bundle's manifest."""
    _load(MANIFEST_FILE, content)


def tokenizer(content: bytes) -> None:
    """A bundle's tokenizer."""
    _load(TOKENIZER_FILE, content)


def graph(content: bytes) -> None:
    """A bundle's graph."""
    _load(GRAPH_FILE, content)


def message(content: bytes) -> None:
    """A request's message, from its bytes to its score."""
    with suppress(DecodeError, TipstaffError):
        task = convert.to_task(pb.ScoreRequest.FromString(content))
        _evaluator().score(task.interaction)


def frames(content: bytes) -> None:
    """Bytes after the preface of HTTP/2: the server answers others all the same."""
    starter, address = server()
    host, _, port = address.rpartition(":")
    with suppress(ConnectionError), socket.create_connection((host, int(port))) as raw:
        raw.sendall(_PREFACE + content)
        raw.shutdown(socket.SHUT_WR)
    assert starter._servers[-1].process.poll() is None, starter._servers[-1].log


def seed(name: str) -> bytes:
    """An input to begin with, which is right."""
    if name == "message":
        request = pb.ScoreRequest(input="a", output="paris", ground_truth="paris", explain=True)
        return request.SerializeToString()
    if name == "frames":
        return bytes.fromhex("000000040000000000")
    file = {"manifest": MANIFEST_FILE, "tokenizer": TOKENIZER_FILE, "graph": GRAPH_FILE}[name]
    return (_bundle() / file).read_bytes()


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (manifest, tokenizer, graph, message, frames)
}
