"""A Service switched from one side to the other by its selector, all traffic at once: blue-green.

The preview is tested in full, by a Service of its own, before anybody reaches it. The side that served is kept at size,
so that switching back is one write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.inputs import Observation
from engine.kube.selectors import Selector
from engine.routers import RouterError, Write
from engine.routers.selector_config import ServiceSwitchConfig
from engine.routers.selector_router import SelectorRouter, all_on

Object = Mapping[str, Any]


class ServiceSwitchRouter(SelectorRouter):
    """One Service, which sends to one side."""

    Config = ServiceSwitchConfig

    async def shift(self, write: Write) -> str:
        """Switch the Service; 0 and 100 are all there is. Raises RouterConflict, RouterError."""
        if write.weight not in (0, 100):
            raise RouterError(f"a Service is switched, not weighted: {write.weight}% can't be done")
        return await super().shift(write)

    def _find(self, item: Object) -> Selector:
        place = super()._find(item)
        if place.now is None:
            both = f"{place.label}={place.stable} or {place.canary}"
            raise RouterError(f"the Service sends to any value of {place.label}: have its selector choose {both}")
        return place

    def _weight(self, _item: Object, place: Selector) -> float:
        return 100.0 if place.now == place.canary else 0.0

    def _in_effect(self, shown: Observation, place: Selector, ready: Counter[str]) -> Observation:
        doubts = all_on(str(place.now), ready, place.label)
        return replace(shown, pending="; ".join(filter(None, (shown.pending, doubts))))
