"""The trainer's image: previews a file, trains what the server's image serves, opens the desk."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

from images.builder import ROOT, Builder, Image
from images.container import Container, Mount, free_port
from images.server import serving

IMAGE = Image("trainer", "trainer.Dockerfile", {"TORCH_INDEX": ""})
_ROWS = 100
_TRAIN_SECONDS = 3600.0
_TOKEN = "only-for-this-check"


def check(builder: Builder, _bundle: Path) -> str:
    """Checks the image; returns what it did."""
    work = builder.folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    with (ROOT / "examples" / "support" / "train.jsonl").open() as rows:
        (work / "rows.jsonl").write_text("".join(next(rows) for _ in range(_ROWS)))

    assert "train an evaluator" in _run(builder, work, []), "its own command is --help"
    preview = _run(builder, work, ["preview", "rows.jsonl"])
    assert f"a plain table, {_ROWS} rows" in preview, preview
    words = ["train", "rows.jsonl", "--name", "support", "--out", "bundle", "--epochs", "1"]
    _run(builder, work, words)
    with serving(builder, work / "bundle") as server, server.client() as client:
        reply = client.score(input="Open on Sunday?", output="No.", ground_truth="Closed Sundays.")
    _check_desk(builder, work)
    return (
        f"trained on {_ROWS} rows with the packaged encoder, and the server's image answers with "
        f"the bundle (score {reply.score:.2f}); the desk signs in; ended with 0"
    )


def _started(
    builder: Builder, work: Path, words: Sequence[str], environment: Sequence[str] = ()
) -> Container:
    mounts = [Mount(work, "/work", "write")]
    return Container(builder, IMAGE, words, mounts, environment=environment, scratch=True)


def _run(builder: Builder, work: Path, words: Sequence[str]) -> str:
    with _started(builder, work, words) as container:
        return container.finish(_TRAIN_SECONDS)


def _check_desk(builder: Builder, work: Path) -> None:
    port = free_port()
    words = ["desk", "workspace", "--host", "0.0.0.0", "--port", str(port)]
    with _started(builder, work, words, [f"TIPSTAFF_DESK_TOKEN={_TOKEN}"]) as container:
        container.wait_for(f"desk       http://0.0.0.0:{port}/")
        container.check_confined()
        refused, page = _get(port, "/datasets")
        assert refused.status == 401, (refused.status, page)
        assert "/sign-in" in page, page
        welcome, page = _get(port, f"/?token={_TOKEN}")
        assert welcome.status == 303, (welcome.status, page)
        cookie = welcome.getheader("set-cookie", "").partition(";")[0]
        shown, page = _get(port, "/datasets", {"cookie": cookie})
        assert shown.status == 200, (shown.status, page)
        style, _ = _get(port, "/static/desk.css")
        assert style.status == 200, style.status
        container.send(signal.SIGTERM)
        container.finish()


def _get(port: int, path: str, headers: dict[str, str] | None = None) -> tuple[HTTPResponse, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers=headers or {})
    response = connection.getresponse()
    return response, response.read().decode()
