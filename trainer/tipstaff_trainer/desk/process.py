"""The process that serves the desk."""

from __future__ import annotations

import socket

import uvicorn
from starlette.types import ASGIApp

from tipstaff.errors import UsageError
from tipstaff_trainer.desk.settings import DeskSettings
from tipstaff_trainer.workspace import Workspace


def serve(
    app: ASGIApp, settings: DeskSettings, workspace: Workspace, *, shown_token: bool = False
) -> None:
    """Serves until SIGINT or SIGTERM. Jobs, and the workspace's server, outlive it.

    Args:
        app: The desk.
        settings: How it is reached.
        workspace: Its workspace; closed in the end.
        shown_token: Print the token, which nobody has seen yet.

    Raises:
        UsageError: The address can't be listened on.
    """
    with _listening(settings) as opened:
        host = settings.host
        port = opened.getsockname()[1]
        way_in = f"/?token={settings.token}" if shown_token else "/"
        print(f"workspace  {workspace.folder}")
        print(f"desk       http://{f'[{host}]' if ':' in host else host}:{port}{way_in}")
        print("Ctrl-C ends the desk; jobs that run go on.", flush=True)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=5
        )
        uvicorn.Server(config).run(sockets=[opened])
    workspace.close()


def _listening(settings: DeskSettings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(128)
        return opened
    except socket.gaierror as error:
        raise UsageError(
            f"--host {settings.host}: {error.strerror}; give a name or an address of this machine"
        ) from None
    except OSError as error:
        raise UsageError(
            f"--host {settings.host} --port {settings.port}: can't be listened on: "
            f"{error.strerror}; choose another --port, or 0 for a free one"
        ) from None
