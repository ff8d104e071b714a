"""The engine over HTTP, on a unix socket that only its user can open.

    GET  /v1/engine                        who is this engine, since when, what is wrong with it
    GET  /v1/releases                      one line each
    POST /v1/releases                      start: {plan, name, who, canary?, key?, observe?}
    GET  /v1/releases/ID                   one look
    POST /v1/releases/ID/orders            {verb, id, who, reason?, stage?, revision?, item?, override?, asked_at?}
    GET  /v1/releases/ID/events?after=SEQ  every event after SEQ, then live, and a beat each second (as SSE)
    POST /v1/doctor                        try what a release of {plan, name, canary?} will need; changes nothing
    POST /v1/stop                          stop this engine; its releases stand until one is started again
    GET  /v1/openapi.json                  all of this, for programs

An order that is refused is answered 409 with the reason, a wrong plan 422 with every fault in it.
"""

from __future__ import annotations

from engine.serving.app import application, openapi
from engine.serving.server import ServeOptions, Server, serve
from engine.serving.sockets import SocketError, bind, own_folder

__all__ = ["ServeOptions", "Server", "SocketError", "application", "bind", "openapi", "own_folder", "serve"]
