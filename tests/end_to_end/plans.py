"""sample_configs/gateway-api.yaml at the pace of a test: other addresses, seconds for minutes, and lines that seconds
of the sandbox's traffic can prove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

import sample_configs
from tests.support.kube_shop import CANARY, STABLE
from tests.support.shop_behind_envoy import SIDES, USER, Site

NAME = "gateway-api.yaml"
LINES = {"error_rate": "> 2%", "latency_p95": "> 400ms", "checkout_success": "< 80%", "db_pool_used": "> 80"}
WIDE = {"error_rate": "> 20%"}
"""Lines of releases that are about something else than what the canary's metrics say: proven in seconds."""
HURRY = ((20, 1), (60, 1), (100, 1))
"""Weights and bakes, in seconds."""


def plan(
    site: Site,
    *,
    stages: Sequence[tuple[int, float]] = HURRY,
    lines: Mapping[str, str] = WIDE,
    advance: str = "auto",
    sides: tuple[str, str] = (STABLE, CANARY),
    canary: str = "v1.5.0",
    kubeconfig: Path | None = None,
    prometheus: str = "",
    scale: str = "proportional",
    **changes: Any,
) -> str:
    """The sample's text with these changes; `changes` are keys of a plan."""
    written: dict[str, Any] = yaml.safe_load(sample_configs.path(NAME).read_text())
    urls = site.sandbox.urls.backends
    stable, released = sides
    written["version"] = {"canary": canary}
    written["router"]["gateway_api"] |= {
        "namespace": site.kube.name,
        "stable": stable,
        "canary": released,
        "kubeconfig": str(kubeconfig or site.kube.kubeconfig(USER)),
        "scale": scale,
        "addresses": {"stable": urls[SIDES[stable]], "canary": urls[SIDES[released]]},
    }
    url = prometheus or site.prometheus.url
    written["source"]["prometheus"] = {"url": url, "interval": "1s", "timeout": "800ms"}
    written["stages"] = [{"weight": weight, "bake": f"{bake:g}s", "min_requests": 20} for weight, bake in stages]
    written["metrics"] = {name: written["metrics"][name] | {"alert": line} for name, line in lines.items()}
    written |= {
        "advance": advance,
        "keep_old": "1s",
        "converge": "5s",
        "wait_for_canary": "30s",
        "history": "5s",
        "blind": {"after": "4s", "then": "hold"},
        "rollback": {"budget": "2s", "hard_limit": "4s"},
        "checklist": {"drop": ["regression", "performance", "security", "rollback-tested"]},
    }
    return yaml.safe_dump(written | changes, sort_keys=False)
