"""What a machine asks an engine: /healthz, /readyz and /metrics, over plain HTTP and nothing else there."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from engine import telemetry
from engine.telemetry import Shown

METRICS = "text/plain; version=0.0.4; charset=utf-8"


def probes(host: Shown) -> Starlette:
    """The application for the listener of the probes."""

    async def healthz(_request: Request) -> Response:
        return _said(*telemetry.healthy(host))

    async def readyz(_request: Request) -> Response:
        return _said(*telemetry.ready(host))

    async def metrics(_request: Request) -> Response:
        return Response(telemetry.exposition(host), media_type=METRICS)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])


def _said(well: bool, why: str) -> Response:
    return PlainTextResponse(f"{why}\n", status_code=200 if well else 503)
