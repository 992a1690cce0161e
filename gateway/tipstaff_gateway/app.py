"""The gateway as a web app, with all doors over HTTP."""

from __future__ import annotations

import difflib
import re
from collections.abc import Awaitable, Callable, Sequence

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
    everything = [*health.routes(services), *routes]
    app = Starlette(
        routes=everything, exception_handlers={HTTPException: _http_problem(everything)}
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


def _http_problem(
    routes: Sequence[Route],
) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Answers Starlette's own errors: says which paths there are, or which methods of a path."""
    by_path = {each.path: f"{' or '.join(_methods(each))} {each.path}" for each in routes}

    def no_path(path: str) -> str:
        near = difflib.get_close_matches(path[:200], by_path, n=1)
        hint = f"did you mean {by_path[near[0]]}? There are " if near else "there are "
        return f"there is no such path; {hint}{', '.join(by_path.values())}"

    def no_method(path: str) -> str:
        methods = {
            name for each in routes if each.path_regex.match(path) for name in _methods(each)
        }
        return f"the path has no such method; it has {' and '.join(sorted(methods))}"

    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code, detail = "UNKNOWN", str(error.detail)
        if error.status_code == 404:
            code, detail = "NOT_FOUND", no_path(request.url.path)
        elif error.status_code == 405:
            code, detail = "UNIMPLEMENTED", no_method(request.url.path)
        response = problem_response(ProblemError(error.status_code, detail, code=code))
        response.headers.update(error.headers or {})
        return response

    return answer


def _methods(route: Route) -> list[str]:
    # Starlette adds HEAD to each GET.
    return sorted((route.methods or set()) - {"HEAD"})
