"""The process that serves the desk."""

from __future__ import annotations

import gc
import socket

import uvicorn
from starlette.types import ASGIApp

from tipstaff.errors import UsageError
from tipstaff_trainer.desk.settings import DeskSettings
from tipstaff_trainer.workspace import Workspace


def serve(
    app: ASGIApp, settings: DeskSettings, workspace: Workspace, *, print_token: bool = False
) -> None:
    """Serves until SIGINT or SIGTERM; jobs and the workspace's server keep running.

    Args:
        app: The desk.
        settings: The desk's settings.
        workspace: The desk's workspace; closed at the end.
        print_token: Print the token, if it was generated.

    Raises:
        UsageError: The desk can't listen on the address.
    """
    with _listen(settings) as listener:
        host = settings.host
        port = listener.getsockname()[1]
        path = f"/?token={settings.token}" if print_token else "/"
        print(f"workspace  {workspace.folder}")
        print(f"desk       http://{f'[{host}]' if ':' in host else host}:{port}{path}")
        print("Ctrl-C stops the desk; running jobs continue.", flush=True)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=5
        )
        # What was made until now stays: without freezing it, full collections add some 100 ms to
        # one page in ten.
        gc.collect()
        gc.freeze()
        uvicorn.Server(config).run(sockets=[listener])
    workspace.close()


def _listen(settings: DeskSettings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
        return listener
    except socket.gaierror as error:
        raise UsageError(
            str(error.strerror),
            field="host",
            value=settings.host,
            remedy="give a name or an address of this machine",
        ) from None
    except OSError as error:
        raise UsageError(
            f"can't listen on {settings.host}: {error.strerror}",
            field="port",
            value=str(settings.port),
            remedy="choose another {port} or {host}; port 0 takes a free one",
        ) from None
