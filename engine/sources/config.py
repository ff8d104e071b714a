"""What a plan writes under a source's name. Values only; the sources themselves are imported when a release runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from engine.plan.fields import Duration, HeaderName, Line, Name, Text, Url, Whole
from engine.plan.literal_secrets import REFERENCE
from engine.plan.part import PlanPart, fault, raise_faults
from engine.plan.questions import JsonPlace, Question, Statement
from engine.plan.units import NotUnderstoodError, show_duration
from engine.routers.kube_config import ObjectName, OwnFile

SHORTEST_INTERVAL_S = 1.0
LONGEST_INTERVAL_S = 60.0
LONGEST_DEFAULT_TIMEOUT_S = 2.0
LONGEST_DEFAULT_QUERY_S = 5.0

DNS_PATTERN: Final = r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?):(?P<port>[0-9]{1,5})(?P<path>/[^\s#]*)?"

_PLACEHOLDER: Final = re.compile(r"\$[A-Za-z_]")


def _default_timeout(source: dict[str, Any]) -> float:
    interval: float = source["interval"]
    return min(LONGEST_DEFAULT_TIMEOUT_S, interval / 2)


def _default_query_timeout(source: dict[str, Any]) -> float:
    interval: float = source["interval"]
    return min(LONGEST_DEFAULT_QUERY_S, interval / 2)


def _path(written: str) -> str:
    if not re.fullmatch(r"/[^\s#]*", written) or not written.isprintable():
        raise NotUnderstoodError("a path such as /metrics")
    return written


def _dns(written: str) -> str:
    if not re.fullmatch(DNS_PATTERN, written) or not written.isprintable():
        raise NotUnderstoodError("a name with its port, such as checkout.shop.svc:8080/metrics")
    return written


class Paced(PlanPart):
    """A source that is read again and again; each kind has its own usual times."""

    interval: Duration
    timeout: Duration

    @model_validator(mode="after")
    def _times_fit(self) -> Self:
        shortest, longest = show_duration(SHORTEST_INTERVAL_S), show_duration(LONGEST_INTERVAL_S)
        if not SHORTEST_INTERVAL_S <= self.interval <= LONGEST_INTERVAL_S:
            raise_faults([fault(("interval",), show_duration(self.interval), f"{shortest} to {longest}")])
        if not 0 < self.timeout < self.interval:
            allowed = f"more than 0s, less than the interval of {show_duration(self.interval)}"
            raise_faults([fault(("timeout",), show_duration(self.timeout), allowed)])
        return self


class PodsConfig(PlanPart):
    """Pods of a cluster that serve metrics; only those that are ready, or were when they were read before."""

    namespace: Name = Field(description="Their namespace.")
    selector: Line | None = Field(default=None, description="Their labels, such as app=checkout,tier in (web).")
    service: ObjectName | None = Field(default=None, description="The Service that selects them, in place of labels.")
    port: Annotated[Whole, Field(ge=1, le=65535)] | Name = Field(description="The port, or a container port's name.")
    path: Annotated[Text, AfterValidator(_path)] = Field(default="/metrics", description="Where metrics are served.")
    context: Line | None = Field(default=None, description="The context of the kubeconfig; its current one if missing.")
    kubeconfig: OwnFile | None = Field(
        default=None, description="The kubeconfig; if missing $KUBECONFIG, ~/.kube/config, or the pod's own account."
    )

    @model_validator(mode="after")
    def _one_selection(self) -> Self:
        if (self.selector is None) == (self.service is None):
            raise_faults([fault((), None, "selector or service", found="both" if self.selector else "neither")])
        return self


class ScrapeConfig(Paced):
    """Endpoints that serve their counters as Prometheus or OpenMetrics text: fixed ones, all that a DNS name has
    addresses for, or pods; those of a name and pods are looked up at each scrape."""

    urls: tuple[Url, ...] | None = Field(
        default=None, min_length=1, max_length=200, description="Endpoints that serve metrics as text."
    )
    dns: tuple[Annotated[Text, AfterValidator(_dns)], ...] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="Names of which each address is one: checkout.shop.svc:8080/metrics.",
    )
    pods: PodsConfig | None = Field(default=None, description="Pods of a cluster.")
    interval: Duration = Field(default=5.0, description="Time between two scrapes, 1s to 60s.")
    timeout: Duration = Field(
        default_factory=_default_timeout,
        description="How long one answer may take, less than the interval; 2s by default, half the interval below 4s.",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_name_is_a_list(cls, written: Any) -> Any:
        if isinstance(written, Mapping) and isinstance(written.get("dns"), str):
            return {**written, "dns": [written["dns"]]}
        return written

    @model_validator(mode="after")
    def _something_to_scrape(self) -> Self:
        if not (self.urls or self.dns or self.pods):
            allowed = "a value, since it is required"
            raise_faults([fault(("urls",), None, allowed, "unless there are dns or pods", found="nothing")])
        return self

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        raise_faults(
            fault((key, index), url, "each address once: its counters would count twice")
            for key, seen in (("urls", self.urls or ()), ("dns", self.dns or ()))
            for index, url in enumerate(seen)
            if url in seen[:index]
        )
        return self


class BasicAuth(PlanPart):
    """A user and a password that every request carries."""

    user: Line = Field(description="The user's name.")
    password: Line = Field(description="A reference such as ${env:PROMETHEUS_PASSWORD}.")


class Tls(PlanPart):
    """PEM files on the engine's machine, for a server with a certificate of your own or one that asks for yours."""

    ca: Line | None = Field(default=None, description="The authority that signed the server's certificate.")
    cert: Line | None = Field(default=None, description="The engine's own certificate, for a server that asks for it.")
    key: Line | None = Field(default=None, description="The file with that certificate's key, unless it is in `cert`.")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.key and not self.cert:
            raise_faults([fault(("cert",), None, "the file with the certificate that the key belongs to")])
        raise_faults(
            fault((name,), path, "an absolute path on the engine's machine")
            for name in ("ca", "cert", "key")
            if (path := getattr(self, name)) and not PurePath(path).is_absolute() and not REFERENCE.search(path)
        )
        return self


