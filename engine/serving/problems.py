"""Every error has one form: `{"error": "why, in a sentence"}` and the status that says of which kind it is."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from engine.host import RefusedError, UnknownReleaseError
from engine.journal.records import JournalUnavailable
from engine.plan.problem import PlanError
from engine.serving.answers import Error

MEANINGS = {
    401: "The caller is not known.",
    403: "The caller may not do this; the reason says who may.",
    404: "There is no such release.",
    409: "Refused as things stand; the reason says what to do.",
    413: "The body is too long.",
    422: "The body, the plan or a parameter is wrong.",
    500: "The engine failed; its log says more.",
    503: "The journal does not answer; the reason says why. Ask again.",
}


def may_answer(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document: these errors can come."""
    return {status: {"model": Error, "description": MEANINGS[status]} for status in (401, 403, *statuses, 500, 503)}


def problem(status: int, message: str, headers: Any = None) -> JSONResponse:
    """An error's answer."""
    return JSONResponse({"error": message}, status_code=status, headers=headers)


def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = {404: f"there is no {request.url.path}", 405: f"{request.url.path} takes no {request.method}"}
    said = known.get(error.status_code, str(error.detail))
    headers = {"Allow": ", ".join(sorted(_methods(request)))} if error.status_code == 405 else error.headers
    return problem(error.status_code, said, headers)


def _methods(request: Request) -> set[str]:
    """What this path takes, by all of its routes."""
    routes = (route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in routes for method in route.methods}


def _of_engine(_request: Request, error: Exception) -> Response:
    return problem(500, f"the engine failed ({type(error).__name__}); its log says more")


HANDLERS: dict[Any, Any] = {
    HTTPException: _of_http,
    UnknownReleaseError: lambda _request, error: problem(404, str(error)),
    RefusedError: lambda _request, error: problem(409, str(error)),
    PlanError: lambda _request, error: problem(422, str(error)),
    JournalUnavailable: lambda _request, error: problem(503, f"{error}: ask again"),
    Exception: _of_engine,
}
