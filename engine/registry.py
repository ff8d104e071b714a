"""The routers, sources and checks that a plan can name: the built-in ones, then those of other packages.

A built-in kind is one line here: where its configuration is described, and where it works. They are apart so that
reading a plan imports no I/O library. Another package offers a class under the entry points `laneshift.routers`,
`laneshift.sources` or `laneshift.checks`; its attribute `Config` is a pydantic model of what a plan writes under its
name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, Literal

from pydantic import BaseModel

from engine.plan.problem import nearest, printable

Family = Literal["router", "source", "check"]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """`module:name` of a kind's configuration model and of the class that does the work."""

    config: str
    plugin: str


ROUTERS: Final[Mapping[str, BuiltIn]] = MappingProxyType(
    {
        "sandbox": BuiltIn("engine.routers.config:SandboxConfig", "engine.routers.sandbox:SandboxRouter"),
        "haproxy": BuiltIn("engine.routers.proxy_config:HaproxyConfig", "engine.routers.haproxy:HaproxyRouter"),
        "envoy": BuiltIn("engine.routers.proxy_config:EnvoyConfig", "engine.routers.envoy:EnvoyRouter"),
        "command": BuiltIn("engine.routers.command_config:CommandConfig", "engine.routers.command:CommandRouter"),
        "gateway_api": BuiltIn(
            "engine.routers.kube_config:GatewayApiConfig", "engine.routers.gateway_api:GatewayApiRouter"
        ),
        "istio": BuiltIn("engine.routers.istio_config:IstioConfig", "engine.routers.istio:IstioRouter"),
        "service_switch": BuiltIn(
            "engine.routers.selector_config:ServiceSwitchConfig", "engine.routers.service_switch:ServiceSwitchRouter"
        ),
        "replicas": BuiltIn("engine.routers.selector_config:ReplicasConfig", "engine.routers.replicas:ReplicasRouter"),
        "ingress_nginx": BuiltIn(
            "engine.routers.ingress_nginx_config:IngressNginxConfig", "engine.routers.ingress_nginx:IngressNginxRouter"
        ),
        "deployment": BuiltIn(
            "engine.routers.deployment_config:DeploymentConfig", "engine.routers.deployment:DeploymentRouter"
        ),
        "argo_rollouts": BuiltIn(
            "engine.routers.owner_config:ArgoRolloutsConfig", "engine.routers.argo_rollouts:ArgoRolloutsRouter"
        ),
        "flagger": BuiltIn("engine.routers.owner_config:FlaggerConfig", "engine.routers.flagger:FlaggerRouter"),
    }
)
SOURCES: Final[Mapping[str, BuiltIn]] = MappingProxyType(
    {
        "scrape": BuiltIn("engine.sources.config:ScrapeConfig", "engine.sources.scrape:ScrapeSource"),
        "prometheus": BuiltIn("engine.sources.config:PrometheusConfig", "engine.sources.prometheus:PrometheusSource"),
        "http_json": BuiltIn("engine.sources.config:HttpJsonConfig", "engine.sources.http_json:HttpJsonSource"),
        "sql": BuiltIn("engine.sources.config:SqlConfig", "engine.sources.sql:SqlSource"),
    }
)
CHECKS: Final[Mapping[str, BuiltIn]] = MappingProxyType(
    {
        "http": BuiltIn("engine.checks.config:HttpConfig", "engine.checks.http:HttpCheck"),
        "junit": BuiltIn("engine.checks.junit_config:JunitConfig", "engine.checks.junit:JunitCheck"),
    }
)
FAMILIES: Final[Mapping[Family, Mapping[str, BuiltIn]]] = MappingProxyType(
    {"router": ROUTERS, "source": SOURCES, "check": CHECKS}
)


class UnknownKindError(LookupError):
    """A name that no router, source or check has; `known` are those there are, `hint` the nearest."""

    def __init__(self, family: Family, name: str, known: tuple[str, ...]) -> None:
        self.known = known
        self.hint = nearest(name, known)
        super().__init__(f"no {family} {printable(name)}; there is {', '.join(known)}; {self.hint}".rstrip("; "))


class BrokenPluginError(RuntimeError):
    """Another package's router, source or check that can't be used; says which and why."""


def kinds(family: Family) -> tuple[str, ...]:
    """All names of a family, the built-in ones first."""
    built_in = FAMILIES[family]
    return (*built_in, *sorted(set(_entry_points(family)) - set(built_in)))


def resolve(family: Family, name: str) -> type[Any]:
    """The class that does the work. Raises UnknownKindError, BrokenPluginError."""
    built_in = FAMILIES[family].get(name)
    plugin: type[Any] = _imported(built_in.plugin) if built_in else _foreign(family, name)
    return plugin


def config_of(family: Family, name: str) -> type[BaseModel]:
    """The model of what a plan writes under this name; a built-in one imports nothing that does I/O.

    Raises UnknownKindError, BrokenPluginError.
    """
    built_in = FAMILIES[family].get(name)
    config = _imported(built_in.config) if built_in else getattr(_foreign(family, name), "Config", None)
    if not (isinstance(config, type) and issubclass(config, BaseModel)):
        raise BrokenPluginError(f"the {family} {printable(name)} has no pydantic model named Config")
    return config


def _imported(address: str) -> Any:
    module, _, name = address.partition(":")
    return getattr(import_module(module), name)


def _foreign(family: Family, name: str) -> Any:
    offered = _entry_points(family)
    if name not in offered:
        raise UnknownKindError(family, name, kinds(family))
    try:
        return offered[name].load()
    except Exception as error:
        raise BrokenPluginError(
            f"the {family} {printable(name)} can't be imported: {printable(str(error), 200)}"
        ) from error


def _entry_points(family: Family) -> dict[str, Any]:
    from importlib.metadata import entry_points  # 20 ms that a plan of built-in kinds does not need

    return {point.name: point for point in entry_points(group=f"laneshift.{family}s")}
