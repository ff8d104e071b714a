"""What gateway and instances tell at /metrics, and in which text format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from sandbox.faults import Faults
from sandbox.load import POOL_SIZE
from sandbox.wire import Request, Response

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.225, 0.25, 0.4, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0)  # seconds
BUSINESS_PATHS = ("/signup", "/login", "/checkout")
OUTCOMES = ("success", "failure")


class RequestMetrics:
    """Requests by version: their codes, times, and outcomes for the business."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "http_requests_total", "Answers by version and code", ("version", "code"), registry=registry
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Time from request to answer",
            ("version",),
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._outcomes = {
            path: Counter(f"{path[1:]}_total", f"POST {path} by outcome", ("version", "outcome"), registry=registry)
            for path in BUSINESS_PATHS
        }

    def know(self, version: str) -> None:
        """Shows `version` with zeros before its first request, so that the first counts are differences too."""
        for code in ("200", "500", "502", "503"):
            self._requests.labels(version, code)
        self._seconds.labels(version)
        for counter in self._outcomes.values():
            for outcome in OUTCOMES:
                counter.labels(version, outcome)

    def answered(self, request: Request, answer: Response, seconds: float) -> None:
        """One request and its answer, which says by its headers whose it is."""
        version = answer.headers["x-version"]
        self.count(version, answer.status, seconds)
        if request.method == "POST" and request.path in BUSINESS_PATHS:
            self.count_outcome(request.path, version, answer.headers.get("x-outcome", "failure"))

    def count(self, version: str, status: int, seconds: float) -> None:
        """One answered request."""
        self._requests.labels(version, str(status)).inc()
        self._seconds.labels(version).observe(seconds)

    def count_outcome(self, path: str, version: str, outcome: str) -> None:
        """How one request to a business path ended, for the business."""
        self._outcomes[path].labels(version, outcome if outcome in OUTCOMES else "failure").inc()


class GatewayMetrics(RequestMetrics):
    """Requests as the gateway saw them, as service meshes count: a dead instance's errors are here."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        super().__init__(registry)
        self._up = Gauge("shop_backend_up", "1 when the last probe was answered", ("version",), registry=registry)
        self._dropped = Counter("sandbox_traffic_dropped", "Arrivals not sent: too many in flight", registry=registry)

    def drop(self) -> None:
        """One arrival that traffic did not send."""
        self._dropped.inc()

    def show_up(self, up: dict[str, bool]) -> None:
        """Which versions answered their last probe; versions no longer there disappear."""
        self._up.clear()
        for version, answered in up.items():
            self._up.labels(version).set(answered)


class ShopMetrics:
    """One instance's own view of itself."""

    def __init__(self, version: str) -> None:
        self.registry = registry = CollectorRegistry()
        self._version = version
        self._requests = Counter(
            "shop_requests_total", "Answers by version and code", ("version", "code"), registry=registry
        )
        self._requests.labels(version, "200")

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, ("version",), registry=registry).labels(version)

        gauge("shop_db_pool_size", "Database connections at most").set(POOL_SIZE)
        self.pool_in_use = gauge("shop_db_pool_in_use", "Database connections in use")
        self.active_users = gauge("shop_active_users", "Users seen in the last minute")
        self.cpu = gauge("shop_cpu_ratio", "Share of one core, derived from the instance's load")
        self.memory = gauge("shop_memory_bytes", "Memory, derived from the instance's load")

    def count(self, status: int) -> None:
        """One answered request."""
        self._requests.labels(self._version, str(status)).inc()


def expose(registry: CollectorRegistry, accept: str) -> Response:
    """The registry as OpenMetrics or as Prometheus text, whichever an Accept header asks for."""
    encode, content_type = choose_encoder(accept)
    return Response(200, encode(registry), {"content-type": content_type})


def spoiled(answer: Response, faults: Faults) -> Response:
    """A page of metrics as the faults that are on leave it."""
    if faults.is_on("metrics-empty"):
        answer.body = b""
    if faults.is_on("metrics-garbage"):
        answer = garbage(answer)
    return with_every_value_nan(answer) if faults.is_on("metrics-nan") else answer


def with_every_value_nan(answer: Response) -> Response:
    """The same exposition with NaN for each value."""
    lines = answer.body.decode().splitlines()
    spoiled = [line if line.startswith("#") or not line else f"{line.rpartition(' ')[0]} NaN" for line in lines]
    return Response(answer.status, "\n".join([*spoiled, ""]).encode(), answer.headers)


def garbage(answer: Response) -> Response:
    """Something that calls itself metrics and is not."""
    body = b'http_requests_total{version="v1.5.0",code= banana\n\x00\xff\xfe<html>502 Bad Gateway</html>\n{"metrics":'
    return Response(answer.status, body, answer.headers)
