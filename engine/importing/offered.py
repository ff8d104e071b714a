"""The routers and sources that `laneshift init` can write without a cluster: each with values that a person replaces.

A kind is offered when what is suggested for it is valid, so one of another package is offered when its configuration
needs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from engine.importing.draft import MetricDraft
from engine.plan.questions import JsonPlace, Question, Statement
from engine.plan.selector import Selector
from engine.registry import BrokenPluginError, Family, config_of, kinds

Keys = Mapping[str, Any]

_ON_KUBERNETES: Final = {"namespace": "default"}
GATES: Final = {"listen": "0.0.0.0:7486", "token": "${file:flagger-gates}"}
"""Where Flagger's webhooks reach the engine; the token is a file of its state folder."""

_PAIR: Final = {"stable": "$service-stable", "canary": "$service-canary"}
_LABELLED: Final = {"label": "track", "stable": "stable", "canary": "canary"}

SUGGESTED: Final[Mapping[str, Keys]] = {
    "sandbox": {"url": "http://127.0.0.1:7480", "stable": "shop-a", "canary": "shop-b"},
    "gateway_api": {**_ON_KUBERNETES, "route": "$service", **_PAIR},
    "argo_rollouts": {**_ON_KUBERNETES, "rollout": "$service"},
    "flagger": {**_ON_KUBERNETES, "canary": "$service", "gates": GATES},
    "istio": {**_ON_KUBERNETES, "virtual_service": "$service", **_PAIR},
    "replicas": {**_ON_KUBERNETES, "service": "$service", **_LABELLED},
    "service_switch": {**_ON_KUBERNETES, "service": "$service", **_LABELLED},
    "ingress_nginx": {**_ON_KUBERNETES, "ingress": "$service", "canary_ingress": "$service-canary", **_PAIR},
    "deployment": {**_ON_KUBERNETES, "name": "$service"},
    "haproxy": {
        "sockets": ["/run/haproxy/admin.sock"],
        "backend": "$service",
        "stable": {"servers": ["stable"], "urls": ["http://10.0.0.1:8080"]},
        "canary": {"servers": ["canary"], "urls": ["http://10.0.0.2:8080"]},
    },
    "envoy": {
        "admin": ["http://127.0.0.1:9901"],
        "runtime_key": "routing.traffic_shift.$service",
        "stable": {"cluster": "stable", "urls": ["http://10.0.0.1:8080"]},
        "canary": {"cluster": "canary", "urls": ["http://10.0.0.2:8080"]},
    },
    "command": {"run": "$service"},
    "prometheus": {"url": "http://prometheus:9090", "interval": "15s"},
    "scrape": {"urls": ["http://127.0.0.1:7480/metrics"], "interval": "5s"},
    "http_json": {"url": "http://127.0.0.1:8080/stats.json", "interval": "15s"},
    "sql": {"url": "${env:ORDERS_DB}", "interval": "30s"},
}


def offered(family: Family) -> tuple[str, ...]:
    """The kinds that can be written."""
    return tuple(kind for kind in kinds(family) if _is_valid(family, kind))


def suggested(kind: str, service: str) -> dict[str, Any]:
    """The keys of a kind for a service of this name."""
    return {key: _named(value, service) for key, value in SUGGESTED.get(kind, {}).items()}


def strategy_of(router: str) -> str:
    """`canary` where the router can do it."""
    return _preferred(router, "strategies", "canary")


def finish_of(router: str) -> str:
    """`swap` where the router can do it."""
    return _preferred(router, "finishes", "swap")


def usual_metrics(source: str) -> tuple[MetricDraft, ...]:
    """What most services watch, as this kind of source names it."""
    return _USUAL[getattr(config_of("source", source), "asked_in", Selector)]


def _is_valid(family: Family, kind: str) -> bool:
    try:
        config_of(family, kind).model_validate(suggested(kind, "shop"))
    except (ValidationError, BrokenPluginError):
        return False
    return True


def _named(value: Any, service: str) -> Any:
    if isinstance(value, str):
        return value.replace("$service", service)
    if isinstance(value, Mapping):
        return {key: _named(one, service) for key, one in value.items()}
    return [_named(one, service) for one in value] if isinstance(value, list) else value


def _preferred(router: str, can: str, usual: str) -> str:
    able = getattr(config_of("router", router), can, frozenset({usual}))
    return usual if usual in able else min(able)


_ERRORS: Final = {"baseline": "0.1%", "alert": ["> 0.5%", "> 2x baseline"], "weight": "critical"}
_SALES: Final = {"baseline": "98%", "alert": "< 96%", "weight": "critical"}
_USUAL: Final[Mapping[type[Question], tuple[MetricDraft, ...]]] = {
    Selector: (
        MetricDraft(
            "error_rate",
            {
                "total": 'http_requests_total{version="$version"}',
                "bad": 'http_requests_total{version="$version",code=~"5.."}',
                **_ERRORS,
            },
            ("raw counters, without rate or increase: laneshift takes the differences itself",),
        ),
        MetricDraft(
            "latency_p95",
            {
                "histogram": 'http_request_duration_seconds{version="$version"}',
                "quantile": 0.95,
                "baseline": "150ms",
                "alert": ["> 250ms", "> 1.5x baseline"],
            },
        ),
    ),
    JsonPlace: (
        MetricDraft(
            "checkout_success",
            {"total": "/checkouts/$version/total", "good": "/checkouts/$version/succeeded", **_SALES},
            ("the place of each number in the answer; numbers that only grow",),
        ),
    ),
    Statement: (
        MetricDraft(
            "checkout_success",
            {
                "total": "select count(*) from orders where version = :version",
                "good": "select count(*) from orders where version = :version and paid",
                **_SALES,
            },
            ("queries of one number each, which only grows",),
        ),
    ),
}
