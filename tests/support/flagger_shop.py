"""The shop as a Canary that the real Flagger owns, on an HTTPRoute that Flagger makes.

Flagger looks at a Canary once in its interval, which is 10 s at least, and at once when the interval was changed. The
tests change it all the time (`hurried`), so that they need not wait.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.kube_api import Object, until
from tests.support.kube_pods import Behaviour
from tests.support.kube_process import free_port
from tests.support.kube_shop import APP, PORT, deployment
from tests.support.kube_world import Namespace
from tests.support.prometheus_process import running_prometheus

WEIGHTS = (25, 50, 100)
TOKEN = "a-token-of-the-tests"
LOOK_EACH_S = 0.4
HURRY = "-control-loop-interval=100ms"


def canary(url: str, *, weights: Sequence[int] = WEIGHTS, gates: Sequence[str] | None = None, **more: Any) -> Object:
    """A Canary of the shop's Deployment whose gates are at `url`; `more` is more of its analysis."""
    known = ("confirm-rollout", "confirm-traffic-increase", "confirm-promotion", "rollback")
    hooks = [{"name": gate, "type": gate, "url": f"{url}/{gate}"} for gate in known if gates is None or gate in gates]
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": APP},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": APP},
            "service": {"port": 80, "targetPort": PORT, "gatewayRefs": [{"name": "edge", "namespace": "default"}]},
            "analysis": {
                "interval": "10s",
                "threshold": 5,
                "stepWeights": list(weights),
                "metrics": [],
                "webhooks": hooks,
                **more,
            },
        },
    }


def target(version: str, behaviour: Behaviour = "", annotations: dict[str, str] | None = None) -> Object:
    """The Deployment that Flagger releases; its size is Flagger's."""
    made = deployment(APP, version=version, track="target", behaviour=behaviour)
    made["spec"]["selector"] = {"matchLabels": {"app": APP}}
    made["spec"]["template"]["metadata"]["labels"].pop("track")
    made["spec"]["template"]["metadata"]["annotations"].update(annotations or {})
    return made


@functools.cache
def prometheus() -> str:
    """A Prometheus for as long as this process lives: Flagger does not start without one that answers."""
    kept = contextlib.ExitStack()
    atexit.register(kept.close)
    return kept.enter_context(running_prometheus({})).url


@dataclass
class FlaggerShop:
    """A Canary in a namespace; its gates are expected on `port` of this machine."""

    kube: Namespace
    port: int

    def open(self, **analysis: Any) -> None:
        """v1.0.0 serves everything, on the primary."""
        self.kube.world.run_flagger(prometheus(), HURRY)
        self.kube.api.apply(target("v1.0.0"), canary(f"http://127.0.0.1:{self.port}/{TOKEN}", **analysis))
        with self.hurried():
            self.until(lambda status: status.get("phase") == "Initialized")
        until(lambda: self.weight() == 0)

    def push(self, version: str, behaviour: Behaviour = "") -> None:
        """A pipeline changes the target's template."""
        template = target(version, behaviour)["spec"]["template"]
        change = [{"op": "replace", "path": "/spec/template", "value": template}]
        self.kube.api.patch("Deployment", APP, change, style="json", manager="pipeline")

    def read(self) -> Object:
        return self.kube.api.get("Canary", APP)

    def until(self, holds: Callable[[Object], object], seconds: float = 45) -> None:
        """Until the Canary's status is as asked."""
        until(lambda: bool(holds(self.read().get("status", {}))), "the Canary is as asked", seconds)

    def weight(self) -> float:
        """The canary's share on the route that Flagger made."""
        backends = self.kube.api.get("HTTPRoute", APP)["spec"]["rules"][0]["backendRefs"]
        return float(next(each["weight"] for each in backends if each["name"] == f"{APP}-canary"))

    @contextlib.contextmanager
    def hurried(self) -> Iterator[None]:
        """Flagger looks at the Canary every moment, as long as the block lasts."""
        done = threading.Event()
        thread = threading.Thread(target=self._hurry, args=(done,))
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _hurry(self, done: threading.Event) -> None:
        mine = self.kube.world.connect(timeout=1)
        for seconds in itertools.cycle((11, 10)):
            if done.wait(LOOK_EACH_S):
                break
            change = {"spec": {"analysis": {"interval": f"{seconds}s"}}}
            with contextlib.suppress(httpx.HTTPError):  # of a server that the test has stopped
                mine.within(self.kube.name).patch("Canary", APP, change, manager="the-tests-haste")
        mine.close()


def shop_in(kube: Namespace) -> FlaggerShop:
    """One on a free port."""
    return FlaggerShop(kube, free_port())
