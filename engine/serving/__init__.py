"""The engine over HTTP: on a unix socket whose mode says who may connect, and by TLS for people with a token.

    GET  /v1/engine                        who is this engine, what is wrong with it, and who are you to it
    GET  /v1/releases                      one line each
    POST /v1/releases                      start: {plan, name, canary?, key?, observe?, files?, where?}
    GET  /v1/releases/ID                   one look
    POST /v1/releases/ID/orders            {verb, id, reason?, stage?, revision?, item?, override?, break_glass?}
    GET  /v1/releases/ID/events?after=SEQ  every event after SEQ, then live, and a beat each second (as SSE)
    POST /v1/doctor                        try what a release of {plan, name, canary?} will need; changes nothing
    POST /v1/prune                         forget what need not be kept of releases that ended
    POST /v1/stop                          stop this engine; its releases stand until one is started again
    GET  /v1/openapi.json                  all of this, for programs

An order that the release refuses is answered 409 with the reason, one that roles refuse 403, a wrong plan 422 with
every fault in it. docs/api.md has the whole.
"""

from __future__ import annotations

from engine.serving.app import application, openapi
from engine.serving.server import ServeOptions, Server, serve
from engine.serving.sockets import SocketError, bind, own_folder

__all__ = ["ServeOptions", "Server", "SocketError", "application", "bind", "openapi", "own_folder", "serve"]
