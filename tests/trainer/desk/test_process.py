"""The desk's process: its address, what it prints, and addresses that it can't listen on."""

from __future__ import annotations

import socket

import pytest
import uvicorn

from tipstaff.errors import UsageError
from tipstaff_trainer.desk.app import build
from tipstaff_trainer.desk.process import serve
from tipstaff_trainer.desk.settings import DeskSettings
from tipstaff_trainer.errors import WorkspaceError


@pytest.fixture
def addresses(monkeypatch):
    """The addresses that desks listened on; each returns at once, as after Ctrl-C."""
    addresses = []

    def run(self, sockets):
        (listener,) = sockets
        address = listener.getsockname()
        with socket.create_connection(address[:2], timeout=5):
            addresses.append(address)

    monkeypatch.setattr(uvicorn.Server, "run", run)
    # It closes all log handlers there are. That of absl, which TensorBoard brings, then closes the
    # stream that pytest captures with.
    monkeypatch.setattr(uvicorn.Config, "configure_logging", lambda self: None)
    return addresses


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_the_address_that_is_printed_is_the_one_to_open(workspace, addresses, capsys, host, shown):
    settings = DeskSettings(host=host, port=0, token="t")
    try:
        serve(build(workspace, settings), settings, workspace, print_token=True)
    except UsageError:
        pytest.skip(f"this machine has no {host}")
    ((_, port, *_),) = addresses
    printed = capsys.readouterr().out
    assert f"workspace  {workspace.folder}\n" in printed
    assert f"desk       http://{shown}:{port}/?token=t\n" in printed


def test_a_token_is_not_printed_unless_it_was_made(workspace, addresses, capsys):
    settings = DeskSettings(port=0, token="from elsewhere")
    serve(build(workspace, settings), settings, workspace)
    assert "elsewhere" not in capsys.readouterr().out


def test_the_workspace_is_closed_and_can_be_opened_again(workspace, addresses, visit):
    settings = DeskSettings(port=0)
    serve(build(workspace, settings), settings, workspace)
    assert visit().get("/datasets").status_code == 200


def test_a_port_that_is_taken_is_named(workspace):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        settings = DeskSettings(port=port)
        with pytest.raises(UsageError, match=f"port {port}: can't listen on 127.0.0.1: .*in use"):
            serve(build(workspace, settings), settings, workspace)


def test_a_host_that_does_not_exist_is_named(workspace):
    settings = DeskSettings(host="no such host", port=0)
    with pytest.raises(UsageError, match=r"host no such host: .*a name or an address of this mach"):
        serve(build(workspace, settings), settings, workspace)


def test_a_secret_that_can_not_be_read_or_is_none_is_named(workspace):
    secret = workspace.folder / "desk.secret"
    secret.write_bytes(b"\xff")
    with pytest.raises(WorkspaceError, match="holds no secret: delete the file"):
        build(workspace, DeskSettings())
    secret.unlink()
    secret.mkdir()
    with pytest.raises(WorkspaceError, match="can't be used"):
        build(workspace, DeskSettings())
