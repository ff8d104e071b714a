"""The routes of `/v1` and the document that describes them.

Endpoints read their bodies themselves and answer ready responses: neither FastAPI's dependencies nor its validation of
answers stands between an order and its release. The models are for the document, and tests hold the answers to them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine.serving import answers
from engine.serving.api import Api
from engine.serving.bodies import Body, OrderBody, PlanBody, PruneBody, StartBody
from engine.serving.problems import HANDLERS, may_answer
from engine.serving.stream import EventStream

BODIES: Final = (StartBody, OrderBody, PlanBody, PruneBody)
REFERENCES: Final = "#/components/schemas/{model}"


class _Direct(APIRoute):
    """A route whose endpoint is called with the request and the path's parts, and answers a ready response."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Without what solves dependencies and reads bodies: it costs an order 50 us and has nothing to do."""
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            response: Response = await endpoint(request, **request.path_params)
            return response

        return handle


def application(api: Api) -> FastAPI:
    """The HTTP interface of an engine."""
    app = _described(api)

    async def document(_request: Request) -> Response:
        return JSONResponse(_document(app))

    app.add_api_route("/v1/openapi.json", document, include_in_schema=False)
    return app


def openapi() -> dict[str, Any]:
    """The OpenAPI document of `/v1`."""
    return _document(_described(Api.__new__(Api)))  # of no host: nothing is called


def _described(api: Api) -> FastAPI:
    app = FastAPI(
        title="laneshift",
        version="1",
        summary="Releases to production, one lane at a time",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=HANDLERS,
    )
    app.router.route_class = _Direct

    def route(method: str, path: str, endpoint: Any, model: Any, *errors: int, **more: Any) -> None:
        app.add_api_route(
            f"/v1{path}",
            endpoint,
            methods=[method],
            response_model=model,
            responses=may_answer(*errors),
            operation_id=endpoint.__name__,
            **more,
        )

    one = "/releases/{release}"
    route("GET", "/engine", api.engine, answers.EngineInfo, openapi_extra={"parameters": [_WHERE]})
    route("GET", "/releases", api.releases, list[answers.ListedRow])
    route("POST", "/releases", api.start, answers.Started, 409, 413, 422, status_code=201, **_takes(StartBody))
    route("GET", one, api.release, answers.Look, 404, 422)
    route("POST", f"{one}/orders", api.order, answers.Accepted, 404, 409, 413, 422, **_takes(OrderBody))
    route("GET", f"{one}/events", api.events, None, 404, 422, status_code=200, **_STREAM)
    route("POST", "/doctor", api.doctor, answers.Findings, 413, 422, **_takes(PlanBody))
    route("POST", "/prune", api.prune, answers.Forgotten, 409, 413, 422, **_takes(PruneBody))
    route("POST", "/stop", api.stop, answers.Stopping)
    return app


def _takes(body: type[Body]) -> dict[str, Any]:
    schema = {"$ref": REFERENCES.format(model=body.__name__)}
    return {"openapi_extra": {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}}


_WHERE: Final = {
    "name": "where",
    "in": "query",
    "description": "The client's own words about where it is, such as its terminal.",
    "schema": {"type": "string", "default": ""},
}
_PLACE: Final = {
    "parameters": [
        {
            "name": "after",
            "in": "query",
            "description": "The number of the last event seen; the header Last-Event-ID says the same, and first.",
            "schema": {"type": "integer", "minimum": 0, "maximum": 10**15 - 1, "default": 0},
        },
        {
            "name": "watching",
            "in": "query",
            "description": "1: a cockpit that gives no orders; it is never shown as driving.",
            "schema": {"type": "string", "enum": ["0", "1"], "default": "0"},
        },
        _WHERE,
    ]
}
_STREAM: Final[dict[str, Any]] = {"response_class": EventStream, "openapi_extra": _PLACE}


def _document(app: FastAPI) -> dict[str, Any]:
    found = app.openapi()
    _, models = models_json_schema([(body, "validation") for body in BODIES], ref_template=REFERENCES)
    schemas: dict[str, Any] = found["components"]["schemas"] | models["$defs"]
    return found | {"components": {"schemas": dict(sorted(schemas.items()))}}
