"""Health, metrics and the page that describes the gateway's own door."""

from __future__ import annotations

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tipstaff_gateway.doors.openapi import describe, page
from tipstaff_gateway.doors.services import Services


def routes(services: Services) -> list[Route]:
    """The routes that probes, scrapes and readers use."""
    description = describe()

    async def live(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(request: Request) -> Response:
        if why := await services.upstream.why_not_ready():
            return PlainTextResponse(f"not ready: {why}\n", status_code=503)
        return PlainTextResponse("ok\n")

    async def metrics(request: Request) -> Response:
        text = generate_latest(services.metrics.registry)
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})

    async def openapi(request: Request) -> Response:
        return JSONResponse(description)

    async def docs(request: Request) -> Response:
        return HTMLResponse(page(description))

    return [
        Route("/healthz", live),
        Route("/readyz", ready),
        Route("/metrics", metrics),
        Route("/openapi.json", openapi),
        Route("/docs", docs),
    ]