class HttpAccess(Paced):
    """A server that is asked over HTTP, and how the engine shows who asks."""

    url: Url
    headers: dict[HeaderName, Line] = Field(
        default_factory=dict, max_length=20, description="Sent with every request, such as X-Scope-OrgID for Mimir."
    )
    bearer_token: Line | None = Field(
        default=None,
        description="A reference such as ${env:PROMETHEUS_TOKEN}; one to a file is read anew when it changes.",
    )
    basic: BasicAuth | None = Field(default=None, description="A user and a password, in place of a token.")
    tls: Tls | None = Field(default=None, description="Certificates of your own.")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        ways = [
            *(["bearer_token"] if self.bearer_token else []),
            *(["basic"] if self.basic else []),
            *(name for name in self.headers if name.lower() == "authorization"),
        ]
        if len(ways) > 1:
            allowed = "one of bearer_token, basic and an Authorization header"
            loc = ("headers", ways[-1]) if ways[-1] in self.headers else (ways[-1],)
            raise_faults([fault(loc, None, allowed, found=f"{ways[-1]} beside {ways[0]}")])
        return self


class PrometheusConfig(HttpAccess):
    """A server with Prometheus' HTTP API: Prometheus, Thanos, Mimir, VictoriaMetrics."""

    url: Url = Field(description="The server's address, with its path if it has one, such as http://mimir/prometheus.")
    interval: Duration = Field(
        default=15.0, description="Time between two looks, 1s to 60s: the server's own scrape interval or longer."
    )
    timeout: Duration = Field(
        default_factory=_default_query_timeout,
        description="How long one look may take, less than the interval; 5s by default, half the interval below 10s.",
    )

    @model_validator(mode="after")
    def _plain_address(self) -> Self:
        if not REFERENCE.search(self.url) and urlsplit(self.url).query:
            raise_faults([fault(("url",), self.url, "the server's address without a query")])
        return self


class HttpJsonConfig(HttpAccess):
    """Numbers out of JSON answers. A metric names each by its place: `/orders/$version/total` in what `url` answers, or
    `/stats?version=$version#/orders/total` in what it answers with that path added."""

    asked_in: ClassVar[type[Question]] = JsonPlace

    url: Url = Field(description="The address that answers JSON, or the beginning of several.")
    counts: Literal["since_start", "all_time"] = Field(
        default="since_start",
        description="What totals are: `since_start` begin at 0 when their service restarts; `all_time` never fall.",
    )
    interval: Duration = Field(default=15.0, description="Time between two looks, 1s to 60s.")
    timeout: Duration = Field(
        default_factory=_default_query_timeout,
        description="How long one look may take, less than the interval; 5s by default, half the interval below 10s.",
    )

    @model_validator(mode="after")
    def _without_placeholders(self) -> Self:
        if _PLACEHOLDER.search(self.url):
            allowed = "an address without placeholders"
            raise_faults([fault(("url",), self.url, allowed, "they stand in a metric: /stats?v=$version#/total")])
        return self


class SqlConfig(Paced):
    """A database that is asked for counts, each by a query of one number with `:version` in it, in one read-only
    transaction: all numbers of a look are of one moment. A count that falls is doubted, never taken for news."""

    asked_in: ClassVar[type[Question]] = Statement

    url: Annotated[Text, Field(min_length=1, max_length=2000)] = Field(
        description="Such as ${env:ORDERS_DB}, postgresql://reader:${env:DB_PASSWORD}@db/shop, sqlite:////var/shop.db.",
    )
    interval: Duration = Field(default=30.0, description="Time between two looks, 1s to 60s.")
    timeout: Duration = Field(
        default_factory=_default_query_timeout,
        description="How long all queries of a look may take together, less than the interval; 5s by default.",
    )

    @model_validator(mode="after")
    def _known_database(self) -> Self:
        known = re.match(r"(?:sqlite|postgres(?:ql)?(?:\+psycopg)?):/", self.url)
        if not known and not REFERENCE.match(self.url):
            # What stands there may be a secret by now: it is not shown.
            raise_faults([fault(("url",), None, "postgresql://... or sqlite:///...", found="another address")])
        return self
