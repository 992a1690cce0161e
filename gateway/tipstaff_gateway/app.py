"""The gateway as a web app, with all doors over HTTP."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tipstaff_gateway.doors import health, litellm, native, nemo, openinference
from tipstaff_gateway.doors.services import Endpoint, Services
from tipstaff_gateway.problems import ProblemError, problem_response

# Probes and scrapes, which don't count against the limit of requests at a time.
_ALWAYS = ("/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready")


def build(services: Services) -> ASGIApp:
    """The web app of a gateway."""
    doors = (native, litellm, nemo, openinference)
    routes = [route for door in doors for route in door.routes(services)]
    app = Starlette(
        routes=[*health.routes(services), *routes],
        exception_handlers={HTTPException: _http_problem},
    )
    return _Bounded(_Direct(app, routes), services.settings.max_calls)


class _Direct:
    """Finds the endpoint of a request itself: Starlette takes a fifth of a small request's time.

    The endpoints of `Services.route` don't need Starlette's middleware, as they answer errors
    themselves. Requests with another path or method are left to Starlette.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[Route]) -> None:
        self._app = app
        self._plain: dict[tuple[str, str], Endpoint] = {}
        self._patterns: dict[str, list[tuple[re.Pattern[str], Endpoint]]] = {}
        for each in routes:
            for method in each.methods or ():
                if each.param_convertors:
                    # All parameters are texts, so nothing needs converting.
                    patterns = self._patterns.setdefault(method, [])
                    patterns.append((each.path_regex, each.endpoint))
                else:
                    self._plain[method, each.path] = each.endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._find(scope) if scope["type"] == "http" else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> Endpoint | None:
        method, path = scope["method"], scope["path"]
        if endpoint := self._plain.get((method, path)):
            return endpoint
        for pattern, endpoint in self._patterns.get(method, ()):
            if match := pattern.match(path):
                scope["path_params"] = match.groupdict()
                return endpoint
        return None


class _Bounded:
    """Refuses requests beyond a number at a time, before their bodies are read."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _ALWAYS:
            await self._app(scope, receive, send)
            return
        if self._running >= self._most:
            detail = f"{self._most} requests run already"
            problem = ProblemError(503, detail, code="RESOURCE_EXHAUSTED", retry_after=1)
            await problem_response(problem)(scope, receive, send)
            return
        self._running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._running -= 1


async def _http_problem(request: Request, error: Exception) -> Response:
    """Starlette's own errors: no such path, no such method."""
    assert isinstance(error, HTTPException)
    code = {404: "NOT_FOUND", 405: "UNIMPLEMENTED"}.get(error.status_code, "UNKNOWN")
    response = problem_response(ProblemError(error.status_code, str(error.detail), code=code))
    response.headers.update(error.headers or {})
    return response
