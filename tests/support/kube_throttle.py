"""A server that answers 429 to one user, by its own means: a priority level with no seats.

A level without seats still serves one request at a time, so that one is kept busy with a request that never ends.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.support.kube_api import Object, until
from tests.support.kube_users import binding, role, token_of
from tests.support.kube_world import Namespace

_VERSION = "flowcontrol.apiserver.k8s.io/v1"


@contextmanager
def throttled(kube: Namespace, user: str) -> Iterator[None]:
    """All that this plain user asks is answered 429 for as long as the block lasts, 60 s at most.

    The user may make ConfigMaps in the namespace from then on: the request that never ends has to be allowed.
    """
    mine, (level, schema) = kube.world.api(user).http, _priority(user)
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}
    kube.api.apply(role("throttle", rule), binding("throttle", user))
    _, made = kube.api.apply(level, schema)
    taken_by = "X-Kubernetes-PF-FlowSchema-UID"
    try:
        until(lambda: mine.get("/api/v1/namespaces").headers[taken_by] == made["metadata"]["uid"])
        with _unending_request(kube, user):
            until(lambda: mine.get("/api/v1/namespaces").status_code == 429)
            yield
    finally:
        for one in (schema, level):
            kube.api.delete(one["kind"], one["metadata"]["name"])
        until(lambda: mine.get("/api/v1/namespaces").headers[taken_by] != made["metadata"]["uid"])


@contextmanager
def _unending_request(kube: Namespace, user: str) -> Iterator[None]:
    """One whose body never comes: the server holds its seat until it gives up, after 60 s."""
    server = urlsplit(kube.world.url)
    head = (
        f"POST {kube.api.path('ConfigMap')} HTTP/1.1\r\nHost: {server.netloc}\r\n"
        f"Authorization: Bearer {token_of(user)}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    )
    trust = ssl.create_default_context(cafile=str(kube.world.ca))
    with (
        socket.create_connection((server.hostname, server.port or 443), 10) as plain,
        trust.wrap_socket(plain, server_hostname=server.hostname) as line,
    ):
        line.sendall(head.encode())
        yield


def _priority(user: str) -> tuple[Object, Object]:
    name = {"name": f"throttled-{user}"}
    limited = {"nominalConcurrencyShares": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}
    anything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
    rule = {"subjects": [{"kind": "User", "user": {"name": user}}], "resourceRules": [anything]}
    level = {"type": "Limited", "limited": limited}
    schema = {"priorityLevelConfiguration": name, "matchingPrecedence": 2, "rules": [rule]}
    return (
        {"apiVersion": _VERSION, "kind": "PriorityLevelConfiguration", "metadata": name, "spec": level},
        {"apiVersion": _VERSION, "kind": "FlowSchema", "metadata": name, "spec": schema},
    )
