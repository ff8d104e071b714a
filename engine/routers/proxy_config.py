"""What a plan writes under `haproxy` and `envoy`. Values only; the routers are imported when a release runs."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, ClassVar, Final, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import InitErrorDetails

from engine.plan.fields import HeaderName, Line, Text, Url, VersionName
from engine.plan.part import PlanPart, fault, raise_faults
from engine.plan.units import NotUnderstoodError
from engine.routers.config import RouterConfig

MOST_INSTANCES: Final = 50
MOST_SERVERS: Final = 200
_WORD: Final = re.compile(r"[A-Za-z0-9_.:-]{1,120}")
_SOCKET: Final = re.compile(r"/[A-Za-z0-9_./@+-]{1,100}")
_ADMIN: Final = re.compile(r"http://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?")
_TCP: Final = re.compile(r"tcp://([A-Za-z0-9.-]{1,250}|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})")


def _word(written: str) -> str:
    """Names go into commands, of which `;`, a line's end or a backslash would make other commands."""
    if not _WORD.fullmatch(written):
        raise NotUnderstoodError("a name of letters, digits, _ . : and -")
    return written


def _socket(written: str) -> str:
    tcp = _TCP.fullmatch(written)
    if not _SOCKET.fullmatch(written) and not (tcp and 0 < int(tcp[2]) < 65536):
        raise NotUnderstoodError("the absolute path of a stats socket, or tcp://host:port")
    return written


def _open_url(written: str) -> str:
    """It goes into rollback.sh, which works without laneshift and is no place for secrets."""
    if not _ADMIN.fullmatch(written):
        raise NotUnderstoodError("an admin address such as http://127.0.0.1:9901, without a secret in it")
    return written.rstrip("/")


ProxyWord = Annotated[Text, AfterValidator(_word)]
"""The name of a backend, server, cluster or runtime key."""

StatsSocket = Annotated[Text, AfterValidator(_socket)]
AdminUrl = Annotated[Url, AfterValidator(_open_url)]


class ProxySide(PlanPart):
    """What both kinds of side have: where its servers answer by themselves, and how they tell their version."""

    urls: tuple[Url, ...] = Field(
        default=(),
        max_length=MOST_SERVERS,
        description="Base URLs of its servers, past the proxy: for checks, and for the version that they answer.",
    )
    version: VersionName | None = Field(
        default=None, description="Its version, where its servers don't answer it: believed, not read."
    )

    @model_validator(mode="after")
    def _has_a_version(self) -> Self:
        if not self.urls and not self.version:
            raise_faults([fault(("urls",), None, "the addresses of its servers, or a `version`", found="neither")])
        return self


class HaproxySide(ProxySide):
    """The servers of one side, in the order of the backend or not."""

    servers: tuple[ProxyWord, ...] = Field(
        min_length=1, max_length=MOST_SERVERS, description="Its servers, by their names in the backend."
    )
    workload: Line | None = Field(
        default=None, description="What $workload stands for in metrics; by default the name of its only server."
    )


class EnvoySide(ProxySide):
    """The cluster of one side."""

    cluster: ProxyWord = Field(description="The name of its cluster among the route's weighted clusters.")


class ProxyConfig(RouterConfig):
    """What both proxies have."""

    holds: ClassVar[bool] = True
    rehearses: ClassVar[bool] = True

    public: Url | None = Field(default=None, description="Where users reach the proxy, for checks of `public`.")
    version_path: Line = Field(default="/", description="What is asked of each of a side's `urls` for its version.")
    version_header: HeaderName = Field(default="X-Version", description="The header that answers it.")


class HaproxyConfig(ProxyConfig):
    """One or several HAProxy processes with the same backend, by their stats sockets at level admin."""

    sockets: tuple[StatsSocket, ...] = Field(
        min_length=1,
        max_length=MOST_INSTANCES,
        description="The stats socket of each process: an absolute path, or tcp://host:port.",
    )
    backend: ProxyWord = Field(description="The backend that has the servers of both sides.")
    stable: HaproxySide = Field(description="The servers that carry the traffic when the release starts.")
    canary: HaproxySide = Field(description="The servers that run the new version.")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        raise_faults(
            [
                *_repeated(self.sockets, ("sockets",), "each socket once"),
                *_repeated((*self.stable.servers, *self.canary.servers), ("canary",), "each server on one side, once"),
            ]
        )
        return self


class EnvoyConfig(ProxyConfig):
    """One or several Envoys with the same route over weighted clusters, by their admin ports."""

    admin: tuple[AdminUrl, ...] = Field(
        min_length=1, max_length=MOST_INSTANCES, description="The admin address of each Envoy."
    )
    runtime_key: ProxyWord = Field(description="The `runtime_key_prefix` of the route's weighted clusters.")
    stable: EnvoySide = Field(description="The cluster that carries the traffic when the release starts.")
    canary: EnvoySide = Field(description="The cluster that runs the new version.")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        raise_faults(
            [
                *_repeated(self.admin, ("admin",), "each address once"),
                *_repeated((self.stable.cluster, self.canary.cluster), ("canary", "cluster"), "another than stable's"),
            ]
        )
        return self


def _repeated(names: tuple[str, ...], loc: tuple[str, ...], allowed: str) -> list[InitErrorDetails]:
    return [fault(loc, name, allowed) for name, times in Counter(names).items() if times > 1]
